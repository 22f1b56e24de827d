"""A video scored beside its source: flicker, sharpness and likeness (`eval.film` says how)."""

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
from streamtoon.film import Film

if TYPE_CHECKING:
    from eval.film import FilmScore
    from eval.report.model import PictureRow

Image = NDArray[np.uint8]


def total_of(path: Path) -> int | None:
    """An estimate of a video's pictures. Raises InputError when it cannot be read."""
    return Film(path).total


def score_video(
    source: Path,
    *,
    fake: Path | None = None,
    style: str | None = None,
    keep: int = 0,
    tick: Callable[[], object] | None = None,
) -> tuple[FilmScore, list[PictureRow]]:
    """Scores a finished video, or what a style makes of the source's pictures before any encoder sees them.

    One of `fake` and `style` is given; a style may have words behind it, as in "comic:fast:int8". `keep` is
    how many pictures from all over the video are given back for a report. The score's protocol says what the
    candidate's pictures hang on. Raises StreamtoonError: a file that cannot be read, an unknown style, films
    of different lengths or sizes.
    """
    from eval.candidates import Finished, open_candidate
    from eval.film import score_film
    from eval.report.model import PictureRow

    name = str(fake or style)
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
                raise InputError(f"{name} is a folder of pictures, expected a style; --fake takes a video")
            drawn = map(candidate.draw, again)
        film = score_film(photos.watch(frames), cartoons.watch(drawn), tick=tick)
        if fake is None:
            facts = candidate.facts
    film = replace(film, protocol={**film.protocol, "candidate": facts})
    both = zip(photos.pictures.items(), cartoons.pictures.values(), strict=True)
    return film, [PictureRow(f"picture {at + 1}", photo, {name: cartoon}) for (at, photo), cartoon in both]


class _Kept:
    """Copies of some pictures of a stream that somebody else reads."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self.pictures: dict[int, Image] = {}

    def watch(self, stream: Iterable[Image]) -> Iterator[Image]:
        """The stream, as it is."""
        for number, picture in enumerate(stream):
            if number in self._wanted:
                self.pictures[number] = picture.copy()
            yield picture


def _upright(path: Path) -> Generator[Image]:
    """Every picture of a video as a player shows it, H x W x 3 RGB with square pixels."""
    film = Film(path)
    for frame in film.frames(film.whole()):
        assert frame.picture
        yield frame.picture()
