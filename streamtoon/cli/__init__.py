"""The `streamtoon` command. Each file parses the options of one command, calls the Python API and prints."""

from __future__ import annotations

import sys

from streamtoon.cli.signals import listen


def main() -> None:
    """Run the console script or `python -m streamtoon`. Exit codes: see `streamtoon.cli.app`."""
    listen()
    try:
        from streamtoon.cli.app import main as run

        run()
    except KeyboardInterrupt:  # before any command has started
        sys.stderr.write("interrupted: nothing had started.\n")
        sys.exit(130)
