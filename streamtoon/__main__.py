"""`python -m streamtoon` is the command."""

from streamtoon.cli import main

if __name__ == "__main__":
    main()
