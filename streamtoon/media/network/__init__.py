"""Streams from and to a network."""
