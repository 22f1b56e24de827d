"""Styles from strangers: what they may not hold, and that it is found before any runtime sees the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_graphs import Graph, cartoonizer, save

from engines.backends.selection import open_runner
from engines.errors import StyleError
from engines.importing.importer import ImportOptions, add_style
from engines.importing.verify import convert_graph
from engines.registry.card import to_toml
from engines.registry.style import SHIPPED, load_style
from engines.untrusted.folder_validator import file_sha256
from engines.untrusted.onnx_validator import check_graph, read_graph

Change = Callable[[onnx.ModelProto], object]


def style_of(folder: Path, model: onnx.ModelProto) -> Path:
    """A folder with that graph and an honest card, as whoever means harm would make it."""
    folder.mkdir(exist_ok=True)
    save(model, folder / "generator.onnx")
    card = {
        "format": 1, "name": "strange", "title": "Strange", "description": "From somewhere.",
        "generator": "onnx", "parameters": 36, "size_multiple": 2, "working_height": 720,
        "licence": "none", "attribution": "", "recipe": "", "guided_filter": {"radius": 1, "eps": 1e-3},
        "sha256": {"generator.onnx": file_sha256(folder / "generator.onnx")},
    }  # fmt: skip
    (folder / "card.toml").write_text(to_toml(card), encoding="utf-8")
    return folder


def plain() -> onnx.ModelProto:
    return cartoonizer()


def external(location: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
            tensor.external_data.add(key=key, value=value)

    return change


def first(kind: str, model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == kind)


def claims(dims: list[int]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].dims[:] = dims

    return change


def attribute(kind: str, name: str, value: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = first(kind, model)
        kept = [each for each in node.attribute if each.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change


def branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("v0", 1, None)])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", ["x"], ["x"], [], opset))


def chain(model: onnx.ModelProto) -> None:
    last = model.graph.output[0].name
    for at in range(6000):
        model.graph.node.append(helper.make_node("Neg", [last], [last := f"n{at}"]))


def ring(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def unknown_field(model: onnx.ModelProto) -> None:
    model.MergeFromString(b"\xfa\x3f\x03abc")  # field 1023


def half_a_clip(model: onnx.ModelProto) -> None:
    model.graph.node[0].CopyFrom(helper.make_node("Clip", ["in", "w0"], ["v0"]))


REFUSED: dict[str, tuple[Change, str]] = {
    "weights outside": (external("../../etc/passwd"), "stores weights in another file"),
    "weights anywhere": (external("/etc/passwd"), "stores weights in another file"),
    "weights beside": (external("more.bin"), "stores weights in another file"),
    "another domain": (lambda m: setattr(first("Tanh", m), "domain", "evil"), "operator 'evil.Tanh'"),
    "an unknown operator": (lambda m: setattr(first("Tanh", m), "op_type", "Loop"), "operator 'Loop'"),
    "a branch": (branch, "contains a graph within a node"),
    "a function": (function, "contains functions of its own"),
    "an unknown field": (unknown_field, "an unknown field"),
    "a terabyte claimed": (claims([1 << 28, 1 << 10]), "declares 274,877,906,944 values"),
    "less than nothing": (claims([-1]), "unknown type or an impossible size"),
    "an overflow": (claims([1 << 32, 1 << 32]), "unknown type or an impossible size"),
    "no stride": (attribute("Conv", "strides", [0, 0]), "strides is 0; allowed are 1 to 64"),
    "no group": (attribute("Conv", "group", 0), "group is 0; allowed are 1 to 65536"),
    "endless padding": (attribute("Conv", "pads", [1 << 40] * 4), "pads is 1099511627776"),
    "a node without its weight": (lambda m: first("Conv", m).input.pop(), "it takes 2 to 3"),
    "a flat weight": (lambda m: first("Conv", m).input.__setitem__(1, "w0"), "does not have 4 dimensions"),
    "a ring": (ring, "is used before it is computed"),
    "thousands of nodes": (chain, "nodes; allowed are 1 to 5,000"),
    "an old operator set": (lambda m: setattr(m.opset_import[0], "version", 7), "set 7; export it again"),
    "two inputs": (lambda m: m.graph.input.append(helper.make_tensor_value_info("x", 1, [1])), "take one"),
    "half a clip": (half_a_clip, "'v0' has only one bound"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_graph_may_not_hold(case: str, tmp_path: Path) -> None:
    change, said = REFUSED[case]
    model = plain()
    change(model)
    folder = style_of(tmp_path / "strange", model)
    with pytest.raises(StyleError, match=said.replace("(", r"\(")) as caught:
        load_style(folder)
    assert str(caught.value).startswith(str(folder / "generator.onnx"))
    assert "\n" not in str(caught.value)


def test_what_was_not_changed_is_taken(tmp_path: Path) -> None:
    style = load_style(style_of(tmp_path / "strange", plain()))
    assert not style.shipped
    facts = read_graph(style.graph)
    model = onnx.load(style.graph)
    floats = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert facts.parameters == sum(each.size for each in floats if each.dtype.kind == "f")
    assert facts.nodes == len(model.graph.node)
    assert (facts.inputs[0].name, facts.inputs[0].shape) == ("in", (1, 3, "rows", "columns"))


@pytest.mark.parametrize(
    "graph", sorted(SHIPPED.rglob("*.onnx")), ids=lambda file: str(file.relative_to(SHIPPED))
)
def test_every_shipped_graph_would_pass(graph: Path) -> None:
    assert check_graph(graph).nodes == len(onnx.load(graph).graph.node)


@pytest.mark.parametrize(
    "location, said",
    [
        ("/etc/passwd", "not a file in its folder"),
        ("../secret", "outside its own folder"),
        ("sub/../../secret", "outside its own folder"),
        ("C:\\secret", "not a file in its folder"),
        ("..\\secret", "outside its own folder"),
        ("link", "behind the link"),
        ("folder", "not a file"),
        ("short", "too short"),
        ("", "not a file in its folder"),
    ],
)  # fmt: skip
def test_a_graphs_weights_lie_in_its_own_folder_or_nowhere(location: str, said: str, tmp_path: Path) -> None:
    home = tmp_path / "downloads"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(100))
    (home / "short").write_bytes(b"\0")
    (home / "link").symlink_to(tmp_path / "secret")
    model = plain()
    external(location)(model)
    with pytest.raises(StyleError, match=said):
        convert_graph(save(model, home / "g.onnx"), tmp_path / "kept.onnx", bgr=False)


def bomb(kind: str) -> onnx.ModelProto:
    """A few hundred bytes that ask for terabytes and draw the picture all the same."""
    graph = Graph("float32", [1, 3, "h", "w"])
    if kind == "Resize":
        for _ in range(3):
            graph.add("Resize", "", np.array([1, 1, 50, 50], np.float32), mode="nearest")
        for _ in range(3):
            graph.add("Resize", "", np.array([1, 1, 0.02, 0.02], np.float32), mode="nearest")
    elif kind == "Tile":
        graph.add("GlobalAveragePool")
        for _ in range(3):
            graph.add("Tile", np.array([1, 1, 4096, 1]))
        graph.add("GlobalAveragePool")
        graph.add("Add", "in")
    else:
        graph.nodes.append(helper.make_node("Mul", ["big", "big"], ["bigger"]))
        graph.weights.append(numpy_helper.from_array(np.array([1 << 20], np.int64), "big"))
        graph.nodes.append(helper.make_node("ConstantOfShape", ["bigger"], ["huge"]))
        graph.nodes.append(helper.make_node("ReduceMean", ["huge"], ["small"], keepdims=0))
        graph.add("Add", "small")
    return graph.model("float32", [1, 3, "h", "w"])


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has taken is read as Linux tells it")
@pytest.mark.parametrize("kind", ["Resize", "Tile", "ConstantOfShape"])
def test_a_graph_that_asks_for_terabytes_is_refused_without_them(kind: str, tmp_path: Path) -> None:
    folder = style_of(tmp_path / "bomb", bomb(kind))
    code = f"""
