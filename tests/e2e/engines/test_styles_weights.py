"""Weights from strangers: matched by names and shapes, and never a way for code to come in."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engines_open import open_engine
from safetensors.torch import load_file, save_file

from engines.errors import StyleError
from engines.generators import GENERATORS, create
from engines.importing.importer import ImportOptions, add_style
from engines.importing.state_dict import _shapes, load_generator
from engines.looks.look import Look
from engines.registry.style import load_style
from engines.untrusted.safetensors_validator import check_safetensors


@pytest.fixture(scope="module")
def lite() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    state = create("lite").state_dict()
    return {key: value + 0.01 * torch.randn_like(value) for key, value in state.items()}


def equal(generator: torch.nn.Module, weights: dict[str, torch.Tensor]) -> bool:
    state = generator.state_dict()
    return state.keys() == weights.keys() and all(torch.equal(state[key], weights[key]) for key in weights)


def nested(weights: dict[str, torch.Tensor], form: str) -> object:
    """The weights as people save them."""
    module = {f"module.{key}": value for key, value in weights.items()}
    return {
        "bare": weights,
        "module": module,
        "state_dict": {"epoch": 7, "state_dict": module, "optimizer": {"state": {}, "param_groups": []}},
        "generator": {"generator": weights, "discriminator": {"w": torch.zeros(3)}},
        "flat": {**{f"net.G.{key}": value for key, value in weights.items()}, "net.D.w": torch.zeros(1)},
        "ema": {"params": {key: value * 0 for key, value in weights.items()}, "params_ema": weights},
    }[form]


@pytest.mark.parametrize("form", ["bare", "module", "state_dict", "generator", "flat", "ema"])
def test_weights_are_found_wherever_they_lie(
    form: str, lite: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(nested(lite, form), tmp_path / "w.pt")
    name, generator = load_generator(tmp_path / "w.pt")
    assert name == "lite"
    assert equal(generator, lite)


def test_safetensors_with_a_prefix_are_found(lite: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({f"generator.module.{key}": value for key, value in lite.items()}, tmp_path / "w.safetensors")
    name, generator = load_generator(tmp_path / "w.safetensors")
    assert name == "lite" and equal(generator, lite)


def test_weights_become_a_style_that_draws(
    style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.registry.style.data_folder", lambda name: tmp_path / name)
    torch.save({"generator": load_file(style_folder / "weights.safetensors")}, tmp_path / "shaken.pth")
    style = add_style(tmp_path / "shaken.pth", ImportOptions(licence="mine", height=480)).style
    assert (style.name, style.generator, style.licence, style.working_height) == (
        "shaken",
        "unet",
        "mine",
        480,
    )
    # The same weights: the same files as the trainer's way made.
    assert style.sha256 == load_style(style_folder).sha256


def test_weights_of_fields_become_a_style_in_the_default_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.registry.style.data_folder", lambda name: tmp_path / name)
    shutil.copyfile(load_style("comic").lite.weights, tmp_path / "fields.safetensors")  # type: ignore[union-attr]
    style = add_style(tmp_path / "fields.safetensors", ImportOptions()).style
    assert (style.generator, style.look, style.network_folder) == ("fields-lite", Look(), style.folder)
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    with open_engine(style, width=60, height=40, precision="fp32") as engine:
        assert engine.rgb(picture).shape == picture.shape


def test_weights_of_something_else_are_told(lite: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file({"a.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(StyleError, match=r"a known generator \(animegan.*export the network"):
        load_generator(tmp_path / "w.safetensors")
    shorter = dict(lite)
    shorter[next(iter(shorter))] = torch.zeros(2, 2)
    save_file(shorter, tmp_path / "w.safetensors")
    with pytest.raises(StyleError, match="does not contain the weights"):
        load_generator(tmp_path / "w.safetensors")
    broken = {key: value * float("nan") for key, value in lite.items()}
    save_file(broken, tmp_path / "w.safetensors")
    with pytest.raises(StyleError, match="contains NaN or infinity"):
        load_generator(tmp_path / "w.safetensors")


def test_no_two_generators_have_the_same_weights() -> None:
    shapes = {name: _shapes(name) for name in GENERATORS}
    for name, own in shapes.items():
        for other, theirs in shapes.items():
            assert name == other or any(theirs.get(key) != shape for key, shape in own.items()), (name, other)


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.marker}",))


def test_a_pickle_cannot_run_anything(lite: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for file, old in (("w.pt", False), ("old.pt", True)):
        bad = {"generator": lite, "x": Evil(tmp_path / "ran")}
        torch.save(bad, tmp_path / file, _use_new_zipfile_serialization=not old)
        with pytest.raises(StyleError, match=r"cannot be read as weights|torch's current format"):
            load_generator(tmp_path / file)
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "w.pt", weights_only=False)
    assert (tmp_path / "ran").exists(), "the file would have done it"


def test_a_compressed_archive_is_refused(lite: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(lite, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as old, zipfile.ZipFile(tmp_path / "z.pt", "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member), zipfile.ZIP_DEFLATED)
    with pytest.raises(StyleError, match="is compressed"):
        load_generator(tmp_path / "z.pt")


def test_a_view_larger_than_its_values_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").stat().st_size < 10_000
    with pytest.raises(StyleError, match="'a' is larger than its storage"):
        load_generator(tmp_path / "w.pt")


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", b"\x80\x04\x95."])
def test_what_is_no_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(StyleError, match="not in torch's current format"):
        load_generator(tmp_path / "w.pt")


def tensors(header: object, size: int = 8, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(size)


def row(kind: str = "F32", shape: object = (2,), place: object = (0, 8)) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": place}


@pytest.mark.parametrize(
    "data, said",
    [
        (tensors({"a": row()}, length=1 << 62), "is impossible"),
        (tensors({"a": row()}, length=0), "is impossible"),
        (tensors(b"[" * 100_000), "its header is not JSON"),
        (tensors(b"\xff\xfe{}"), "its header is not JSON"),
        (tensors([1, 2]), "does not list tensors"),
        (tensors({"a": row(shape=(1 << 40,))}), "impossible shape, type or position"),
        (tensors({"a": row(shape=(-2, -1))}), "impossible shape, type or position"),
        (tensors({"a": row(kind="OBJECT")}), "impossible shape, type or position"),
        (tensors({"a": row(place=(0, 1 << 60))}), "impossible shape, type or position"),
        (tensors({"a": row(place=(8, 0))}), "impossible shape, type or position"),
        (tensors({"a": row(), "b": row()}), "overlap or leave gaps"),
        (tensors({"a": row(place=(8, 16))}, 16), "overlap or leave gaps"),
        (tensors({"a": row()}, 12), "not what the file contains"),
        (b"\0" * 5, "allowed are 9 to"),
    ],
)
def test_safetensors_say_what_they_hold(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(StyleError, match=said) as caught:
        check_safetensors(tmp_path / "w.safetensors")
    assert len(str(caught.value)) < 500


def test_sound_safetensors_are_read_as_the_library_reads_them(
    lite: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    save_file({**lite, "empty": torch.zeros(0, 3)}, tmp_path / "w.safetensors", metadata={"a": "b"})
    expected = {key: tuple(value.shape) for key, value in load_file(tmp_path / "w.safetensors").items()}
    assert check_safetensors(tmp_path / "w.safetensors") == expected
