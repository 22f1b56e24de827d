"""Default settings that several commands share."""

STYLE = "comic"
"""Name of the default style."""
STABILIZE = 0.2
"""Amount of `engines.imaging.temporal_filter`, 0 (off) to 1."""
