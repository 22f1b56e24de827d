"""What can be scored: a style in an engine, a folder of results, OpenCV's filters, the untouched photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, get_args

import cv2
import numpy as np

from engines.backends.registry import BACKENDS
from engines.common.arrays import Image
from engines.common.image_files import read_image
from engines.engine import Engine
from engines.errors import StreamtoonError
from engines.factory import open_engine
from engines.registry.look_table import to_table
from engines.registry.style import CARD, Style, load_style
from engines.settings import EngineSettings
from engines.spec import NAMED_QUALITIES, Precision
from eval.scoring.image_set import find_images
from eval.scoring.results import Skipped

UNTOUCHED = "photos, untouched"


class Candidate(Protocol):
    """Returns one result for each photo, in order."""

    name: str
    facts: dict[str, Any]
    """Everything that the results depend on, as plain values. It is complete after the first image."""
    back: Callable[[Image], Image] | None
    """Maps a result back to a photograph, if that is possible."""
    skipped: tuple[Skipped, ...]
    """Results that cannot be scored."""

    @property
    def style(self) -> Style | None:
        """The style whose network draws, if there is one."""

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """Yield one H x W x 3 RGB image for each photo.

        Raises StreamtoonError: immediately if results are missing, later if one cannot be made.
        """

    def unusable(self, paths: Sequence[Path]) -> set[Path]:
        """Return the photos whose results exist but cannot be scored. They are left out for all
        candidates.
        """

    def own(self) -> Sequence[Path]:
        """Return results that exist without photos. Raises StreamtoonError if photos are needed."""

    def close(self) -> None:
        """Free all resources."""

    def __enter__(self) -> Candidate: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Candidate:
    style: Style | None = None
    back: Callable[[Image], Image] | None = None
    skipped: tuple[Skipped, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.facts: dict[str, Any] = {}

    def unusable(self, paths: Sequence[Path]) -> set[Path]:
        return set()

    def own(self) -> Sequence[Path]:
        raise StreamtoonError(f"{self.name} needs photos to draw; give their folder with --photos")

    def close(self) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GeneratedImages(_Candidate):
    """A function that is applied to each photo."""

    def __init__(
        self,
        name: str,
        draw: Callable[[Image], Image],
        facts: dict[str, Any] | None = None,
        back: Callable[[Image], Image] | None = None,
    ) -> None:
        super().__init__(name)
        self.draw, self.back = draw, back
        self.facts = facts or {}

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """Yield the results as `Candidate` says."""
        return (self.draw(read_image(path)) for path in paths)


class Styled(_Candidate):
    """A style in an engine. The default is as its author intended: at its own size, in fp32.

    Words after the style's name, each after a colon, select a quality, a precision or an engine.
    """

    def __init__(self, name: str, style: Style, words: Sequence[str] = ()) -> None:
        super().__init__(name)
        self._whole = style
        self.style: Style = style.form(next((word for word in words if word in NAMED_QUALITIES), "full"))
        chosen = {_kind_of(word): word for word in words}
        self._settings = EngineSettings(
            style,
            quality=chosen.get("quality", "full"),
            precision=chosen.get("precision", "fp32"),
            backend=chosen.get("backend", "auto"),
        )
        self._engine: Engine | None = None

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """Yield the results as `Candidate` says."""
        return (self.draw(read_image(path)) for path in paths)

    def draw(self, photo: Image) -> Image:
        """Return one result. Raises EngineError if the engine or the precision is not available."""
        if self._engine is None:
            height, width = photo.shape[:2]
            self._engine = open_engine(self._settings, width=width, height=height)
            facts = self._engine.facts
            self.facts = {
                "style": facts.style,
                "engine": facts.backend,
                "device": facts.device,
                "precision": facts.precision,
                "quality": facts.quality,
                "weights": next(iter(self.style.sha256.values())),  # a style may consist of a graph only
            }
            if self.style.look is not None:
                self.facts["look"] = to_table(self.style.look)
        return self._engine.rgb(photo)

    def close(self) -> None:
        """Free all resources as `Candidate` says."""
        if self._engine is not None:
            self._engine.close()


class Finished(_Candidate):
    """A folder of results with the names of their photos, in the same subfolders as the photos."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self._found = find_images(folder)
        self.folder, self.skipped = folder, self._found.skipped
        self.facts = {"folder": str(folder)}

    def unusable(self, paths: Sequence[Path]) -> set[Path]:
        """Return the photos whose only result is a grey, transparent or broken image."""
        serve = {path.stem for path in self._found.paths}
        broken = {one.path.stem for one in self.skipped} - serve
        return {path for path in paths if path.stem in broken}

    def own(self) -> Sequence[Path]:
        """Return every usable result in the folder."""
        return self._found.paths

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """Yield the results as `Candidate` says. StreamtoonError names the first photo without a result."""
        results: dict[str, list[Path]] = {}
        for path in self._found.paths:
            results.setdefault(path.stem, []).append(path)
        pairs = {path: self._result_of(path, results.get(path.stem, [])) for path in paths}
        missing = [path.name for path, result in pairs.items() if result is None]
        if missing:
            raise StreamtoonError(
                f"{self.folder} has no usable result for {len(missing)} of {len(paths)} photos "
                f"({missing[0]}...); give each result the name of its photo"
            )
        photo_of: dict[Path, Path] = {}
        for photo, result in pairs.items():
            assert result
            if photo_of.setdefault(result, photo) != photo:
                raise StreamtoonError(
                    f"{result} would be the result for both {photo_of[result]} and {photo}; put results "
                    "in the same subfolders as their photos"
                )
        return (read_image(result) for path in paths if (result := pairs[path]))

    def _result_of(self, photo: Path, choices: Sequence[Path]) -> Path | None:
        """Return the result with the photo's stem whose folders, and then whose name, are most similar to
        it.
        """
        if photo in choices or len(choices) < 2:
            return photo if photo in choices else next(iter(choices), None)

        def likeness(path: Path) -> tuple[int, bool]:
            folders = path.relative_to(self.folder).parent.parts
            fits = photo.parent.parts[len(photo.parent.parts) - len(folders) :] == folders
            return len(folders) if fits else -1, path.name == photo.name

        first, second = sorted(choices, key=likeness, reverse=True)[:2]
        return first if likeness(first)[0] >= 0 and likeness(first) > likeness(second) else None


