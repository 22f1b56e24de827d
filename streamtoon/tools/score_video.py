"""Scores a video against its source: flicker, sharpness and similarity (see `eval.scoring.video`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamtoon.errors import InputError
from streamtoon.tools.film import Film
from streamtoon.wording import counted

if TYPE_CHECKING:
    from eval.report.model import PictureRow
    from eval.scoring.video import FilmScore

Image = NDArray[np.uint8]
MIN_LENGTH_RATIO = 0.9
"""Of the shorter to the longer video, in duration and frames."""


def total_of(path: Path) -> int | None:
    """Estimate the number of frames of a video. Raises InputError if it cannot be read."""
    return Film(path).total


def score_video(
    source: Path,
    *,
    fake: Path | None = None,
    style: str | None = None,
    keep: int = 0,
    tick: Callable[[], object] | None = None,
) -> tuple[FilmScore, list[PictureRow]]:
    """Score a finished video, or the frames that a style draws from the source, before encoding.

    Args:
        source: The original video.
        fake: The finished video; give either this or `style`.
        style: A style, with quality and precision after colons, such as "comic:fast:int8".
        keep: Number of frames, spread over the video, to return for a report.
        tick: Called after each frame.

    Returns:
        The score, whose protocol describes the candidate, and the frames for a report.

    Raises:
        StreamtoonError: A file cannot be read, the style is unknown, or the videos differ in length or size.
    """
    from eval.report.model import PictureRow
    from eval.scoring.candidates import Finished, open_candidate
    from eval.scoring.video import score_film

    name = str(fake or style)
    if fake is not None:
        _require_same_length(source, fake)
    total = total_of(source) or 0
    wanted = {(2 * at + 1) * total // (2 * keep) for at in range(keep)} if keep else set()
    photos, cartoons = _Kept(wanted), _Kept(wanted)
    facts: dict[str, Any] = {"file": name}
    with ExitStack() as stack:
        frames, again = tee(stack.enter_context(closing(_upright(source))))
        if fake is not None:
            drawn: Iterator[Image] = stack.enter_context(closing(_upright(fake)))
        else:
            candidate = stack.enter_context(open_candidate(name))
            if isinstance(candidate, Finished):
                raise InputError(f"{name} is a folder of images, expected a style; use --fake for a video")
            drawn = map(candidate.draw, again)
        film = score_film(photos.watch(frames), cartoons.watch(drawn), tick=tick)
        if fake is None:
            facts = candidate.facts
    film = replace(film, protocol={**film.protocol, "candidate": facts})
    both = zip(photos.pictures.items(), cartoons.pictures.values(), strict=True)
    return film, [PictureRow(f"picture {at + 1}", photo, {name: cartoon}) for (at, photo), cartoon in both]


def _require_same_length(source: Path, fake: Path) -> None:
    """Raise InputError if the declared lengths of both files differ clearly.

    Declared lengths are estimates; similar ones are counted exactly during the scoring.
    """
    ours, theirs = Film(source), Film(fake)
    declared = ((ours.total, theirs.total), (ours.info.duration, theirs.info.duration))
    if all(a and b and min(a, b) < MIN_LENGTH_RATIO * max(a, b) for a, b in declared):
        raise InputError(
            f"the source has about {counted(ours.total or 0, 'frame')} and the result about "
            f"{counted(theirs.total or 0, 'frame')}; both must show the same part of the video"
        )


class _Kept:
    """Keeps copies of some frames of a stream."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self.pictures: dict[int, Image] = {}

    def watch(self, stream: Iterable[Image]) -> Iterator[Image]:
        """Pass the stream through."""
        for number, picture in enumerate(stream):
            if number in self._wanted:
                self.pictures[number] = picture.copy()
            yield picture


def _upright(path: Path) -> Generator[Image]:
    """Yield every frame of a video as a player shows it: RGB, H x W x 3, with square pixels."""
    film = Film(path)
    for frame in film.frames(film.whole()):
        assert frame.picture
        yield frame.picture()
