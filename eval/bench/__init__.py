"""How fast a style runs on this machine, beside the machine's own limits and other people's networks."""
