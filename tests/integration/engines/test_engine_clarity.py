"""Clarity with a generator of RGB images: it draws a frame as it draws one with more local contrast."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from engines_open import open_engine
from skimage import data

from engines.frame import ColorInfo, Frame
from engines.imaging.color import rgb_to_yuv
from engines.imaging.local_contrast import with_local_contrast
from engines.registry.style import load_style

COLORS = [ColorInfo("bt709"), ColorInfo("bt601", full_range=True)]


def frame(color: ColorInfo) -> Frame:
    y, u, v = rgb_to_yuv(np.ascontiguousarray(data.coffee()[40:168, 60:220]), color)
    half = (80, 64)
    u, v = (np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8) for plane in (u, v))
    return Frame(y, u, v, 0, Fraction(1, 25), 1, color)


@pytest.mark.parametrize("color", COLORS, ids=lambda color: color.matrix)
def test_the_generator_alone_sees_more_local_contrast(style_folder: Path, color: ColorInfo) -> None:
    style, source = load_style(style_folder), frame(color)
    clear = with_local_contrast(source.y, 0.6, full_range=color.full_range)
    with open_engine(style, width=160, height=128, stabilize=0.0) as engine:
        wanted = engine(dataclasses.replace(source, y=clear))
    with open_engine(style, width=160, height=128, stabilize=0.0, clarity=0.6, strength=0.5) as engine:
        drawn = engine(source)
    for plane in "yuv":
        mix = 0.5 * getattr(wanted, plane) + 0.5 * getattr(source, plane)
        assert np.abs(getattr(drawn, plane) - mix).max() <= 0.51


def test_a_photograph_is_drawn_with_more_local_contrast_too(style_folder: Path) -> None:
    photo = np.asarray(data.coffee()[40:168, 60:220])
    drawn = []
    for clarity in (0.0, 0.6):
        with open_engine(load_style(style_folder), width=160, height=128, clarity=clarity) as engine:
            drawn.append(cv2.cvtColor(engine.rgb(photo), cv2.COLOR_RGB2GRAY).astype(float))
    assert drawn[1].std() > 1.05 * drawn[0].std()
