"""Pages that streamtoon serves."""
