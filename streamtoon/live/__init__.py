"""Live video: from a camera or a network to a window, another program or a network."""
