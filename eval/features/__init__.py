"""Image features computed by networks. They are kept on disk between runs."""
