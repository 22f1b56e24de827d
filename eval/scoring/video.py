"""A film scored against its source: flicker, sharpness, likeness; picture by picture, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.metrics.ewarp import MAX_FLOW_SIDE, MINIMUM_SIDE, Flow, Mask, ewarp, flow, visible
from eval.metrics.sharpness import sharpness
from eval.metrics.ssim import ssim

CHANGED_CODE_VALUES = 8
"""Code values of luma by which a pixel has to differ to count as changed: compression stays below."""
MIN_MOVING_SHARE = 0.1
"""Share of the picture that has to change before there can be a cut: black bars and still rooms do not."""
MAX_MATCHED_SHARE = 0.5
"""A cut finds less than this share of what changed again: at cuts up to 0.2, in wild motion over 0.21."""
MIN_CUT_ERROR = 0.03
"""And misses what changed by more than this, as a warping error: cuts from 0.038, wild motion up to 0.024."""
FLASH = 0.01
"""Warping error of the source where it is visible, above which flow explains nothing: flashes, and cuts
between plain pictures, which seem to be found anywhere. Without either, footage stays below 0.0013."""


@dataclass(frozen=True, slots=True)
class FilmScore:
    """What a film scored."""

    metrics: dict[str, float]
    """`ewarp`, `sharpness` and each of them as `-source` (the source's own) and `-ratio` (the film's over the
    source's); `ssim`, of luma to the source, the mean over all pictures. A ratio is missing where the
    source's own figure is 0: a still, or a plain picture."""
    protocol: dict[str, Any]
    """Plain values."""
    pictures: int
    pairs: int
    """Of pictures in a row, that were compared."""
    cuts: int
    """Pairs left out, as the source cuts or flashes between the two."""


def score_film(
    sources: Iterable[Image], outputs: Iterable[Image], *, tick: Callable[[], object] | None = None
) -> FilmScore:
    """Scores `outputs`, a source's pictures after something was done to them, each H x W x 3 RGB.

    Takes one picture of each at a time and keeps two; `tick` is called after every one. A low `ewarp` says
    that the film is steady, which blur and grey are too: it means something only beside `sharpness-ratio`.

    Raises StreamtoonError when the two differ in number or size of pictures, there are fewer than two, they
    are too small, or no two in a row belong together.
    """
    sums = _Sums()
    before: tuple[Image, Image] | None = None
    for source, output in _frame_pairs(sources, outputs):
        _require_matching_sizes(source, output, before, sums.pictures + 1)
        sums.add_picture(source, output)
        if before:
            sums.add_pair(before, (source, output))
        # Copies: a decoder may hand out the same buffer again.
        before = source.copy(), output.copy()
        if tick:
            tick()
    return sums.score()


def _frame_pairs(sources: Iterable[Image], outputs: Iterable[Image]) -> Iterator[tuple[Image, Image]]:
    """Pairs of pictures. Raises StreamtoonError at the end when one of the two went on."""
    ours, theirs = iter(sources), iter(outputs)
    count = 0
    for source in ours:
        output = next(theirs, None)
        if output is None:
            longer = count + 1 + sum(1 for _ in ours)
            raise StreamtoonError(_differ_in_length(longer, count))
        count += 1
        yield source, output
    if rest := sum(1 for _ in theirs):
        raise StreamtoonError(_differ_in_length(count, count + rest))


def _differ_in_length(source: int, output: int) -> str:
    return (
        f"the source has {source} pictures and the result {output}; give both of the same stretch of film, "
        "with every frame kept"
    )


def _require_matching_sizes(
    source: Image, output: Image, before: tuple[Image, Image] | None, number: int
) -> None:
    if source.shape != output.shape:
        raise StreamtoonError(
            f"picture {number} is {_size(source)} in the source and {_size(output)} in the result; "
            "give both at one size"
        )
    if before and source.shape != before[0].shape:
        raise StreamtoonError(
            f"picture {number} is {_size(source)} and the one before it {_size(before[0])}; a film is "
            "scored at one size"
        )
    if min(source.shape[:2]) < MINIMUM_SIDE:
        raise StreamtoonError(
            f"the pictures are {_size(source)}: both sides must be at least {MINIMUM_SIDE} pixels"
        )


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


@dataclass(slots=True)
class _Sums:
    """What is kept of the pictures that went by."""

    pictures: int = 0
    pairs: int = 0
    cuts: int = 0
    seen: float = 0.0
    """Shares of pixels that pairs were compared on, summed up."""
    size: str = ""
    totals: dict[str, float] = field(default_factory=dict)

    def add_picture(self, source: Image, output: Image) -> None:
        luma, drawn = _luma(source), _luma(output)
        self._add("sharpness-source", sharpness(luma))
        self._add("sharpness", sharpness(drawn))
        self._add("ssim", ssim(luma, drawn, data_range=255))
        self.pictures += 1
        self.size = _size(source)

    def add_pair(self, before: tuple[Image, Image], now: tuple[Image, Image]) -> None:
        forward, backward = flow(before[0], now[0]), flow(now[0], before[0])
        mask = visible(forward, backward)
        error = _error_of_scene(before[0], now[0], forward, mask)
        if error is None:
            self.cuts += 1
            return
        self._add("ewarp-source", error)
        self._add("ewarp", ewarp(before[1], now[1], forward, mask))
        self.seen += float(mask.mean())
        self.pairs += 1

    def score(self) -> FilmScore:
        if self.pictures < 2:
            raise StreamtoonError(f"a film's score needs at least 2 pictures; there are {self.pictures}")
        if not self.pairs:
            raise StreamtoonError(
                f"none of the {self.pictures} pictures follows from the one before; give a longer stretch of "
                "a film, at its full frame rate"
            )
        counts = {"ewarp": self.pairs, "sharpness": self.pictures}
        metrics: dict[str, float] = {}
        for name, count in counts.items():
            own, sources = self.totals[name] / count, self.totals[f"{name}-source"] / count
            metrics |= {name: own, f"{name}-source": sources}
            if sources > 0:
                metrics[f"{name}-ratio"] = own / sources
        metrics["ssim"] = self.totals["ssim"] / self.pictures
        return FilmScore(metrics, self._protocol(), self.pictures, self.pairs, self.cuts)

    def _protocol(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "flow": f"DIS, medium, OpenCV {cv2.__version__}",
            "flow_side": MAX_FLOW_SIDE,
            "mask": "the source's: forward and backward agree, no motion boundary",
            "compared": round(self.seen / self.pairs, 4),
            "luma": "BT.601",
            "pictures": self.pictures,
            "pairs": self.pairs,
            "cuts": self.cuts,
        }

    def _add(self, name: str, value: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + value


def _error_of_scene(before: Image, now: Image, forward: Flow, mask: Mask) -> float | None:
    """The source's own warping error; None where the two pictures are not of one scene."""
    changed = cv2.absdiff(_luma(before), _luma(now)) > CHANGED_CODE_VALUES
    if (
        changed.mean() >= MIN_MOVING_SHARE
        and mask[changed].mean() < MAX_MATCHED_SHARE
        and ewarp(before, now, forward, changed) > MIN_CUT_ERROR
    ):
        return None
    if not mask.any():
        return None
    error = ewarp(before, now, forward, mask)
    return error if error <= FLASH else None


def _luma(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