from pathlib import Path
from engines.backends.selection import open_runner
from engines.errors import StyleError
from engines.registry.style import load_style
for backend in ("openvino", "onnxruntime"):
    try:
        style = load_style({str(folder)!r})
        open_runner(style, backend=backend, device="cpu", precision="fp32", height=64, width=64)
    except StyleError as error:
        words = (" at 64x64; the limit is ", "is not a graph that can be run")
        assert any(word in str(error) for word in words), error
    else:
        raise SystemExit("taken")
# Not ru_maxrss, which begins with the peak of whoever started this process.
status = Path("/proc/self/status")
if status.exists():
    assert int(status.read_text().split("VmHWM:")[1].split()[0]) < 1_500_000, "kilobytes"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]
    with pytest.raises(StyleError):
        add_style(folder / "generator.onnx", ImportOptions(name="bomb"))


@pytest.mark.parametrize("height", [64, 66])
def test_a_graph_of_another_size_than_it_says_is_refused(height: int, tmp_path: Path) -> None:
    style = load_style(style_of(tmp_path / "strange", cartoonizer(multiple=8)))  # the card says 2
    open_it = {"backend": "openvino", "device": "cpu", "precision": "fp32", "width": 64}
    if height == 64:
        open_runner(style, height=height, **open_it)[1].close()  # type: ignore[arg-type]
        return
    with pytest.raises(StyleError, match=r"strange.*(fails at|not a graph that can be run|cannot be used)"):
        open_runner(style, height=height, **open_it)  # type: ignore[arg-type]


def test_nothing_is_imported_from_the_folder_one_works_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.registry.style.data_folder", lambda name: tmp_path / "home" / name)
    file = save(plain(), tmp_path / "g.onnx")
    for name in ("onnx", "onnxruntime", "engines", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert add_style(file, ImportOptions()).style.name == "g"
    assert not (tmp_path / "ran").exists()


SPECIAL = ["link", "pipe", "device", "socket"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are POSIX's")
@pytest.mark.parametrize("name", ["card.toml", "generator.onnx", "preview.webp", "lite"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_nothing_in_a_folder_leads_out_of_it_or_waits(kind: str, name: str, tmp_path: Path) -> None:
    import socket

    folder = style_of(tmp_path / "s", plain())
    (folder / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / name))
    else:
        (folder / name).symlink_to("/dev/zero" if kind == "device" else shutil.which("sh") or "/bin/sh")
    began = time.monotonic()
    with pytest.raises(StyleError, match=f"{name} is a link or a special file"):
        load_style(folder)
    assert time.monotonic() - began < 60


def test_a_folder_with_a_crowd_in_it_is_no_style(tmp_path: Path) -> None:
    folder = style_of(tmp_path / "s", plain())
    for at in range(200):
        (folder / f"{at}.txt").touch()
    with pytest.raises(StyleError, match="contains more than 100 files"):
        load_style(folder)
