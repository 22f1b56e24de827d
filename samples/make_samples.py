"""Make the sample clips: `python samples/make_samples.py` (needs the `dev` extra, no network).

    `tour.mp4`   6 s, 1280x720, 25 fps, AAC stereo: a slow camera over four photographs
    `phone.mp4`  4 s, as from a phone held upright: landscape frames with a display matrix that turns them by
                 90 degrees, variable frame rate, AAC mono
    `photo.jpg`  one photograph
    `../engines/export/calibration_images.webp`    all photographs, small, on one sheet
    `../streamtoon/tools/benchmark/benchmark.mp4`  `tour.mp4` as a smaller file that every installation has

The photographs in `photos/` are reduced copies from packages that distribute them under CC0 (listed in
README.md). `--packages DIR` makes them again from those packages, unpacked in DIR. The same library versions
give the same bytes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
PHOTOS = HERE / "photos"
SHEET, TILE, COLUMNS = HERE.parent / "engines" / "export" / "calibration_images.webp", (640, 360), 3
"""The file that `engines.export.calibration_images` reads; width and height of each photograph; photographs
per row.
"""
BENCHMARK = HERE.parent / "streamtoon" / "tools" / "benchmark" / "benchmark.mp4"
"""The file that `streamtoon.tools.benchmark.clips` reads."""

Rgb = NDArray[np.uint8]
Sound = NDArray[np.float32]
View = tuple[float, float, float]
"""The camera's view: centre x and y as shares of the photograph, and the visible share of its width."""

RATE = 48_000


@dataclass(frozen=True)
class Origin:
    """A photograph in `photos/` and its original."""

    name: str
    glob: str
    """The path in the unpacked package."""
    size: tuple[int, int]
    """Width and height after reduction, in pixels."""


BUDGIE = "**/backgrounds/budgie"
ORIGINS = (
    Origin("lake", f"{BUDGIE}/lake-sherburne.jpg", (1600, 900)),
    Origin("otter", f"{BUDGIE}/oakland-zoo-otters.jpg", (1600, 900)),
    Origin("colosseum", f"{BUDGIE}/roman-colosseum.jpg", (1600, 900)),
    Origin("city", f"{BUDGIE}/beacon-street-sunset.jpg", (1600, 900)),
    Origin("osprey", f"{BUDGIE}/perched-osprey.jpg", (1440, 810)),
    Origin("tourist", "**/twentytwentyfour/assets/images/tourist-and-building.webp", (1200, 800)),
)

TOUR: tuple[tuple[str, View, View], ...] = (
    ("lake", (0.44, 0.52, 0.84), (0.56, 0.48, 0.84)),
    ("otter", (0.50, 0.50, 1.00), (0.55, 0.48, 0.82)),
    ("colosseum", (0.42, 0.56, 0.84), (0.46, 0.44, 0.84)),
    ("city", (0.58, 0.50, 0.82), (0.50, 0.50, 1.00)),
)
FADE_S = 0.5


def read(name: str) -> Rgb:
    """Read the photograph `name` from `photos/`."""
    bgr = cv2.imread(str(PHOTOS / f"{name}.jpg"))
    if bgr is None:
        raise FileNotFoundError(PHOTOS / f"{name}.jpg")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def look(photo: Rgb, view: View, size: tuple[int, int]) -> Rgb:
    """Return the part of `photo` in `view`, at sub-pixel position, as an image of `size`."""
    width, height = size
    scale = photo.shape[1] * view[2] / width
    # The view stays inside the photograph, so its border is never visible.
    x = float(np.clip(view[0] * photo.shape[1], scale * width / 2, photo.shape[1] - scale * width / 2))
    y = float(np.clip(view[1] * photo.shape[0], scale * height / 2, photo.shape[0] - scale * height / 2))
    matrix = np.array(
        [[scale, 0, x - scale * (width - 1) / 2 - 0.5], [0, scale, y - scale * (height - 1) / 2 - 0.5]]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(photo, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def between(a: View, b: View, t: float) -> View:
    """Return the view at time `t` in 0..1, with a smooth start and stop."""
    s = 0.5 * t + 0.5 * (t * t * (3 - 2 * t))
    return (a[0] + (b[0] - a[0]) * s, a[1] + (b[1] - a[1]) * s, a[2] + (b[2] - a[2]) * s)


def tour(time_s: float, length_s: float, photos: dict[str, Rgb], size: tuple[int, int]) -> Rgb:
    """Return the tour's frame at `time_s`: one shot, or two during a cross-fade."""
    shot_s = (length_s + FADE_S * (len(TOUR) - 1)) / len(TOUR)
    image: NDArray[np.float32] | None = None
    for index, (name, start, end) in enumerate(TOUR):
        since = time_s - index * (shot_s - FADE_S)
        if not 0 <= since < shot_s:
            continue
        shot = look(photos[name], between(start, end, since / shot_s), size).astype(np.float32)
        part = min(1.0, since / FADE_S) if index else 1.0
        image = shot if image is None else image * (1 - part) + shot * part
    if image is None:
        raise ValueError(f"the tour has no frame at {time_s} s")
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def music(length_s: float, chords: tuple[tuple[int, ...], ...], channels: int) -> Sound:
    """Return plucked chords as samples x channels in -1..1. The numbers are MIDI notes."""
    total = round(length_s * RATE)
    sound = np.zeros((total, channels), np.float64)
    notes = [note for chord in chords for note in (*chord, *chord[-2:0:-1])]
    step = length_s / len(notes)
    for index, note in enumerate(notes):
        begin = round(index * step * RATE)
        t = np.arange(total - begin) / RATE
        hertz = 440.0 * 2 ** ((note - 69) / 12)
        partials = np.arange(1, 5)[:, None]
        decay = np.exp(-t * (2.2 + 1.4 * partials)) / partials**1.6
        tone = (np.sin(2 * np.pi * hertz * partials * t) * decay).sum(axis=0)
        attack = np.minimum(1.0, t / 0.006)
        for channel in range(channels):
            side = 0.5 + 0.25 * np.cos(np.pi * (index % 4) / 3 + np.pi * channel)
            sound[begin:, channel] += side * tone * attack
    end = np.minimum(1.0, (total - np.arange(total)) / (0.4 * RATE))[:, None]
    return np.asarray(0.5 * sound / np.abs(sound).max() * end, np.float32)


def write(
    path: Path,
    frames: list[tuple[int, Rgb]],
    time_base: Fraction,
    rate: int,
    sound: Sound,
    *,
    rotation: int | None = None,
    crf: int = 21,
) -> None:
    """Write frames and sound as H.264 and AAC, tagged BT.709 limited range.

    Args:
        path: The file.
        frames: Pairs of timestamp, in units of `time_base`, and H x W x 3 RGB frame.
        time_base: Seconds per unit of the timestamps.
        rate: Nominal frames per second.
        sound: Samples x channels in -1..1.
        rotation: Rotation in the display matrix, in degrees. None writes no matrix.
        crf: Constant rate factor of the encoder.
    """
    layout = "stereo" if sound.shape[1] == 2 else "mono"
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as out:
        video = out.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "slow", "bf": "2"})
        video.height, video.width = frames[0][1].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = time_base
        video.codec_context.thread_count = 1  # one thread gives the same bytes on every machine
        video.codec_context.colorspace = video.codec_context.color_primaries = 1
        video.codec_context.color_trc = video.codec_context.color_range = 1
        if rotation is not None:
            video.set_display_rotation(rotation)
        audio = out.add_stream("aac", rate=RATE, layout=layout)
        audio.codec_context.bit_rate = 96_000
        for pts, rgb in frames:
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts, frame.time_base = pts, time_base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for begin in range(0, len(sound), 1024):
            part = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound[begin : begin + 1024].T), format="fltp", layout=layout
            )
            part.sample_rate, part.pts, part.time_base = RATE, begin, Fraction(1, RATE)
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))


