"""Compares a look's network with the abstraction program that it imitates, both finished by the same look.

The program is slow and exact. Its own figures are reported, too, because a look is only as good as the
program's drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image
from engines.errors import EngineError, StyleError
from engines.factory import open_engine
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo, Frame
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import BLOCK, INK_THRESHOLD, FieldPlanes
from engines.imaging.working_size import field_size, fit, reduce
from engines.looks.renderer import LookRenderer
from engines.registry.style import Style
from engines.settings import EngineSettings
from eval.metrics.flat import flat
from eval.metrics.outline import outline
from eval.metrics.ssim import ssim
from training.abstraction.face_finder import FaceFinder
from training.data.field_pairs import pair_of
from training.recipe import FieldSettings

COLOR = ColorInfo("bt709", full_range=False)
"""Colour of the photos that are given to the network."""
RANGE = 219.0
"""Code values between black and white in limited range."""


@dataclass(frozen=True, slots=True)
class FieldScore:
    """The figures of one photo, or means of several."""

    ssim: float
    """SSIM of the finished luma, network against program; 1 is equal."""
    ink_iou: float
    """Intersection over union of the samples whose ink response is at or above a line's threshold."""
    flat: float
    """The metric `flat` of the network's drawing."""
    outline: float
    """The metric `outline` of the network's drawing."""
    program_flat: float
    """The same for the program's drawing."""
    program_outline: float
    photo_flat: float
    """`flat` of the photo itself."""


def score_fields(
    style: Style,
    photos: Path,
    *,
    backend: str = "auto",
    precision: str = "auto",
    quality: str = "full",
    height: int = 720,
    face_models: Path | None = None,
) -> Iterator[tuple[Path, FieldScore]]:
    """Score every photo of a folder; each takes about 3 s on one core at 720 lines.

    Args:
        style: A style with a look.
        photos: The folder.
        backend: Engine, as for `open_engine`.
        precision: Numeric precision, as for `open_engine`.
        quality: Quality, as for `open_engine`.
        height: Larger photos are reduced to this short side in pixels.
        face_models: MediaPipe's wheel. With it, the program draws small faces, too, as it did for the shipped
            looks.

    Yields:
        The path of each photo and its figures.

    Raises:
        StyleError: The style is not a look.
        EngineError: The engine cannot be opened.
        StreamtoonError: The folder has no photos, or the face models cannot be read.
    """
    if style.look is None:
        raise StyleError(f"style {style.name} has no look; there is no program to compare its network with")
    program = _Program(face_models)
    multiple = BLOCK * style.form(quality).size_multiple
    for path in list_images(photos):
        photo = _prepared(read_image(path), height, multiple)
        yield path, _score(style, program, photo, backend, precision, quality)


def mean_score(scores: Iterable[FieldScore]) -> FieldScore:
    """Return the mean of each figure. Raises ValueError without scores."""
    rows = [[getattr(score, name) for name in FieldScore.__slots__] for score in scores]
    if not rows:
        raise ValueError("no scores to take a mean of")
    return FieldScore(*np.mean(rows, axis=0).tolist())


def _prepared(photo: Image, height: int, multiple: int) -> Image:
    """Reduce to a short side of at most `height` pixels, and crop the sides to multiples of `multiple`."""
    scale = min(1.0, height / min(photo.shape[:2]))
    rows, columns = (max(multiple, round(side * scale) // multiple * multiple) for side in photo.shape[:2])
    return fit(photo, rows, columns) if scale < 1 else np.ascontiguousarray(photo[:rows, :columns])


class _Program:
    """The abstraction program with its default settings."""

    def __init__(self, face_models: Path | None) -> None:
        self._find = FaceFinder(face_models) if face_models else None

    def __call__(self, photo: Image) -> FieldPlanes:
        """Return the fields of a photo."""
        pair = pair_of(photo, FieldSettings(), self._find(photo) if self._find else ())
        y, u, v = _planes(np.ascontiguousarray(pair[..., 3:6]))
        return FieldPlanes(y, u, v, np.ascontiguousarray(pair[..., 6]))


def _score(
    style: Style, program_of: _Program, photo: Image, backend: str, precision: str, quality: str
) -> FieldScore:
    assert style.look is not None, "asked for by the caller"
    height, width = photo.shape[:2]
    picture = _picture(photo)
    settings = EngineSettings(style, backend=backend, precision=precision, quality=quality)
    with open_engine(settings, width=width, height=height) as engine:
        if not isinstance(engine, FieldsEngine):
            raise EngineError(f"style {style.name} has no fields in this engine; use openvino")
        network = engine.fields(picture)
        (finished,) = engine.looks(picture, [style.look])
        form, kind = style.form(quality), engine.facts.quality
    size = field_size(kind, None, form.working_height, height, width, form.size_multiple)
    program = program_of(fit(photo, size.source_height, size.source_width))
    drawn_at = size.drawn_height, size.drawn_width
    render = LookRenderer(style.look, COLOR, size.source_height, size.source_width, drawn=drawn_at)
    drawn, wanted = _luma(finished.y), _luma(reduce(render(program)[0], height, width))
    seen = _luma(picture.y)
    ours, theirs = network.ink >= INK_THRESHOLD, program.ink >= INK_THRESHOLD
    return FieldScore(
        ssim=ssim(drawn, wanted, data_range=RANGE),
        ink_iou=float((ours & theirs).sum() / max(1, (ours | theirs).sum())),
        flat=flat(seen, drawn, data_range=RANGE),
        outline=outline(seen, drawn, data_range=RANGE),
        program_flat=flat(seen, wanted, data_range=RANGE),
        program_outline=outline(seen, wanted, data_range=RANGE),
        photo_flat=flat(seen, seen, data_range=RANGE),
    )


def _picture(photo: Image) -> Frame:
    y, u, v = _planes(photo)
    return Frame(y, u, v, 0, Fraction(1), color=COLOR)


def _planes(rgb: Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the 4:2:0 planes of an image with even sides."""
    y, u, v = rgb_to_yuv(rgb, COLOR)
    half = rgb.shape[0] // 2, rgb.shape[1] // 2
    return y, fit(u, *half), fit(v, *half)


def _luma(plane: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert limited-range luma to 0 to `RANGE`."""
    return plane.astype(np.float64) - 16
