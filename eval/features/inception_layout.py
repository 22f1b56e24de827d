"""The layout of Inception-v3, and the names of its convolutions in two kinds of weight files."""

from __future__ import annotations

from typing import NamedTuple

# One line per branch, with its steps in order. "|" precedes a last step that has the same input as the step
# before it. A convolution is its name, its width and its kernel (height x width). It keeps the image size,
# except "/2" (stride 2) and "-" (no padding). "mean" and "max" are pools of 3 x 3.
_STEM = """Conv2d_1a_3x3 32 3x3/2, Conv2d_2a_3x3 32 3x3-, Conv2d_2b_3x3 64 3x3, max/2,
    Conv2d_3b_1x1 80 1x1, Conv2d_4a_3x3 192 3x3-, max/2"""
_A = """branch1x1 64 1x1;
    branch5x5_1 48 1x1, branch5x5_2 64 5x5;
    branch3x3dbl_1 64 1x1, branch3x3dbl_2 96 3x3, branch3x3dbl_3 96 3x3;
    mean, branch_pool {width} 1x1"""
_B = """branch3x3 384 3x3/2;
    branch3x3dbl_1 64 1x1, branch3x3dbl_2 96 3x3, branch3x3dbl_3 96 3x3/2;
    max/2"""
_C = """branch1x1 192 1x1;
    branch7x7_1 {width} 1x1, branch7x7_2 {width} 1x7, branch7x7_3 192 7x1;
    branch7x7dbl_1 {width} 1x1, branch7x7dbl_2 {width} 7x1, branch7x7dbl_3 {width} 1x7,
        branch7x7dbl_4 {width} 7x1, branch7x7dbl_5 192 1x7;
    mean, branch_pool 192 1x1"""
_D = """branch3x3_1 192 1x1, branch3x3_2 320 3x3/2;
    branch7x7x3_1 192 1x1, branch7x7x3_2 192 1x7, branch7x7x3_3 192 7x1, branch7x7x3_4 192 3x3/2;
    max/2"""
_E = """branch1x1 320 1x1;
    branch3x3_1 384 1x1, branch3x3_2a 384 1x3 | branch3x3_2b 384 3x1;
    branch3x3dbl_1 448 1x1, branch3x3dbl_2 384 3x3, branch3x3dbl_3a 384 1x3 | branch3x3dbl_3b 384 3x1;
    {pool}, branch_pool 192 1x1"""

_BLOCKS = {
    "": _STEM,
    "Mixed_5b": _A.format(width=32),
    "Mixed_5c": _A.format(width=64),
    "Mixed_5d": _A.format(width=64),
    "Mixed_6a": _B,
    "Mixed_6b": _C.format(width=128),
    "Mixed_6c": _C.format(width=160),
    "Mixed_6d": _C.format(width=160),
    "Mixed_6e": _C.format(width=192),
    "Mixed_7a": _D,
    "Mixed_7b": _E.format(pool="mean"),
    "Mixed_7c": _E.format(pool="max"),
}
"""The blocks in order, by their names in weight files. The layers of the stem have no such name."""


class Step(NamedTuple):
    """A pool, or a convolution with its ReLU."""

    name: str
    """"mean", "max", "max/2" or the name of the convolution."""
    width: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True

    @property
    def is_pool(self) -> bool:
        """Whether the step has no weights."""
        return not self.width


class Branch(NamedTuple):
    """Consecutive steps, and the one parallel to the last of them."""

    steps: tuple[Step, ...]
    parallel: Step | None = None


def _step(text: str) -> Step:
    name, *rest = text.split()
    if not rest:
        return Step(name)
    size = rest[1].removesuffix("/2").removesuffix("-")
    height, width = map(int, size.split("x"))
    halved = rest[1].endswith("/2")
    return Step(name, int(rest[0]), (height, width), 2 if halved else 1, padded=size == rest[1])


def _branch(text: str) -> Branch:
    chain, _, parallel = text.partition("|")
    return Branch(tuple(map(_step, chain.split(","))), _step(parallel) if parallel else None)


LAYOUT = {name: tuple(map(_branch, text.split(";"))) for name, text in _BLOCKS.items()}


def script_names() -> list[tuple[str, str]]:
    """Return (pytorch-fid's name, the script's name) of every convolution.

    The script numbers its parts: blocks are mixed, mixed_1..., branches with several convolutions are tower,
    tower_1..., and their convolutions conv, conv_1.... The last two blocks join them with underscores.
    """
    names: list[tuple[str, str]] = []

    def count(word: str, index: int) -> str:
        return f"{word}_{index}" if index else word

    stem, *mixed = LAYOUT.items()
    convolutions = [step for step in stem[1][0].steps if not step.is_pool]
    names += [(step.name, count("conv", index)) for index, step in enumerate(convolutions)]
    for number, (block, branches) in enumerate(mixed):
        joint = "_" if any(branch.parallel for branch in branches) else "."
        towers = 0
        for branch in branches:
            convolutions = [step for step in branch.steps if not step.is_pool]
            if len(branch.steps) == 1:
                places = ["conv"]
            else:
                tower = count("tower", towers)
                towers += 1
                places = [f"{tower}{joint}{count('conv', index)}" for index in range(len(convolutions))]
                if branch.parallel:
                    convolutions.append(branch.parallel)
                    places[-1:] = [f"{tower}_mixed_conv", f"{tower}_mixed_conv_1"]
            for step, place in zip(convolutions, places, strict=False):
                names.append((f"{block}.{step.name}", f"{count('mixed', number)}.{place}"))
    return names
