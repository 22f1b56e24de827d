"""Looks, which turn the fields of a frame into a drawing according to a few numbers."""
