"""The `streamtoon` command: each file parses one command's options, calls the Python API and prints."""

from __future__ import annotations


def main() -> None:
    """Console script and `python -m streamtoon`. Exits with 0, 1, 2 or 130: see `streamtoon.cli.app`."""
    from streamtoon.cli.app import main as run

    run()
