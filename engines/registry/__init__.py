"""Styles on disk: where they are found, how they are read, what their cards say."""
