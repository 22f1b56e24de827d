"""Choose the parameters of the guided filter for a style by their effect on its drawings.

The filter scales a drawing to the image size with linear functions of the image's luma. If they follow the
image closely, edges are sharp, but the fine texture that the generator removed returns. Each filter is
therefore measured twice: by the difference in the share of flat steps (`eval.metrics.flat`) between result
and enlarged drawing, and by the sharpness at the photograph's edges. Of the filters that are as sharp as the
style's own, the one that preserves the drawing best is chosen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import cv2
import numpy as np

from engines.backends.frame_runner import filter_settings
from engines.common.arrays import Image
from engines.engine import RGB_COLOR
from engines.errors import StyleError
from engines.factory import open_engine
from engines.imaging.color import rgb_to_yuv
from engines.imaging.guided_filter import FilterSettings, at_full_size
from engines.imaging.working_size import fit
from engines.registry.style import Style
from engines.rgb_engine import RgbEngine
from engines.settings import EngineSettings
from eval.metrics.flat import MINIMUM_SIDE, flat, near_edges
from eval.metrics.sharpness import sharpness

RADII = (1, 2, 4)
EPS = (1e-4, 1e-3, 1e-2, 1e-1)
LINES = (0.0, 0.5, 0.8, 1.0)
MIN_SHARPNESS_SHARE = 0.98
"""Share of the sharpness of the style's own filter that another filter must reach."""
MIN_GAIN = 0.005
"""Improvement of the flatness difference that is needed to change the filter."""
QUALITIES: tuple[Literal["full", "fast"], ...] = ("full", "fast")
"""The qualities in which a filter is measured: drawings at the working height, and at half of it."""


@dataclass(frozen=True, slots=True)
class FilterScore:
    """The effect of a filter on a style's drawings: means over photographs and qualities."""

    settings: FilterSettings
    flat_drawn: float
    """`flat` of the drawing before the filter, enlarged bilinearly."""
    flat_given: float
    """`flat` of the filter's result."""
    distance: float
    """Mean absolute difference of the two, image by image. It is 0 if the drawing is preserved."""
    sharpness: float
    """Mean gradient at the photographs' edges in code values per pixel."""


def choose_filter(style: Style, photos: Sequence[Image]) -> FilterSettings:
    """Return the filter whose results are as flat as the drawings, among those as sharp as the style's own.

    `photos` are H x W x 3 RGB. Raises StyleError for a style that draws by fields, which has no filter, and
    if no photo has sides of at least 64 pixels.
    """
    own = FilterSettings(style.radius, style.eps, style.lines)
    others = (FilterSettings(*numbers) for numbers in product(RADII, EPS, LINES))
    first, *rest = score_filters(style, photos, [own, *(each for each in others if each != own)])
    sharp = [score for score in rest if score.sharpness >= MIN_SHARPNESS_SHARE * first.sharpness]
    best = min(sharp, key=lambda score: score.distance, default=first)
    return best.settings if best.distance < first.distance - MIN_GAIN else own


def score_filters(
    style: Style, photos: Sequence[Image], filters: Iterable[FilterSettings]
) -> list[FilterScore]:
    """Return each filter's figures, in order. Raises StyleError as `choose_filter` does."""
    if style.gives_fields:
        raise StyleError(f"style {style.name} draws by fields and has no guided filter")
    usable = [photo for photo in photos if min(photo.shape[:2]) >= MINIMUM_SIDE]
    if not usable:
        raise StyleError(
            f"a guided filter is measured on photos of at least {MINIMUM_SIDE} pixels a side, but "
            "all are smaller"
        )
    tried = list(filters)
    figures = np.array([_figures(style, photo, quality, tried) for photo in usable for quality in QUALITIES])
    drawn, given, sharp = figures.transpose(2, 0, 1)
    distance = np.abs(drawn - given)
    return [
        FilterScore(settings, *(float(each[:, at].mean()) for each in (drawn, given, distance, sharp)))
        for at, settings in enumerate(tried)
    ]


def _figures(
    style: Style, photo: Image, quality: Literal["full", "fast"], filters: Sequence[FilterSettings]
) -> list[tuple[float, float, float]]:
    """Return `flat` of drawing and result, and the result's sharpness, of one photo for every filter."""
    scale = min(1.0, max(style.working_height, MINIMUM_SIDE) / min(photo.shape[:2]))
    height, width = (max(MINIMUM_SIDE, 2 * round(side * scale / 2)) for side in photo.shape[:2])
    sized = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    planes = rgb_to_yuv(sized, RGB_COLOR)
    luma = planes[0]
    settings = EngineSettings(style, quality=quality, stabilize=0.0)
    with open_engine(settings, width=width, height=height) as engine:
        assert isinstance(engine, RgbEngine)
        size, guide, (drawn, _, _) = engine.drawing(planes, RGB_COLOR)
    edges = near_edges(luma.astype(np.float32))
    flat_drawn = flat(luma, fit(drawn, height, width), data_range=255)
    figures = []
    for each in filters:
        with_it = dataclasses.replace(style, radius=each.radius, eps=each.eps, lines=each.lines)
        given = at_full_size(luma, guide, drawn, filter_settings(with_it, size, RGB_COLOR))
        figures.append((flat_drawn, flat(luma, given, data_range=255), sharpness(given, edges)))
    return figures