def untouched() -> Candidate:
    """Return the photos themselves, which every result has to beat."""
    return GeneratedImages(UNTOUCHED, lambda photo: photo)


def _stylization(photo: Image) -> Image:
    bgr = cv2.cvtColor(photo, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.cvtColor(cv2.stylization(bgr), cv2.COLOR_BGR2RGB), np.uint8)


def _edge_preserving(photo: Image) -> Image:
    bgr = cv2.cvtColor(photo, cv2.COLOR_RGB2BGR)
    return np.asarray(cv2.cvtColor(cv2.edgePreservingFilter(bgr), cv2.COLOR_BGR2RGB), np.uint8)


FILTERS: dict[str, Callable[[Image], Image]] = {
    "opencv-stylization": _stylization,
    "opencv-edge-preserving": _edge_preserving,
}
"""Filters of OpenCV, which need no training (Gastal and Oliveira, "Domain transform", 2011)."""


def open_candidate(text: str) -> GeneratedImages | Styled | Finished:
    """Open the candidate `text`: STYLE[:WORD...], a style's folder, a folder of results, or one of `FILTERS`.

    Raises StreamtoonError for anything else.
    """
    if not text:
        raise StreamtoonError("a candidate has no name; give a style or a folder")
    if text in FILTERS:
        return GeneratedImages(text, FILTERS[text], {"opencv": cv2.__version__})
    name, words = _split(text)
    folder = Path(name)
    if folder.is_dir() and not words and not (folder / CARD).exists():
        return Finished(text, folder)
    return Styled(text, load_style(name), words)


def _kind_of(word: str) -> str:
    if word in NAMED_QUALITIES:
        return "quality"
    return "backend" if word in BACKENDS else "precision"


def _split(text: str) -> tuple[str, list[str]]:
    """Split a name from the known words after it. A path may contain colons."""
    known = {*NAMED_QUALITIES, *get_args(Precision), *BACKENDS}
    words: list[str] = []
    while (parts := text.rpartition(":"))[2] in known and parts[0]:
        text, words = parts[0], [parts[2], *words]
    kinds = [_kind_of(word) for word in words]
    if len(set(kinds)) < len(kinds):
        raise StreamtoonError(f"{text}:{':'.join(words)} has two words of one kind; give at most one of each")
    return text, words
