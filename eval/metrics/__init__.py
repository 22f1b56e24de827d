"""The metrics, one per file; each file holds a function of its own name and cites its source."""
