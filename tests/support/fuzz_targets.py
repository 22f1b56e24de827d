"""What is fuzzed of styles, in a process of its own: `python fuzz_targets.py TARGET FIRST COUNT FOLDER`.

It prints one JSON object with what became of the cases. A runtime that crashes takes this process alone, and
FOLDER/running holds the seed of the case that did it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fuzzing import mutated, run_cases
from small_graphs import altered_graph

from engines.errors import StreamtoonError

MEMORY = 6 << 30
"""Bytes that a target may have: what asks for more gets a MemoryError, which is a failure."""
SIDE = 32
WORDS = [
    b"nan", b"-inf", b"1e999", b"0x" + b"f" * 5000, b"9" * 5000, b"[" * 3000, b"{a=" * 2000, b'"\\u202e"',
    b"1979-05-27T07:32:00Z", b"true", b'"""', b"[[data]]", b"[sha256]", b"\xff\xfe", b"\x00", b"-1", b"= [",
    b'like = ["a"]', b"\n" * 70_000,
]  # fmt: skip
HEADER_WORDS = [b'"F32"', b'"shape":[4294967296,4294967296]', b"-1", b"1e9", b"null", b"[" * 2000, b"{}"]


def cards(folder: Path) -> Callable[[int], object]:
    from engines.registry.style import load_style

    card = (folder / "card.toml").read_bytes()

    def one(seed: int) -> None:
        (folder / "card.toml").write_bytes(mutated(card, seed, WORDS))
        load_style(folder)

    return one


def recipes(folder: Path) -> Callable[[int], object]:
    from training.recipe_loader import BUNDLED, read_recipe

    sources = [file.read_bytes() for file in sorted(BUNDLED.glob("*.toml"))]

    def one(seed: int) -> None:
        (folder / "recipe.toml").write_bytes(mutated(sources[seed % len(sources)], seed, WORDS))
        read_recipe(folder / "recipe.toml")

    return one


def graphs(folder: Path) -> Callable[[int], object]:
    """A graph of damaged bytes with an honest card, all the way to a picture, in both runtimes."""
    graph = (folder / "generator.onnx").read_bytes()
    return _through_runtimes(folder, lambda seed: mutated(graph, seed))


def altered(folder: Path) -> Callable[[int], object]:
    """The same of a graph that is sound protobuf and wrong in what it says: most of these reach a runtime."""
    graph = (folder / "generator.onnx").read_bytes()
    return _through_runtimes(folder, lambda seed: altered_graph(graph, seed))


def _through_runtimes(folder: Path, damaged: Callable[[int], bytes]) -> Callable[[int], object]:
    import numpy as np

    from engines.backends.selection import open_runner
    from engines.registry.style import load_style

    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)

    def one(seed: int) -> None:
        _replace(folder, "generator.onnx", damaged(seed))
        style = load_style(folder)
        backend = ("openvino", "onnxruntime")[seed % 2]
        size = -(-SIDE // style.size_multiple) * style.size_multiple
        _, runner = open_runner(
            style, backend=backend, device="cpu", precision="fp32", height=size, width=size
        )
        runner(np.resize(picture, (size, size, 3)))
        runner.close()

    return one


def foreign(folder: Path) -> Callable[[int], object]:
    """A damaged graph on its way to become a style."""
    from engines.importing.verify import convert_graph

    graph = (folder / "foreign.onnx").read_bytes()

    def one(seed: int) -> None:
        (folder / "damaged.onnx").write_bytes(mutated(graph, seed))
        convert_graph(folder / "damaged.onnx", folder / "kept.onnx", bgr=False)

    return one


def tensors(folder: Path) -> Callable[[int], object]:
    """Damaged safetensors with an honest card, read as a style and as weights to be matched."""
    from engines.importing.state_dict import load_generator
    from engines.registry.style import load_style

    weights = (folder / "weights.safetensors").read_bytes()

    def one(seed: int) -> None:
        _replace(folder, "weights.safetensors", mutated(weights, seed, HEADER_WORDS))
        load_style(folder)
        load_generator(folder / "weights.safetensors")

    return one


def pickles(folder: Path) -> Callable[[int], object]:
    """A damaged archive of torch's."""
    from engines.importing.state_dict import load_generator

    weights = (folder / "weights.pt").read_bytes()

    def one(seed: int) -> None:
        (folder / "damaged.pt").write_bytes(mutated(weights, seed, [b"cos\nsystem\n", b"\x80\x02", b"R."]))
        load_generator(folder / "damaged.pt")

    return one


TARGETS = {each.__name__: each for each in (cards, recipes, graphs, altered, foreign, tensors, pickles)}


def _replace(folder: Path, name: str, data: bytes) -> None:
    """A file with its checksum in the card, as whoever made the file would have it."""
    (folder / name).write_bytes(data)
    card = (folder / "card.toml").read_text(encoding="utf-8")
    line = f'"{name}" = "{hashlib.sha256(data).hexdigest()}"'
    (folder / "card.toml").write_text(re.sub(rf'"{re.escape(name)}" = "\w+"', line, card), encoding="utf-8")


def main(target: str, first: int, cases: int, folder: Path) -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    one = TARGETS[target](folder)
    count = run_cases(one, range(first, first + cases), StreamtoonError, folder / "running")
    sys.stdout.write(json.dumps(asdict(count)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
