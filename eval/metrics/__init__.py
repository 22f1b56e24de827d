"""The metrics, one per file. Each file has a function of its own name and cites its source."""
