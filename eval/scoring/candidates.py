"""What is scored: a style in a given engine, a folder of finished pictures, OpenCV's filters, the photos."""

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
    """Gives a result for each photo, in order."""

    name: str
    facts: dict[str, Any]
    """What the results hang on, as plain values; complete after the first picture."""
    back: Callable[[Image], Image] | None
    """From a result to a photograph again, where there is a way."""
    skipped: tuple[Skipped, ...]
    """Results that do not serve."""

    @property
    def style(self) -> Style | None:
        """Whose network draws, where one does."""

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """One H x W x 3 RGB picture for each photo.

        Raises StreamtoonError: at once where results are missing, else when one cannot be made.
        """

    def unusable(self, paths: Sequence[Path]) -> set[Path]:
        """The photos whose results are there but do not serve: they are left out for everybody."""

    def own(self) -> Sequence[Path]:
        """Results that are there without photos. Raises StreamtoonError where photos are needed."""

    def close(self) -> None:
        """Frees what it holds."""

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
        raise StreamtoonError(f"{self.name} needs photos to draw: name their folder with --photos")

    def close(self) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class GeneratedImages(_Candidate):
    """A function applied to each photo."""

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
        """As `Candidate` says."""
        return (self.draw(read_image(path)) for path in paths)


class Styled(_Candidate):
    """A style through the engine, by default as its author meant it: at its own size, in fp32.

    Words after the style's name, each behind a colon, say otherwise: a quality, a precision, an engine.
    """

    def __init__(self, name: str, style: Style, words: Sequence[str] = ()) -> None:
        super().__init__(name)
        self._whole = style
        self.style: Style = style.form(next((word for word in words if word in NAMED_QUALITIES), "full"))
        wish = {_kind_of(word): word for word in words}
        self._settings = EngineSettings(
            style,
            quality=wish.get("quality", "full"),
            precision=wish.get("precision", "fp32"),
            backend=wish.get("backend", "auto"),
        )
        self._engine: Engine | None = None

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """As `Candidate` says."""
        return (self.draw(read_image(path)) for path in paths)

    def draw(self, photo: Image) -> Image:
        """One result. Raises EngineError for an engine or a precision that is not here."""
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
                "weights": next(iter(self.style.sha256.values())),  # a style may be a graph alone
            }
            if self.style.look is not None:
                self.facts["look"] = to_table(self.style.look)
        return self._engine.rgb(photo)

    def close(self) -> None:
        """As `Candidate` says."""
        if self._engine is not None:
            self._engine.close()


class Finished(_Candidate):
    """A folder of results, named as their photos are; in folders within it where the photos are, too."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name)
        self._found = find_images(folder)
        self.folder, self.skipped = folder, self._found.skipped
        self.facts = {"folder": str(folder)}

    def unusable(self, paths: Sequence[Path]) -> set[Path]:
        """Photos with a grey, transparent or broken picture for a result, and no other."""
        serve = {path.stem for path in self._found.paths}
        broken = {one.path.stem for one in self.skipped} - serve
        return {path for path in paths if path.stem in broken}

    def own(self) -> Sequence[Path]:
        """Every result in the folder that serves."""
        return self._found.paths

    def pictures(self, paths: Sequence[Path]) -> Iterator[Image]:
        """As `Candidate` says; StreamtoonError names the first photo without a result of its own."""
        results: dict[str, list[Path]] = {}
        for path in self._found.paths:
            results.setdefault(path.stem, []).append(path)
        pairs = {path: self._result_of(path, results.get(path.stem, [])) for path in paths}
        missing = [path.name for path, result in pairs.items() if result is None]
        if missing:
            raise StreamtoonError(
                f"{self.folder} holds no result that serves for {len(missing)} of {len(paths)} photos "
                f"({missing[0]}...); results are named as their photos are"
            )
        photo_of: dict[Path, Path] = {}
        for photo, result in pairs.items():
            assert result
            if photo_of.setdefault(result, photo) != photo:
                raise StreamtoonError(
                    f"{result} would be the result for both {photo_of[result]} and {photo}; give results in "
                    "the same folders as their photos"
                )
        return (read_image(result) for path in paths if (result := pairs[path]))

    def _result_of(self, photo: Path, choices: Sequence[Path]) -> Path | None:
        """Of results with the photo's stem the one whose folders, and then whose name, are most like its."""
        if photo in choices or len(choices) < 2:
            return photo if photo in choices else next(iter(choices), None)

        def likeness(path: Path) -> tuple[int, bool]:
            folders = path.relative_to(self.folder).parent.parts
            fits = photo.parent.parts[len(photo.parent.parts) - len(folders) :] == folders
            return len(folders) if fits else -1, path.name == photo.name

        first, second = sorted(choices, key=likeness, reverse=True)[:2]
        return first if likeness(first)[0] >= 0 and likeness(first) > likeness(second) else None


def untouched() -> Candidate:
    """The photos themselves: the row that every result has to beat."""
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
"""What comes with OpenCV and needs no training (Gastal and Oliveira, "Domain transform", 2011)."""


def open_candidate(text: str) -> GeneratedImages | Styled | Finished:
    """What `text` names: STYLE[:WORD...], a style's folder, a folder of results, or one of `FILTERS`.

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
    """A name and the known words behind it: a colon may be part of a path."""
    known = {*NAMED_QUALITIES, *get_args(Precision), *BACKENDS}
    words: list[str] = []
    while (parts := text.rpartition(":"))[2] in known and parts[0]:
        text, words = parts[0], [parts[2], *words]
    kinds = [_kind_of(word) for word in words]
    if len(set(kinds)) < len(kinds):
        raise StreamtoonError(f"{text}:{':'.join(words)} names two of one kind; give one of each at most")
    return text, words
