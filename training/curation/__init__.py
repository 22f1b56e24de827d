"""Data sets: extract frames from films, clean folders."""
