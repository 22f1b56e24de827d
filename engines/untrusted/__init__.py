"""Checks of files from untrusted sources, on their bytes, before a library reads them."""
