"""Compare the results of each quality, precision and engine with the full quality: the cost of speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from engines.backends.selection import available
from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image
from engines.errors import EngineError, StreamtoonError
from engines.factory import open_engine
from engines.registry.style import Style
from engines.settings import EngineSettings
from engines.spec import PRECISIONS, QUALITIES
from eval.bench.results import BenchRow, QualityRow, Similarity
from eval.metrics.ssim import WINDOW
from eval.report.model import PictureRow
from eval.scoring.image_set import sample_evenly
from eval.scoring.paired import PAIRED_METRICS

MAX_COMPARED_PHOTOS, MAX_SHOWN_PHOTOS = 24, 3
"""Most photographs that are compared, and most that are shown."""
MAX_SIDE_PIXELS = 1280
"""Longer side in pixels. A larger photograph is reduced to it."""
Offers = Mapping[str, Mapping[str, Sequence[str]]]
"""Backend -> device -> precisions."""


@dataclass(frozen=True, slots=True)
class QualityVariant:
    """One combination of quality, engine, device and precision."""

    engine: str
    device: str
    quality: str
    precision: str


@dataclass(frozen=True, slots=True)
class StyleLooks:
    """All variants of one style."""

    style: str
    looks: Sequence[QualityRow]
    """The rows, the reference first."""
    pictures: Sequence[PictureRow]
    """Some of the photographs. The results are keyed by their position in `looks`, as text."""
    ssim: Sequence[Sequence[float]]
    """SSIM of each of `pictures`, in the order of `looks`."""


def read_photos(folder: Path) -> dict[str, Image]:
    """Read all photographs in `folder` and its subfolders, by name.

    Raises StreamtoonError if there is none, or if one cannot be opened or is too small for the comparison.
    """
    if not folder.is_dir():
        raise StreamtoonError(f"{folder} is not a folder; give a folder of photographs")
    paths = sample_evenly(list_images(folder), MAX_COMPARED_PHOTOS)
    return bundled_photos({path.relative_to(folder).as_posix(): read_image(path) for path in paths})


def bundled_photos(pictures: Mapping[str, Image]) -> dict[str, Image]:
    """Return the images at the size of the comparison.

    Raises StreamtoonError if one is too small for it.
    """
    found = {name: _reduced(picture) for name, picture in pictures.items()}
    for name, picture in found.items():
        height, width = picture.shape[:2]
        if min(height, width) < WINDOW:
            raise StreamtoonError(
                f"{name} is {width}x{height} pixels at the size of the comparison, but SSIM needs "
                f"{WINDOW} pixels each way; remove it from the folder"
            )
    return found


def compare_variants(
    styles: Sequence[Style],
    rows: Sequence[BenchRow],
    photos: Mapping[str, Image],
    report: Callable[[float, str], object] | None = None,
) -> tuple[list[StyleLooks], list[str]]:
    """Compare the variants of every style that has rows: those of its rows, and all others of the same
    engine.

    Returns the results, and one sentence for each variant that was skipped. `report` is called with the share
    that is done, 0 to 1, and the name of what runs now.
    """
    offers = {backend.name: backend.devices for backend in available()}
    jobs = {
        style.name: (style, variants_of(style, own, offers))
        for style in styles
        if (own := [row for row in rows if row.style == style.name])
    }
    total = len(photos) * sum(len(variants) for _, variants in jobs.values())
    looks: list[StyleLooks] = []
    notes: list[str] = []
    done = 0
    for style, variants in jobs.values():
        comparison = _Comparison(style, photos)
        for variant in variants:
            words = f"{style.name} {variant.quality} {variant.precision}"
            try:
                for _ in comparison.add(variant):
                    done += 1
                    if report:
                        report(done / total, words)
            except StreamtoonError as error:
                notes.append(f"the comparison of {words} is skipped: {str(error).rstrip('.')}")
                if not comparison.looks:  # there is no reference
                    break
        if comparison.looks:
            looks.append(comparison.found())
    return looks, notes


def variants_of(style: Style, rows: Sequence[BenchRow], offers: Offers) -> list[QualityVariant]:
    """Return the reference, the fp32 and int8 variants of the first row's engine, and the variants of all
    other rows.
    """
    engine, device = rows[0].engine, rows[0].device
    kinds = ("full", "fast", "lite") if style.lite else ("full", "fast")
    forms = {kind: style.form(kind) for kind in kinds}
    variants = [QualityVariant(engine, device, "full", "fp32")]
    for quality, form in forms.items():
        variants.append(QualityVariant(engine, device, quality, "fp32"))
        if form.int8_graph and "int8" in offers.get(engine, {}).get(device, ()):
            variants.append(QualityVariant(engine, device, quality, "int8"))
    variants += [QualityVariant(row.engine, row.device, row.chosen, row.precision) for row in rows]
    order: list[tuple[str, str]] = [*product(QUALITIES, PRECISIONS)]
    return sorted(
        dict.fromkeys(variants), key=lambda variant: order.index((variant.quality, variant.precision))
    )


class _Comparison:
    """Compares the variants of one style, added one after the other, the reference first."""

    def __init__(self, style: Style, photos: Mapping[str, Image]) -> None:
        self._style, self._photos = style, photos
        self._reference: dict[str, Image] = {}
        self._ssim: list[dict[str, float]] = []
        self._drawn: dict[str, dict[str, Image]] = {
            name: {} for name in sample_evenly(list(photos), MAX_SHOWN_PHOTOS)
        }
        self.looks: list[QualityRow] = []

    def add(self, variant: QualityVariant) -> Iterator[None]:
        """Draw every photograph in that variant, one per step. Raises StreamtoonError if that fails."""
        ssim: dict[str, float] = {}
        drawn: dict[str, Image] = {}
        for name, cartoon in _drawings(self._style, variant, self._photos):
            if not self.looks:
                self._reference[name] = cartoon
            ssim[name] = PAIRED_METRICS["ssim"](self._reference[name], cartoon)
            if name in self._drawn:
                drawn[name] = cartoon
            yield
        for name, cartoon in drawn.items():
            self._drawn[name][str(len(self.looks))] = cartoon
        self._ssim.append(ssim)
        self.looks.append(
            QualityRow(
                self._style.name,
                variant.engine,
                variant.device,
                variant.quality,
                variant.precision,
                Similarity(round(float(np.mean([*ssim.values()])), 5), round(min(ssim.values()), 5)),
                len(ssim),
            )
        )

    def found(self) -> StyleLooks:
        """Return the results of all variants added so far."""
        shown = [PictureRow(name, self._photos[name], drawn) for name, drawn in self._drawn.items()]
        each = [[ssim[row.name] for ssim in self._ssim] for row in shown]
        return StyleLooks(self._style.name, self.looks, shown, each)


def _drawings(
    style: Style, variant: QualityVariant, photos: Mapping[str, Image]
) -> Iterator[tuple[str, Image]]:
    """Yield each photograph's name and cartoon, grouped by size: a new size compiles the engine again."""
    ordered = sorted(photos.items(), key=lambda item: item[1].shape)
    height, width = ordered[0][1].shape[:2]
    settings = EngineSettings(
        style,
        backend=variant.engine,
        device=variant.device,
        precision=variant.precision,
        quality=variant.quality,
    )
    with open_engine(settings, width=width, height=height) as engine:
        if engine.facts.fallback:
            raise EngineError(engine.facts.fallback)
        for name, photo in ordered:
            yield name, engine.rgb(photo)


def _reduced(picture: Image) -> Image:
    height, width = picture.shape[:2]
    scale = MAX_SIDE_PIXELS / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
