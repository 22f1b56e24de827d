"""Storing an unfinished output in encoded segments."""
