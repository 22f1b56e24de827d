"""HEIC, the photos of iPhones: tiles put together, upright, in their colours, to a depth of 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from heic_files import write_heic
from PIL import Image
from typer.testing import CliRunner

from streamtoon.cli.app import app
from streamtoon.errors import InputError
from streamtoon.images import convert as images
from streamtoon.media import probe

CLOSE = 4
"""Code values that two conversions between RGB and YUV, and a fine quantizer, may take."""


def ramp() -> Any:
    """A colour for each place: a tile that lies or stands wrong is seen."""
    y, x = np.mgrid[0:200, 0:300]
    return np.dstack([x * 255 / 299, y * 255 / 199, (x + y) * 255 / 498]).astype(np.uint8)


def converted(source: Path, target: Path) -> tuple[Any, list[str]]:
    warnings = images.convert(lambda rgb: rgb, source, target, overwrite=False)[2]
    with Image.open(target) as image:
        return np.asarray(image).astype(int), warnings


@pytest.mark.parametrize("brand", ["heic", "mif1"])
def test_tiles_are_put_together(tmp_path: Path, brand: str) -> None:
    source = write_heic(tmp_path / "in.heic", ramp(), tile=128, brand=brand)
    with av.open(str(source)) as container:
        assert [stream.width for stream in container.streams.video] == [128] * 6  # nothing but tiles
    found, warnings = converted(source, tmp_path / "out.png")
    assert found.shape == (200, 300, 3)
    assert np.abs(found - ramp()).max() <= CLOSE
    assert warnings == []


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_it_stands_upright(tmp_path: Path, turn: int, mirror: int | None) -> None:
    """EXIF's orientation is the same turn once more, and not to be done again (ISO/IEC 23008-12)."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    source = write_heic(
        tmp_path / "in.heic", ramp(), tile=128, turn=turn, mirror=mirror, exif=exif.tobytes()[6:]
    )
    found, _ = converted(source, tmp_path / "out.png")
    shown = np.rot90(ramp(), turn)
    shown = {None: shown, 0: shown[::-1], 1: shown[:, ::-1]}[mirror]
    assert found.shape == shown.shape
    assert np.abs(found - shown).max() <= CLOSE
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(0x0112, 1) == 1


def test_10_bits_are_rounded_and_said(tmp_path: Path) -> None:
    source = write_heic(tmp_path / "in.heic", ramp(), tile=128, deep=True)
    found, warnings = converted(source, tmp_path / "out.png")
    assert np.abs(found - ramp()).max() <= CLOSE
    assert warnings == ["in.heic has 10 bits per channel: the output has 8."]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_said(tmp_path: Path, transfer: int, name: str) -> None:
    source = write_heic(tmp_path / "in.heic", ramp(), tile=128, deep=True, transfer=transfer)
    _, warnings = converted(source, tmp_path / "out.png")
    assert len(warnings) == 2 and f"({name})" in warnings[1]


def test_alpha_and_profile_are_kept(tmp_path: Path) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    rgba = np.dstack([ramp(), np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1))])
    profile = b"\0" * 16 + b"RGB " + b"\0" * 200
    Image.fromarray(rgba).save(tmp_path / "in.heic", quality=-1, icc_profile=profile)
    found, _ = converted(tmp_path / "in.heic", tmp_path / "out.png")
    assert np.abs(found[..., 3] - rgba[..., 3]).max() <= CLOSE
    with Image.open(tmp_path / "out.png") as image:
        assert image.info["icc_profile"] == profile


def test_in_a_folder_it_becomes_a_png_of_that_name(style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_heic(tmp_path / "in" / "IMG_1.HEIC", ramp(), tile=128)
    done = CliRunner().invoke(
        app, ["image", str(tmp_path / "in"), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["IMG_1.HEIC.png"]


def test_for_a_video_it_is_no_video(tmp_path: Path) -> None:
    source = write_heic(tmp_path / "in.heic", ramp(), tile=128)
    with pytest.raises(InputError, match=r"still image.*streamtoon image"):
        probe(source)
    done = CliRunner().invoke(app, ["video", str(source), str(tmp_path / "out.mp4")])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1 and "streamtoon image" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.heic"]


def test_broken_ones_are_refused_by_a_sentence(tmp_path: Path) -> None:
    data = write_heic(tmp_path / "in.heic", ramp(), tile=128).read_bytes()
    for size in (20, 200, len(data) // 2, len(data) - 50):
        broken = tmp_path / "broken.heic"
        broken.write_bytes(data[:size])
        with pytest.raises(InputError, match=r"is damaged|not an image in a supported"):
            images.read_rgb(broken)
