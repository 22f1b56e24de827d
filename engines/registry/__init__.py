"""Styles on disk: finding them, reading them, and their cards."""