def make_tour() -> None:
    """Write `tour.mp4`, and a smaller copy for `streamtoon bench` in the wheel."""
    length_s, rate = 6.0, 25
    photos = {name: read(name) for name, _, _ in TOUR}
    frames = [(n, tour(n / rate, length_s, photos, (1280, 720))) for n in range(round(length_s * rate))]
    chords = ((48, 55, 64, 71), (45, 52, 60, 67), (41, 53, 60, 69), (43, 55, 62, 71))
    for path, crf in ((HERE / "tour.mp4", 21), (BENCHMARK, 26)):
        write(path, frames, Fraction(1, rate), rate, music(length_s, chords, 2), crf=crf)


def make_phone() -> None:
    """Write `phone.mp4`: shown upright (360x640), stored in landscape (640x360) with a display matrix."""
    length_s, clock = 4.0, 90_000
    # Phones use longer exposures in the dark: nearly 30 fps, then slower, with an occasional lost frame.
    random = np.random.default_rng(7)
    times = [0]
    while (now := times[-1] / clock) < length_s:
        exposure = 3000 if now < 2.2 else 4500
        times.append(
            times[-1] + exposure + int(random.integers(-90, 91)) + exposure * int(random.random() < 0.06)
        )
    shots: tuple[tuple[Rgb, View, View], ...] = (
        (skimage.data.astronaut(), (0.45, 0.5, 0.56), (0.43, 0.4, 0.56)),
        (read("osprey"), (0.40, 0.5, 0.31), (0.36, 0.46, 0.28)),
    )
    frames = []
    for pts, after in pairwise(times):
        if after > length_s * clock:
            break
        t = pts / clock / length_s
        photo, start, end = shots[t >= 0.55]
        upright = look(photo, between(start, end, t), (360, 640))
        frames.append((pts, np.ascontiguousarray(np.rot90(upright))))
    chords = ((57, 64, 72), (55, 62, 71))
    write(HERE / "phone.mp4", frames, Fraction(1, clock), 30, music(length_s, chords, 1), rotation=-90)


def make_photo() -> None:
    """Write `photo.jpg`."""
    (HERE / "photo.jpg").write_bytes((PHOTOS / "tourist.jpg").read_bytes())


def make_sheet() -> None:
    """Write `engines/export/calibration_images.webp`."""
    tiles = []
    for origin in ORIGINS:
        photo = read(origin.name)
        scale = TILE[0] / photo.shape[1]
        size = (TILE[0], round(photo.shape[0] * scale))
        top = (size[1] - TILE[1]) // 2
        tiles.append(cv2.resize(photo, size, interpolation=cv2.INTER_AREA)[top : top + TILE[1]])
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(SHEET), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])


def make_photos(packages: Path) -> None:
    """Write `photos/` from the unpacked packages in `packages`."""
    PHOTOS.mkdir(exist_ok=True)
    for origin in ORIGINS:
        found = sorted(packages.glob(origin.glob))
        if not found:
            raise FileNotFoundError(f"{origin.glob} below {packages}")
        original = cv2.imread(str(found[0]))
        if original is None:
            raise ValueError(f"{found[0]} is not an image")
        image = cv2.resize(original, origin.size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(PHOTOS / f"{origin.name}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, help="make photos/ again from the packages unpacked here")
    packages = parser.parse_args().packages
    if packages:
        make_photos(packages)
    make_tour()
    make_phone()
    make_photo()
    make_sheet()
