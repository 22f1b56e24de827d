"""Resuming an interrupted conversion."""
