"""`streamtoon styles add`: other people's generators become styles that draw what the generator draws."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from lite_styles import add_lite
from rgb_styles import make_style, rgb_style
from small_graphs import RANGES, Graph, cartoonizer, drawn, save
from typer.testing import CliRunner, Result

from engines.common.image_files import read_image
from engines.errors import EngineError, StyleError
from engines.importing.importer import _ADDED_NODES, ImportOptions, add_style
from engines.importing.io_convention import IoConvention, ValueRange
from engines.importing.verify import convert_graph
from engines.importing.wrap import wrap
from engines.registry.style import load_style, user_style_names
from engines.untrusted.onnx_validator import check_graph
from streamtoon.cli.app import app

PEERS = Path(os.environ.get("STREAMTOON_DATA", "")) / "peers"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the user's own styles lie."""
    monkeypatch.setattr("engines.registry.style.data_folder", lambda name: tmp_path / "home" / name)
    return tmp_path / "home" / "styles"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["styles", *map(str, arguments)], env={"COLUMNS": "80", "TERM": "dumb"})


def test_picture(height: int, width: int) -> np.ndarray:
    """Not the one that the detection uses."""
    noise = np.random.default_rng(5).uniform(-1, 1, (5, 7, 3))
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)


test_picture.__test__ = False  # type: ignore[attr-defined]


