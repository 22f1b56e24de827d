"""Looks: what makes a finished drawing of a picture's fields, from a handful of numbers."""
