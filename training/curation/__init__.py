"""Data sets: frames out of films, folders cleaned."""
