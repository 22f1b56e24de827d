"""Pictures from strangers: read as pictures and nothing else, refused by one sentence, within bounds."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from fuzzing import mutated
from heic_files import write_heic
from PIL import Image

from streamtoon.errors import InputError, StreamtoonError
from streamtoon.images import convert as images
from streamtoon.images import reader

CASES = 600


def noise(mode: str = "RGB", size: tuple[int, int] = (32, 24), seed: int = 0) -> Image.Image:
    shape = (size[1], size[0], len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8), mode)


def convert(source: Path, target: Path) -> list[str]:
    return images.convert(lambda rgb: rgb, source, target, overwrite=True)[2]


def seeds(folder: Path) -> list[Path]:
    moving = [noise("RGBA", seed=n) for n in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    noise().save(folder / "a.jpg", exif=exif.tobytes())
    noise().save(folder / "b.png")
    noise().quantize().save(folder / "c.png")
    noise().save(folder / "d.bmp")
    noise().save(folder / "e.ppm")
    noise().convert("CMYK").save(folder / "f.jpg")
    for name in ("g.gif", "h.webp", "i.png", "j.avif"):
        moving[0].save(folder / name, save_all=True, append_images=moving[1:], duration=50)
    write_heic(folder / "k.heic", np.asarray(noise(size=(100, 80))), tile=64, exif=exif.tobytes()[6:])
    noise().save(folder / "l.tif", exif=exif.tobytes())
    return sorted(folder.iterdir())


def test_broken_pictures_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    files = seeds(tmp_path / "seeds")
    read = 0
    refused: list[str] = []
    for seed in range(CASES):
        dice = random.Random(seed)
        original = dice.choice(files)
        source = tmp_path / f"in{original.suffix}"
        source.write_bytes(mutated(original.read_bytes(), seed))
        try:
            convert(source, tmp_path / f"out{dice.choice(('.png', '.jpg', '.webp', '.gif'))}")
            read += 1
        except StreamtoonError as error:
            refused.append(str(error))
    assert all(text.endswith(".") and "\n" not in text for text in refused)
    assert min(read, len(refused)) > CASES // 10


def test_postscript_is_not_run(tmp_path: Path) -> None:
    noise().save(tmp_path / "in.eps")
    (tmp_path / "in.eps").replace(tmp_path / "in.png")
    with Image.open(tmp_path / "in.png") as image:
        assert image.format == "EPS"  # Pillow alone would start Ghostscript for its pixels
    with pytest.raises(InputError, match="is not an image in a supported format"):
        convert(tmp_path / "in.png", tmp_path / "out.png")


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes and devices")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero")):
        with pytest.raises(InputError, match="not a regular file"):
            convert(path, tmp_path / "out.png")
    with pytest.raises(InputError, match=r"does not exist|cannot be read"):
        convert(tmp_path / "loop.png", tmp_path / "out.png")


def test_an_animation_too_large_for_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    frames = [noise(size=(64, 64), seed=n) for n in range(8)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=50)
    with patch.object(reader, "MAX_ANIMATION_PIXELS", 7 * 64 * 64), pytest.raises(InputError) as error:
        convert(tmp_path / "in.gif", tmp_path / "out.gif")
    assert "8 frames of 64x64" in str(error.value) and "streamtoon video" in str(error.value)
    convert(tmp_path / "in.gif", tmp_path / "out.gif")
