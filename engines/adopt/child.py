"""The process in which a stranger's file is tried: `python -m engines.adopt.child REQUEST ANSWER`.

REQUEST and ANSWER are JSON files. What a runtime makes of a file made to harm it ends here: a crash, memory
without end or an endless loop takes this process, and the one that started it says so in a sentence.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines.errors import StreamtoonError

MEMORY = 8 << 30
"""Bytes of its own that the process may have, where the system holds it to that (Linux, BSD)."""


def main(request: Path, answer: Path) -> None:
    """Does what the request says and writes what came of it."""
    _limit_memory()
    options = json.loads(request.read_text(encoding="utf-8"))
    try:
        said = _graph(options) if options["kind"] == "graph" else _weights(options)
    except StreamtoonError as error:
        said = {"error": str(error)}
    except MemoryError:
        said = {"error": f"{options['file']} asks for more than {MEMORY >> 30} GB of memory"}
    answer.write_text(json.dumps(said), encoding="utf-8")


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _graph(options: dict[str, Any]) -> dict[str, Any]:
    from engines.adopt.trial import adopt_graph

    file, target = Path(options["file"]), Path(options["target"])
    return asdict(adopt_graph(file, target, bgr=options["bgr"], values=options["values"]))


def _weights(options: dict[str, Any]) -> dict[str, Any]:
    from engines.adopt.trial import prove
    from engines.adopt.weights import load_generator
    from engines.export import save_style

    name, generator = load_generator(Path(options["file"]))
    style = save_style(Path(options["target"]), generator, {**options["card"], "generator": name})
    try:
        prove(style.graph, style.size_multiple)
    except StreamtoonError as error:
        raise StreamtoonError(f"{options['file']} as {name}: {error}") from error
    return {"generator": name}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
