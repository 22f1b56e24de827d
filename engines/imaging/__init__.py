"""Arithmetic on pixels: color, sizes, filters, steadiness, blocks of fields."""
