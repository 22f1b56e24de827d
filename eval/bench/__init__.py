"""Measure how fast a style runs on this machine, compared with its limits and with other networks."""
