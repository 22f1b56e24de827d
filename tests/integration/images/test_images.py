from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence

from streamtoon import Cartoonizer, ImageReport, InputError, OutputError


@pytest.fixture(scope="module")
def untouched(style_folder: Path) -> Iterator[Cartoonizer]:
    """Strength 0: what comes out must be what went in, so nothing of the file may get lost on the way."""
    with Cartoonizer(style_folder, strength=0) as cartoonizer:
        yield cartoonizer


@pytest.fixture(scope="module")
def cartoonizer(style_folder: Path) -> Iterator[Cartoonizer]:
    with Cartoonizer(style_folder) as cartoonizer:
        yield cartoonizer


def _noise(*shape: int, seed: int = 0, dtype: type = np.uint8) -> Any:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def _save(path: Path, pixels: Any, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def _pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_colors_are_what_the_array_call_gives(cartoonizer: Cartoonizer, tmp_path: Path) -> None:
    rgb = _noise(40, 60, 3)
    report = cartoonizer.image(_save(tmp_path / "in.png", rgb), tmp_path / "out.png")
    np.testing.assert_array_equal(_pixels(tmp_path / "out.png"), cartoonizer(rgb))
    assert isinstance(report, ImageReport)
    assert (report.input.format, report.output.width, report.output.height) == ("PNG", 60, 40)
    assert report.warnings == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "webp", "tif", "tiff", "bmp", "gif"])
def test_every_format_is_written(untouched: Cartoonizer, tmp_path: Path, suffix: str) -> None:
    smooth = np.dstack([np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))] * 3)
    untouched.image(_save(tmp_path / "in.png", smooth), tmp_path / f"out.{suffix}")
    with Image.open(tmp_path / f"out.{suffix}") as image:
        found = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(found - smooth).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_once(
    untouched: Cartoonizer, tmp_path: Path, orientation: int
) -> None:
    upright = _noise(12, 20, 3)
    # How a camera would have stored it (EXIF 2.3, tag 0x0112), written out with NumPy.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    source = _save(tmp_path / "in.png", np.ascontiguousarray(stored), exif=exif)
    report = untouched.image(source, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), upright)
        assert image.getexif().get(0x0112, 1) == 1
        assert image.getexif()[0x010F] == "Maker"
    assert (report.input.width, report.input.height) == (20, 12)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_alpha_is_kept(cartoonizer: Cartoonizer, tmp_path: Path, suffix: str) -> None:
    rgba = _noise(32, 48, 4)
    cartoonizer.image(_save(tmp_path / "in.png", rgba), tmp_path / f"out.{suffix}")
    np.testing.assert_array_equal(_pixels(tmp_path / f"out.{suffix}")[..., 3], rgba[..., 3])


def test_alpha_goes_onto_white_where_there_is_none_and_says_so(
    untouched: Cartoonizer, tmp_path: Path
) -> None:
    rgba = np.zeros((16, 16, 4), np.uint8)
    report = untouched.image(_save(tmp_path / "in.png", rgba), tmp_path / "out.bmp")
    assert (_pixels(tmp_path / "out.bmp") == 255).all()
    assert report.warnings == ("BMP has no transparency: transparent parts of in.png were put on white.",)


