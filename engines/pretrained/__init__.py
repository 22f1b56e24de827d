"""Networks that others trained, and where their weights come from."""
