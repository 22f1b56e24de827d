"""Blind voting in the browser: prepared images, one pick per photo, a table of votes, a ranking."""
