"""Arithmetic on pixels: colour, sizes, filters, steadiness, blocks of fields."""
