"""Starts one command and says what it took, as a line of JSON on standard output.

Run by its path in an interpreter of its own: a process that a large one starts counts the large one's memory
as its own peak until it has loaded itself (Linux keeps the highest of both, see getrusage(2) and exec), so
something small has to stand between them.

Usage: launcher.py OUT ERR COMMAND... ; OUT and ERR are files for what the command prints.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> None:
    """Run the command of this process's arguments."""
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
    except KeyboardInterrupt:  # whoever started us was interrupted too, and says so
        sys.exit(130)
