"""The page of a blind vote."""