def test_grey_and_palette_become_color(untouched: Cartoonizer, tmp_path: Path) -> None:
    grey = _noise(16, 24)
    untouched.image(_save(tmp_path / "grey.png", grey), tmp_path / "a.png")
    np.testing.assert_array_equal(_pixels(tmp_path / "a.png"), np.dstack([grey] * 3))
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    untouched.image(tmp_path / "palette.png", tmp_path / "b.png")
    np.testing.assert_array_equal(_pixels(tmp_path / "b.png"), np.dstack([grey] * 3))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_is_rounded_to_8_and_said_once(untouched: Cartoonizer, tmp_path: Path, suffix: str) -> None:
    deep = _noise(16, 24, dtype=np.uint16)
    report = untouched.image(_save(tmp_path / f"deep.{suffix}", deep), tmp_path / "out.png")
    expected = np.rint(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(_pixels(tmp_path / "out.png"), np.dstack([expected] * 3))
    assert report.warnings == (f"deep.{suffix} has 16 bits per channel: the output has 8.",)


def test_16_bit_color_is_read(untouched: Cartoonizer, tmp_path: Path) -> None:
    import cv2

    deep = _noise(16, 24, 3, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep[..., ::-1])
    report = untouched.image(tmp_path / "deep.png", tmp_path / "out.png")
    assert np.abs(_pixels(tmp_path / "out.png") - deep / 257).max() <= 1
    assert len(report.warnings) == 1


def test_the_color_profile_is_kept(untouched: Cartoonizer, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _save(tmp_path / "in.jpg", _noise(16, 24, 3), icc_profile=profile)
    for name in ("out.jpg", "out.png", "out.webp", "out.tif"):
        untouched.image(tmp_path / "in.jpg", tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.info["icc_profile"] == profile


def test_cmyk_becomes_rgb(untouched: Cartoonizer, tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "in.jpg", quality=100)
    untouched.image(tmp_path / "in.jpg", tmp_path / "out.png")
    assert np.abs(_pixels(tmp_path / "out.png").astype(int) - (255, 0, 0)).max() <= 3


def _animation(path: Path, **options: Any) -> list[Any]:
    """Four frames of few colours each, so that a GIF's palette loses nothing."""
    frames = [np.full((16, 24, 3), (60 * n, 255 - 60 * n, 128), np.uint8) for n in range(4)]
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, **options)
    return frames


def _durations(path: Path) -> list[float]:
    found = []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            frame.load()  # a WebP frame knows its time only then
            found.append(float(frame.info["duration"]))
    return found


@pytest.mark.parametrize("target", ["out.gif", "out.webp", "out.png"])
@pytest.mark.parametrize("source", ["in.gif", "in.webp", "in.png"])
def test_an_animation_keeps_its_frames_and_timings(
    untouched: Cartoonizer, tmp_path: Path, source: str, target: str
) -> None:
    options = {"lossless": True} if source == "in.webp" else {}
    frames = _animation(tmp_path / source, duration=[100, 200, 50, 400], loop=0, **options)
    report = untouched.image(tmp_path / source, tmp_path / target)
    assert (report.input.frames, report.output.frames) == (4, 4)
    assert _durations(tmp_path / target) == [100, 200, 50, 400]
    with Image.open(tmp_path / target) as image:
        assert image.info["loop"] == 0
        for frame, expected in zip(ImageSequence.Iterator(image), frames, strict=True):
            assert np.abs(np.asarray(frame.convert("RGB")).astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("source", "given"), [("in.gif", None), ("in.gif", 3), ("in.webp", 4), ("in.png", 4)]
)
def test_the_loop_count_is_kept(
    untouched: Cartoonizer, tmp_path: Path, source: str, given: int | None
) -> None:
    _animation(tmp_path / source, duration=100, **({} if given is None else {"loop": given}))
    target = tmp_path / f"out{Path(source).suffix}"
    untouched.image(tmp_path / source, target)
    with Image.open(tmp_path / source) as before, Image.open(target) as after:
        assert after.info.get("loop") == before.info.get("loop") == given


def test_a_gif_that_repeats_3_times_is_shown_4_times_as_webp(untouched: Cartoonizer, tmp_path: Path) -> None:
    _animation(tmp_path / "in.gif", duration=100, loop=3)
    untouched.image(tmp_path / "in.gif", tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as image:
        assert image.info["loop"] == 4


def test_a_transparent_animation_shows_no_frame_through_the_next(
    untouched: Cartoonizer, tmp_path: Path
) -> None:
    frames = []
    for n in range(3):
        rgba = np.zeros((16, 24, 4), np.uint8)
        rgba[:, 8 * n : 8 * n + 8] = (200, 40, 40, 255)
        frames.append(Image.fromarray(rgba))
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=80, disposal=2)
    untouched.image(tmp_path / "in.gif", tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as image:
        for frame, expected in zip(ImageSequence.Iterator(image), frames, strict=True):
            alpha = np.asarray(frame.convert("RGBA"))[..., 3]
            np.testing.assert_array_equal(alpha, np.asarray(expected)[..., 3])


def test_an_animation_into_a_still_format_says_what_is_lost(untouched: Cartoonizer, tmp_path: Path) -> None:
    _animation(tmp_path / "in.gif", duration=100)
    report = untouched.image(tmp_path / "in.gif", tmp_path / "out.jpg")
    assert report.warnings == ("JPEG does not support animation: only the first of 4 frames was written.",)


# --- what a user can do wrong ------------------------------------------------------------------------


def _truncated(path: Path) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(_noise(64, 64, 3)).save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue()[:-2000])
    return path


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.jpg", None, "does not exist"),
        ("empty.jpg", b"", "is empty"),
        ("text.jpg", b"hello", "is not an image in a supported format"),
    ],
)
def test_what_cannot_be_read_is_an_input_error(
    untouched: Cartoonizer, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        untouched.image(tmp_path / name, tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_damage_is_told(untouched: Cartoonizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is damaged"):
        untouched.image(_truncated(tmp_path / "in.jpg"), tmp_path / "out.png")
    with pytest.raises(InputError, match="is a folder"):
        untouched.image(tmp_path, tmp_path / "out.png")
    Image.new("F", (8, 8)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match="floating-point"):
        untouched.image(tmp_path / "float.tif", tmp_path / "out.png")


def test_an_absurd_size_is_refused_before_it_is_decoded(untouched: Cartoonizer, tmp_path: Path) -> None:
    Image.new("1", (40_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match=r"larger than \d+ megapixels"):
        untouched.image(tmp_path / "huge.png", tmp_path / "out.png")


def test_what_cannot_be_written_is_an_output_error(untouched: Cartoonizer, tmp_path: Path) -> None:
    source = _save(tmp_path / "in.png", _noise(8, 8, 3))
    (tmp_path / "there.png").write_bytes(b"mine")
    for target, said in [
        (tmp_path / "out.xyz", "no known image extension"),
        (tmp_path / "there.png", "already exists"),
        (tmp_path / "nowhere" / "out.png", "does not exist"),
        (tmp_path / "in.png", "is the input file"),
    ]:
        with pytest.raises(OutputError, match=said):
            untouched.image(source, target)
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "there.png"]
    untouched.image(source, tmp_path / "there.png", overwrite=True)
    np.testing.assert_array_equal(_pixels(tmp_path / "there.png"), _pixels(source))


def test_a_size_beyond_the_format_leaves_nothing(untouched: Cartoonizer, tmp_path: Path) -> None:
    source = _save(tmp_path / "wide.png", np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(OutputError, match="as WEBP"):
        untouched.image(source, tmp_path / "out.webp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wide.png"]
