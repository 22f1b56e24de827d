"""Start one command and print its resource usage as a line of JSON on standard output.

This file runs by its path in a separate interpreter. On Linux, a child process starts with the peak memory of
its parent (see getrusage(2) and exec), so a small process has to start the command.

Usage: launcher.py OUT ERR COMMAND... ; OUT and ERR are files for the command's output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> None:
    """Run the command that this process's arguments name."""
    out, err, *command = sys.argv[1:]
    with open(out, "wb") as to, open(err, "wb") as errors:  # noqa: PTH123 (pathlib costs memory here)
        began = time.perf_counter()
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=to, stderr=errors, check=False
        ).returncode
        seconds = time.perf_counter() - began
    said: dict[str, float | None] = {"code": code, "seconds": seconds, "cpu_seconds": None, "peak_rss": None}
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        unit = 1 if sys.platform == "darwin" else 1024
        said |= {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_rss": used.ru_maxrss * unit}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # the parent was interrupted too and reports it
        sys.exit(130)
