"""Tables that commands print in the terminal."""
