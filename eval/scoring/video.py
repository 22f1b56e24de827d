"""Score a video against its source: flicker, sharpness and similarity, frame by frame, in bounded memory."""

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
"""A pixel whose luma differs by more code values counts as changed. Compression changes less."""
MIN_MOVING_SHARE = 0.1
"""Share of a frame that must change for a cut. Black bars and static rooms do not change."""
MAX_MATCHED_SHARE = 0.5
"""At a cut, less than this share of what changed is found again: up to 0.2 at cuts, over 0.21 in fast
motion.
"""
MIN_CUT_ERROR = 0.03
"""At a cut, the warping error of what changed exceeds this: from 0.038 at cuts, up to 0.024 in fast
motion.
"""
FLASH = 0.01
"""Warping error of the visible source above which the flow is not valid: flashes, and cuts between plain
frames, which match anywhere. Other footage stays below 0.0013.
"""


@dataclass(frozen=True, slots=True)
class FilmScore:
    """The score of a video."""

    metrics: dict[str, float]
    """`ewarp`, `sharpness`, and each of them as `-source` (of the source) and `-ratio` (video divided by
    source); `ssim` of luma to the source, the mean over all frames. A ratio is missing if the source's figure
    is 0, as for a still or a plain image.
    """
    protocol: dict[str, Any]
    """Plain values."""
    frames: int
    pairs: int
    """Pairs of consecutive frames that were compared."""
    cuts: int
    """Pairs that were left out because of a cut or a flash in the source."""


def score_film(
    sources: Iterable[Image], outputs: Iterable[Image], *, tick: Callable[[], object] | None = None
) -> FilmScore:
    """Score `outputs` against the frames of their source. All are H x W x 3 RGB.

    Reads one frame of each at a time and keeps two; `tick` is called after each. A low `ewarp` means little
    flicker, but blurred and grey videos have that as well: look at `sharpness-ratio`, too.

    Raises StreamtoonError if the numbers or sizes of frames differ, there are fewer than two, they are too
    small, or no two consecutive frames belong together.
    """
    sums = _Sums()
    before: tuple[Image, Image] | None = None
    for source, output in _frame_pairs(sources, outputs):
        _require_matching_sizes(source, output, before, sums.frames + 1)
        sums.add_frame(source, output)
        if before:
            sums.add_pair(before, (source, output))
        # Copies: a decoder may reuse its buffer.
        before = source.copy(), output.copy()
        if tick:
            tick()
    return sums.score()


def _frame_pairs(sources: Iterable[Image], outputs: Iterable[Image]) -> Iterator[tuple[Image, Image]]:
    """Yield pairs of frames. Raises StreamtoonError at the end if one of the two is longer."""
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
        f"the source has {source} frames, but the result has {output}; give the same part of "
        "the video with all of its frames"
    )


def _require_matching_sizes(
    source: Image, output: Image, before: tuple[Image, Image] | None, number: int
) -> None:
    if source.shape != output.shape:
        raise StreamtoonError(
            f"frame {number} is {_size(source)} in the source and {_size(output)} in the result; "
            "give both in one size"
        )
    if before and source.shape != before[0].shape:
        raise StreamtoonError(
            f"frame {number} is {_size(source)}, but the one before it is {_size(before[0])}; "
            "give a video of one size"
        )
    if min(source.shape[:2]) < MINIMUM_SIDE:
        raise StreamtoonError(
            f"the frames are {_size(source)}, but both sides must have at least {MINIMUM_SIDE} pixels"
        )


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


@dataclass(slots=True)
class _Sums:
    """Running sums over the frames."""

    frames: int = 0
    pairs: int = 0
    cuts: int = 0
    seen: float = 0.0
    """Sum of the shares of pixels on which pairs were compared."""
    size: str = ""
    totals: dict[str, float] = field(default_factory=dict)

    def add_frame(self, source: Image, output: Image) -> None:
        luma, drawn = _luma(source), _luma(output)
        self._add("sharpness-source", sharpness(luma))
        self._add("sharpness", sharpness(drawn))
        self._add("ssim", ssim(luma, drawn, data_range=255))
        self.frames += 1
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
        if self.frames < 2:
            raise StreamtoonError(f"a video's score needs at least 2 frames, but there are {self.frames}")
        if not self.pairs:
            raise StreamtoonError(
                f"none of the {self.frames} frames follows from the one before; give a longer part "
                "of a video at its full frame rate"
            )
        counts = {"ewarp": self.pairs, "sharpness": self.frames}
        metrics: dict[str, float] = {}
        for name, count in counts.items():
            own, sources = self.totals[name] / count, self.totals[f"{name}-source"] / count
            metrics |= {name: own, f"{name}-source": sources}
            if sources > 0:
                metrics[f"{name}-ratio"] = own / sources
        metrics["ssim"] = self.totals["ssim"] / self.frames
        return FilmScore(metrics, self._protocol(), self.frames, self.pairs, self.cuts)

    def _protocol(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "flow": f"DIS, medium, OpenCV {cv2.__version__}",
            "flow_side": MAX_FLOW_SIDE,
            "mask": "the source's: forward and backward agree, no motion boundary",
            "compared": round(self.seen / self.pairs, 4),
            "luma": "BT.601",
            "pictures": self.frames,
            "pairs": self.pairs,
            "cuts": self.cuts,
        }

    def _add(self, name: str, value: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + value


def _error_of_scene(before: Image, now: Image, forward: Flow, mask: Mask) -> float | None:
    """Return the source's own warping error, or None if the two frames belong to different scenes."""
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
