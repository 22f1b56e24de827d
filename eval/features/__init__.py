"""What pictures look like to networks: features of whole sets, kept on disk and between runs."""
