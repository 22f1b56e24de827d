"""A page that draws on the visitor's own GPU: a static site, and a server for a quick look at it."""
