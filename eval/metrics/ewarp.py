"""Warping error of a video: Lai, Huang, Wang, Shechtman, Yumer, Yang, "Learning blind video temporal
consistency", ECCV 2018, section 4.

The optical flow of the source says where each pixel of a frame is in the next frame. A result whose colour
changes along the flow flickers. Occlusions and motion boundaries are excluded: Ruder, Dosovitskiy, Brox,
"Artistic style transfer for videos", GCPR 2016, after Sundaram, Brox, Keutzer, ECCV 2010. The flow is DIS:
Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search", ECCV 2016.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H x W x 3 RGB, 0..255."""
Flow = NDArray[np.float32]
"""H x W x 2: the motion of each pixel of the first frame, to the right and down, in pixels."""
Mask = NDArray[np.bool_]

MAX_FLOW_SIDE = 720
"""Longest short side for the optical flow, in pixels. At half of it, the error of the source itself was 1.4
and 2.1 times as large on two clips of 720p.
"""
MINIMUM_SIDE = 32
"""Smallest side in pixels that the flow's pyramid supports."""


def flow(a: Image, b: Image) -> Flow:
    """Return the optical flow from `a` to `b`, two frames of one size, computed from their luma.

    Frames whose short side exceeds `MAX_FLOW_SIDE` are reduced first. The flow is in pixels of the original
    size. Raises ValueError if the sizes differ or a side is shorter than `MINIMUM_SIDE`.
    """
    if a.shape != b.shape or min(a.shape[:2]) < MINIMUM_SIDE:
        raise ValueError(
            f"shapes {a.shape} and {b.shape}, expected equal shapes with sides >= {MINIMUM_SIDE}"
        )
    height, width = a.shape[:2]
    scale = min(1.0, MAX_FLOW_SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    # One object per call: it has buffers, which threads must not share.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = search.calc(_grey(a, size), _grey(b, size), None)  # type: ignore[call-overload]  # a gap in its types
    if scale < 1:
        found = cv2.resize(found, (width, height)) * np.array([width / size[0], height / size[1]], np.float32)
    return np.asarray(found, np.float32)


def visible(forward: Flow, backward: Flow) -> Mask:
    """Return an H x W mask of the pixels of the first frame that are visible in the second (Ruder et al.).

    `forward` is the flow from the first to the second frame, `backward` the reverse. A pixel is excluded if
    its target is outside the frame, if the backward flow from there ends elsewhere (occlusion), or if the
    flow changes fast (a motion boundary, where flow is least reliable).
    """
    x, y = _targets(forward)
    height, width = forward.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    sampled = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = np.asarray(sampled, np.float32)
    length = _square(forward)
    returns = _square(forward + there) <= 0.01 * (length + _square(there)) + 0.5
    # A single row or column has no gradient along that axis.
    change = sum(_square(np.gradient(forward, axis=axis)) for axis in (0, 1) if forward.shape[axis] > 1)
    return np.asarray(inside & returns & (change <= 0.01 * length + 0.002), np.bool_)


def ewarp(previous: Image, current: Image, flow: Flow, mask: Mask) -> float:
    """Return the mean squared difference of `previous` and the warped `current`, over the mask (Lai et al.).

    Values are in [0, 1]: the mean over pixels and three channels, a third of the mean squared norm. `flow`
    leads from the previous frame to the current one. Both it and `mask` (H x W) come from the source,
    whichever result is measured. Raises ValueError if the sizes differ or the mask is empty.
    """
    if previous.shape != current.shape or not previous.shape[:2] == flow.shape[:2] == mask.shape:
        raise ValueError(
            f"shapes {previous.shape}, {current.shape}, {flow.shape} and {mask.shape} do not match"
        )
    if not mask.any():
        raise ValueError("the mask is empty: no pixel is visible in both frames")
    x, y = _targets(flow)
    # In floating point: rounding the interpolated values would itself look like flicker.
    warped = cv2.remap(current.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = (previous.astype(np.float32) - warped)[mask]
    return float(np.mean(np.square(difference), dtype=np.float64)) / 255**2


def _grey(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if (grey.shape[1], grey.shape[0]) != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _targets(flow: Flow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the columns and rows in the second frame, each H x W."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return x, y


def _square(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors), np.float32)
