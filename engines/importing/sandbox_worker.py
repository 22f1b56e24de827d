"""The process that tries an untrusted file: `python -m engines.importing.sandbox_worker REQUEST ANSWER`.

REQUEST and ANSWER are JSON files. If a malicious file makes a runtime crash, use up memory or loop forever,
only this process is affected, and its parent reports the failure in one sentence.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines.errors import StreamtoonError

MEMORY_LIMIT_BYTES = 8 << 30
"""Most memory of the process, where the system enforces it (Linux, BSD)."""


def main(request: Path, answer: Path) -> None:
    """Carry out the request and write the answer."""
    _limit_memory()
    options = json.loads(request.read_text(encoding="utf-8"))
    try:
        said = _graph(options) if options["kind"] == "graph" else _weights(options)
    except StreamtoonError as error:
        said = {"error": str(error)}
    except MemoryError:
        said = {
            "error": f"{options['file']} needs more memory than a style may use, "
            f"{MEMORY_LIMIT_BYTES >> 30} GB"
        }
    answer.write_text(json.dumps(said), encoding="utf-8")


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _graph(options: dict[str, Any]) -> dict[str, Any]:
    from engines.importing.verify import convert_graph

    file, target = Path(options["file"]), Path(options["target"])
    return asdict(convert_graph(file, target, bgr=options["bgr"], values=options["values"]))


def _weights(options: dict[str, Any]) -> dict[str, Any]:
    from engines.export.onnx_graph import save_style
    from engines.generators import FIELD_GENERATORS
    from engines.importing.state_dict import load_generator
    from engines.importing.verify import check_generator_graph

    name, generator = load_generator(Path(options["file"]))
    card = {**options["card"], "generator": name}
    if name in FIELD_GENERATORS:
        del card["guided_filter"]
        card["look"] = {}
    style = save_style(Path(options["target"]), generator, card)
    try:
        if not style.gives_fields:  # fields do not resemble the image
            check_generator_graph(style.graph, style.size_multiple)
    except StreamtoonError as error:
        raise StreamtoonError(f"{options['file']} as {name}: {error}") from error
    return {"generator": name}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