def compute(file: Path, picture: np.ndarray) -> np.ndarray:
    """What a style's graph makes of height x width x 3 in [-1, 1]."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"picture": picture.transpose(2, 0, 1)[None].astype(np.float32)})
    return np.asarray(out[0]).transpose(1, 2, 0)


FORMS: list[dict[str, Any]] = [
    {},
    {"last": True, "multiple": 8},
    {"values": "0..1", "multiple": 1},
    {"values": "0..255", "last": True},
    {"values": "0..1", "values_out": "-1..1"},
    {"values": "-1..1", "values_out": "0..255"},
    {"values": "0..255", "values_out": "0..1", "last": True},
    {"kind": "float16", "multiple": 4},
    {"kind": "uint8", "values": "0..255", "last": True},
    {"kind": "uint8", "values": "0..255", "kind_out": "float32", "values_out": "-1..1"},
    {"size": (96, 128), "multiple": 4},
    {"size": (64, 64), "last": True, "values": "0..1"},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())) or "plain")
def test_layout_values_and_size_are_found_and_the_picture_stays(form: dict[str, Any], tmp_path: Path) -> None:
    file = save(cartoonizer(**form), tmp_path / "foreign.onnx")
    trial = convert_graph(file, tmp_path / "kept.onnx", bgr=False)
    multiple = form.get("multiple", 2)
    assert trial.size_multiple == multiple
    assert trial.fixed == form.get("size")
    assert check_graph(tmp_path / "kept.onnx").outputs[0].shape == (1, 3, "height", "width")
    # Half a step of 8 bits in and one out, where the network takes or gives them; 10 bits of float16.
    close = {"uint8": 0.012, "float16": 0.01}.get(form.get("kind", ""), 2e-5)
    for height, width in ((9 * multiple, 15 * multiple), (16 * multiple, 7 * multiple)):
        picture = test_picture(height, width)
        assert np.abs(compute(tmp_path / "kept.onnx", picture) - drawn(picture, multiple)).max() < close


@pytest.mark.parametrize("generator", ["unet", "lite"])
@pytest.mark.parametrize("values", RANGES)
def test_the_values_of_residual_networks_are_found(generator: str, values: str, tmp_path: Path) -> None:
    """Residual networks nearly keep what they are given, in whatever range: the hard case."""
    (low, high), trained = RANGES[values], onnx.load(rgb_style(generator).graph)
    ends = Graph("float32", [1, 3, "h", "w"])
    ends.add("Mul", np.float32(2 / (high - low)))
    ends.add("Add", np.float32(-1 - 2 * low / (high - low)))
    for node in trained.graph.node:
        node.input[:] = [ends.now if name == "picture" else name for name in node.input]
    ends.nodes += trained.graph.node
    ends.weights += trained.graph.initializer
    ends.now = "cartoon"
    for kind, value in (("Add", 1 + 2 * low / (high - low)), ("Mul", (high - low) / 2)):
        ends.add(kind, np.float32(value))
    file = save(ends.model("float32", [1, 3, "h", "w"], opset=18), tmp_path / "foreign.onnx")
    trial = convert_graph(file, tmp_path / "kept.onnx", bgr=False)
    if trial.form != f"NCHW RGB {values}":
        assert values in trial.also, "what cannot be told for sure has to be said"
        trial = convert_graph(file, tmp_path / "kept.onnx", bgr=False, values=values)
    assert trial.form == f"NCHW RGB {values}"
    picture = test_picture(64, 96)
    expected = compute(rgb_style(generator).graph, picture).clip(-1, 1)
    assert np.abs(compute(tmp_path / "kept.onnx", picture) - expected).max() < 1e-3


def test_a_network_for_bgr_is_fed_bgr_when_told(tmp_path: Path) -> None:
    file = save(cartoonizer(bgr=True), tmp_path / "foreign.onnx")
    picture = test_picture(32, 32)
    convert_graph(file, tmp_path / "kept.onnx", bgr=True)
    assert np.abs(compute(tmp_path / "kept.onnx", picture) - drawn(picture)).max() < 2e-5
    convert_graph(file, tmp_path / "other.onnx", bgr=False)
    swapped = drawn(picture[..., ::-1])[..., ::-1]
    assert np.abs(compute(tmp_path / "other.onnx", picture) - swapped).max() < 2e-5


def test_a_network_that_swaps_red_and_blue_is_swapped_back(tmp_path: Path) -> None:
    graph = Graph("float32", [1, 3, "h", "w"])
    graph.add("Gather", np.array([2, 1, 0]), axis=1)
    file = save(graph.model("float32", [1, 3, "h", "w"]), tmp_path / "foreign.onnx")
    convert_graph(file, tmp_path / "kept.onnx", bgr=False)
    picture = test_picture(32, 32)
    assert np.abs(compute(tmp_path / "kept.onnx", picture) - picture).max() < 1e-5


def test_a_size_that_is_built_in_is_told(tmp_path: Path) -> None:
    graph = Graph("float32", [1, 3, 64, 64])
    graph.add("Reshape", np.array([1, 3, 64 * 64]))
    graph.add("Reshape", np.array([1, 3, 64, 64]))
    file = save(graph.model("float32", [1, 3, 64, 64]), tmp_path / "fixed.onnx")
    with pytest.raises(StyleError, match=r"only works at 64x64 and its size cannot be made variable"):
        convert_graph(file, tmp_path / "kept.onnx", bgr=False)


@pytest.mark.parametrize("kind, said", [("Neg", "does not resemble"), ("Shape", "not an image of the")])
def test_what_draws_nothing_is_refused(kind: str, said: str, tmp_path: Path) -> None:
    graph = Graph("float32", [1, 3, "h", "w"])
    graph.add(kind)
    if kind == "Neg":
        graph.add("GlobalAveragePool")
        graph.add("Add", "in")
        graph.add("Mul", np.float32(0))
    else:
        graph.add("Cast", to=1)
    file = save(
        graph.model("float32", ["a"] if kind == "Shape" else [1, 3, "h", "w"]), tmp_path / "none.onnx"
    )
    with pytest.raises(StyleError, match=said):
        convert_graph(file, tmp_path / "kept.onnx", bgr=False)


def test_a_clip_with_one_end_is_given_the_other(tmp_path: Path) -> None:
    graph = Graph("float32", [1, 3, "h", "w"])
    graph.add("Clip", np.float32(-0.5))
    graph.add("Clip", "", np.float32(0.8))
    file = save(graph.model("float32", [1, 3, "h", "w"]), tmp_path / "foreign.onnx")
    # A network that does next to nothing does so in any range: here it has to be said.
    assert convert_graph(file, tmp_path / "kept.onnx", bgr=False, values="-1..1").form == "NCHW RGB -1..1"
    picture = test_picture(32, 32)
    assert np.abs(compute(tmp_path / "kept.onnx", picture) - picture.clip(-0.5, 0.8)).max() < 1e-6


def test_weights_in_another_file_are_copied_too(home: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    onnx.save(
        cartoonizer(), tmp_path / "there" / "g.onnx",
        save_as_external_data=True, location="g.data", size_threshold=0,
    )  # fmt: skip
    assert (tmp_path / "there" / "g.data").stat().st_size > 0
    style = add_style(tmp_path / "there" / "g.onnx", ImportOptions()).style
    shutil.rmtree(tmp_path / "there")
    picture = test_picture(32, 48)
    assert np.abs(compute(style.graph, picture) - drawn(picture)).max() < 2e-5


def test_an_added_graph_is_a_style_by_name_until_it_is_removed(home: Path, tmp_path: Path) -> None:
    file = save(cartoonizer(last=True), tmp_path / "My Toon (2).onnx")
    done = run("add", file, "--title", "My toon", "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    assert "my-toon-2: ONNX graph" in done.stderr
    assert "NHWC RGB -1..1" in done.stderr
    assert "my-toon-2 (yours)" in run("list").stdout
    rows = {row["name"]: row["own"] for row in json.loads(run("list", "--json").stdout)["styles"]}
    assert rows["my-toon-2"] and not rows["comic"]
    facts = json.loads(run("show", "my-toon-2", "--json").stdout)
    assert (facts["title"], facts["licence"], facts["generator"]) == ("My toon", "CC0-1.0", "onnx")

    photo = ((test_picture(48, 64) + 1) * 127.5).round().astype(np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), photo[..., ::-1])
    expected = drawn(photo / 127.5 - 1) * 127.5 + 127.5
    for engine in ("openvino", "onnxruntime"):
        out = tmp_path / f"{engine}.png"
        arguments = [
            "image",
            str(tmp_path / "photo.png"),
            str(out),
            "--style",
            "my-toon-2",
            "--engine",
            engine,
        ]
        drawing = CliRunner().invoke(app, [*arguments, "--precision", "fp32"])
        assert drawing.exit_code == 0, drawing.output
        # Chroma passes through 4:2:0; luma is the network's own.
        luma = [
            cv2.cvtColor(np.asarray(each, np.float32), cv2.COLOR_RGB2GRAY)
            for each in (read_image(out), expected)
        ]
        assert np.abs(luma[0] - luma[1]).mean() < 2
    refused = CliRunner().invoke(
        app, [*arguments[:3], "--overwrite", "--style", "my-toon-2", "--engine", "torch"]
    )
    assert refused.exit_code == 1
    assert "style my-toon-2 has no weights for torch" in refused.stderr

    again = run("add", file)
    assert again.exit_code == 1
    assert "you already have a style my-toon-2" in again.stderr
    assert run("remove", "my-toon-2").exit_code == 0
    assert list(home.iterdir()) == []
    assert "unknown style 'my-toon-2'" in run("show", "my-toon-2").stderr


def test_a_folder_is_copied_with_its_lite_network_and_nothing_else(home: Path, tmp_path: Path) -> None:
    source = make_style(tmp_path / "theirs")
    add_lite(source)
    (source / "run-me.sh").write_text("echo")
    style = add_style(source, ImportOptions(name="mine", title="Mine")).style
    assert (style.name, style.title, style.folder) == ("mine", "Mine", home / "mine")
    assert style.lite is not None and style.lite.sha256 == load_style(source / "lite").sha256
    assert style.sha256 == load_style(source).sha256
    here = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    kept = {str(file.relative_to(style.folder)) for file in style.folder.rglob("*") if file.is_file()}
    assert {"card.toml", "generator.onnx", "weights.safetensors", "lite/generator.onnx"} <= kept
    assert kept <= here - {"run-me.sh"}
    assert user_style_names() == ["mine"]


@pytest.mark.parametrize(
    "name, said",
    [("comic", "belongs to a shipped style"), ("../x", "is not a valid"), ("X", "is not a valid")],
)
def test_a_name_that_cannot_be_is_refused(name: str, said: str, home: Path, tmp_path: Path) -> None:
    file = save(cartoonizer(), tmp_path / "g.onnx")
    done = run("add", file, "--name", name)
    assert done.exit_code == 1
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not home.exists()


def test_a_graph_too_long_to_become_a_style_is_refused_before_it_is_tried(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.importing.importer.run_in_sandbox", lambda *_: pytest.fail("it is tried"))
    graph = Graph("float32", [1, 3, "h", "w"])
    for _ in range(4999):
        graph.add("Identity")
    file = save(graph.model("float32", [1, 3, "h", "w"]), tmp_path / "long.onnx")
    assert (
        run("add", file).stderr.split()
        == (f"error: {file} has 4,999 nodes; the limit for a style is 4,985.").split()
    )
    assert not list(home.iterdir())


def test_the_nodes_that_make_a_graph_a_styles_are_counted() -> None:
    """The longest way there is: 8-bit BGR in the last place on one side, half floats on the other."""
    graph = Graph("uint8", [1, "h", "w", 3])
    graph.add("Cast", to=onnx.TensorProto.FLOAT16)
    ends = RANGES["0..255"]
    form = IoConvention("uint8", True, True, ValueRange(*ends), ValueRange(*ends), True, True)
    whole = onnx.load_from_string(wrap(graph.model("float16", [1, "h", "w", 3]), form))
    assert len(whole.graph.node) - 1 == 15
    assert _ADDED_NODES == 15


def test_a_graph_that_wants_too_much_memory_is_said_to(home: Path, tmp_path: Path) -> None:
    graph = Graph("float32", [1, 3, "h", "w"])
    graph.add("GlobalAveragePool")
    for _ in range(3):
        graph.add("Tile", np.array([1, 1, 4096, 1]))
    graph.add("GlobalAveragePool")
    graph.add("Add", "in")
    file = save(graph.model("float32", [1, 3, "h", "w"]), tmp_path / "bomb.onnx")
    said = " ".join(run("add", file).stderr.split())
    assert said == f"error: {file} needs more memory than a style may use, 8 GB."
    assert not list(home.iterdir())


@pytest.mark.parametrize("name", ["comic", "nobody", "..", "../../home", "/", ""])
def test_only_ones_own_styles_are_removed(name: str, home: Path) -> None:
    (home / "kept").mkdir(parents=True)
    (home / "kept" / "card.toml").touch()
    done = run("remove", name)
    assert done.exit_code == 1
    assert "your own styles: kept" in done.stderr
    assert (home / "kept" / "card.toml").is_file()


def test_a_damaged_own_style_does_not_hide_the_others(home: Path, tmp_path: Path) -> None:
    style = add_style(save(cartoonizer(), tmp_path / "g.onnx"), ImportOptions()).style
    (style.folder / "generator.onnx").write_bytes(b"nothing")
    done = run("list")
    assert done.exit_code == 0
    assert "comic (default)" in done.stdout
    assert "warning: " in done.stderr and "generator.onnx" in done.stderr
    assert run("remove", "g").exit_code == 0


def test_a_missing_package_is_one_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"needs onnx and onnxruntime.*install 'onnx>="):
        add_style(save(cartoonizer(), tmp_path / "g.onnx"), ImportOptions())


@pytest.mark.skipif(not PEERS.is_dir(), reason="STREAMTOON_DATA is not set")
def test_a_published_generator_draws_as_its_authors_run_it(home: Path, tmp_path: Path) -> None:
    file = PEERS / "AnimeGANv3_tiny_Cute.onnx"
    added = add_style(file, ImportOptions(name="cute"))
    assert added.form == "NHWC RGB -1..1"
    picture = test_picture(96, 128)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: picture[None]})
    assert np.abs(compute(added.style.graph, picture) - np.clip(expected[0], -1, 1)).max() < 1e-4
