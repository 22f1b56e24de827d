"""Blind voting in the browser: pictures made ready, one pick for each, a table of votes, a ranking."""
