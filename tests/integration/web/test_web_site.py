"""The site as files: what is written, what it holds, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fields_styles import save_network

from engines.errors import StyleError
from engines.looks.look import look_keys
from engines.registry.style import GRAPH, Style, load_style, shipped_names
from streamtoon.errors import OutputError
from streamtoon.web.site.build import HEADERS, build_site, site_files
from streamtoon.web.site.contents import site_styles
from streamtoon.web.site.layers import read_layers
from streamtoon.web.site.weights import PackedNetwork, pack_network, pack_weights

LARGEST_SITE = 3_000_000


@pytest.fixture(scope="module")
def found() -> dict[str, bytes]:
    return site_files(site_styles([]))


@pytest.fixture(scope="module")
def facts(found: dict[str, bytes]) -> Any:
    return json.loads(found["site.json"])


def test_the_site_holds_every_shipped_look_with_every_number(facts: Any) -> None:
    assert sorted(style["name"] for style in facts["styles"]) == sorted(shipped_names())
    assert facts["styles"][0]["name"] == "comic"
    for row in facts["styles"]:
        look = load_style(row["name"]).look
        for key in look_keys():
            value = getattr(look, key.name)
            assert row["look"][key.name] == (list(value) if isinstance(value, tuple) else value)


def test_a_visitor_downloads_less_than_three_megabytes(found: dict[str, bytes]) -> None:
    assert sum(map(len, found.values())) < LARGEST_SITE


def test_weights_have_the_hash_and_the_places_that_the_page_is_told(
    found: dict[str, bytes], facts: Any
) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    style = load_style("comic")
    for form, one in (("full", style), ("lite", style.lite)):
        assert one is not None
        told = facts["networks"]["paint-and-ink"][form]
        data = found[told["file"]]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (told["bytes"], told["sha256"])
        tensors = safetensors.load_file(one.weights)
        for layer in told["layers"]:
            weights = tensors[f"{layer['name']}.weight"]
            count = weights.size
            halves = np.frombuffer(data, "<f2", count, layer["weights"])
            rng = np.random.default_rng(0)
            for _ in range(20):  # by hand: where one weight has to lie
                out, into = rng.integers(layer["out"]), rng.integers(layer["in"])
                side = layer["kernel"]
                tap = rng.integers(side**2)
                matrix = ((into // 4) * side**2 + tap) * (layer["out"] // 4) + out // 4
                place = matrix * 16 + (into % 4) * 4 + out % 4
                assert halves[place] == np.float16(weights[out, into, tap // side, tap % side])
            biases = np.frombuffer(data, "<f4", layer["out"], layer["biases"])
            assert (biases == tensors[f"{layer['name']}.bias"]).all()


@pytest.fixture(scope="module")
def shaken(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """A small network with random weights: half of its layers are on blocks of 8 x 8 pixels."""
    pytest.importorskip("onnxscript")
    return save_network(tmp_path_factory.mktemp("style") / "shaken-fields")


@pytest.mark.parametrize("name", ["fields", "fields-lite"])
def test_layers_one_after_another_are_the_generator(name: str, shaken: Style) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from engines.generators import create

    style = shaken if name == "fields-lite" else load_style("comic")
    packed, network = pack_network(style), create(name)
    network.load_state_dict(load_file(style.weights))
    samples = torch.rand(1, 24, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        wanted = network(samples)
        fields, multiplications = one_after_another(packed, samples)
    assert wanted.std() > 0.1
    assert (fields - wanted).abs().max() < 0.005 * wanted.abs().max()  # weights of 16 bits
    assert packed.multiplications == multiplications / (16 * 24)


def one_after_another(packed: PackedNetwork, given: Any) -> tuple[Any, int]:
    """The fields of samples by torch, layer by layer as the page is told, and the multiplications of that."""
    import torch
    import torch.nn.functional as F

    made: dict[str, Any] = {}
    size, multiplications = 1, 0
    for layer in packed.layers:
        side, out = layer["kernel"], layer["out"]
        halves = np.frombuffer(packed.data, "<f2", layer["in"] * out * side**2, layer["weights"])
        weights = halves.reshape(layer["in"] // 4, side, side, out // 4, 4, 4).astype(np.float32)
        weights = weights.transpose(3, 5, 0, 4, 1, 2).reshape(out, layer["in"], side, side)
        bias = torch.tensor(np.frombuffer(packed.data, "<f4", out, layer["biases"]))
        if layer["size"] < size:
            given = given.repeat_interleave(size, 2).repeat_interleave(size, 3)
        stride, reach = max(1, layer["size"] // size), layer["dilation"] * (side // 2)
        given = F.conv2d(given, torch.tensor(weights), bias, stride, reach, layer["dilation"])
        multiplications += given[0, 0].numel() * weights.size
        if layer["added"]:
            given = given + made[layer["added"]]
        if layer["relu"]:
            given = given.relu()
        made[layer["name"]], size = given, layer["size"]
    return given, multiplications


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [
        ("Relu", "op_type", "Sigmoid"),
        ("Add", "op_type", "Mul"),
        ("Conv", "strides", [2, 1]),
        ("Conv", "strides", [4, 4]),
        ("Conv", "dilations", [2, 2]),
        ("Conv", "pads", [0, 0, 0, 0]),
        ("Conv", "group", 2),
        ("Resize", "mode", b"linear"),
    ],
)
def test_a_graph_of_other_layers_is_refused(
    kind: str, attribute: str, value: Any, shaken: Style, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(shaken.network_folder / GRAPH)
    node = next(node for node in model.graph.node if node.op_type == kind)
    if attribute == "op_type":
        node.op_type = value
    else:
        (old,) = (one for one in node.attribute if one.name == attribute)
        old.CopyFrom(onnx.helper.make_attribute(attribute, value))
    onnx.save(model, tmp_path / GRAPH)
    with pytest.raises(StyleError, match="which the page does not compute"):
        read_layers(tmp_path / GRAPH)


def test_a_sum_of_what_a_relu_has_changed_is_refused(shaken: Style, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(shaken.network_folder / GRAPH)
    before = next(node.input[0] for node in model.graph.node if node.op_type == "Relu")
    after = next(node.output[0] for node in model.graph.node if node.op_type == "Relu")
    for node in model.graph.node:
        if node.op_type == "Add" and after in node.input:
            node.input[list(node.input).index(after)] = before
    onnx.save(model, tmp_path / GRAPH)
    with pytest.raises(StyleError, match=f"adds {before}"):
        read_layers(tmp_path / GRAPH)


def test_packed_weights_of_one_matrix() -> None:
    weights = np.zeros((8, 8, 3, 3), np.float32)
    weights[5, 2, 1, 0] = 1
    packed = pack_weights(weights)
    assert packed.shape == (2, 9, 2, 4, 4)
    assert packed[0, 3, 1, 2, 1] == 1
    assert packed.sum() == 1


def test_the_page_asks_no_other_server_and_runs_no_text_as_code(found: dict[str, bytes]) -> None:
    for name, data in found.items():
        if name.endswith((".js", ".html", ".css", ".webmanifest")):
            text = data.decode()
            assert not re.search(r"https?://(?!www\.w3\.org)", text), name
            assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|\son[a-z]+=", text), name


def test_the_policy_stands_in_the_page_and_allows_own_files_alone(found: dict[str, bytes]) -> None:
    policies: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
                policies.append(given["content"] or "")
            assert not (tag == "script" and "src" not in given), "a script in the page"
            assert "style" not in given, "a style in the page"

    Reader().feed(found["index.html"].decode())
    assert len(policies) == 1
    rules = dict(rule.split(" ", 1) for rule in policies[0].split("; "))
    assert rules.pop("default-src") == "'none'"
    assert all(set(rule.split()) <= {"'self'", "'none'", "blob:"} for rule in rules.values())
    assert "blob:" not in rules["script-src"] + rules["connect-src"]
    assert HEADERS["Content-Security-Policy"].startswith(policies[0])


def test_every_import_and_every_file_of_the_service_worker_is_there(found: dict[str, bytes]) -> None:
    for name, data in found.items():
        if name.endswith(".js"):
            for path in re.findall(r"(?:from|import\() ?\"(\.[^\"]+)\"", data.decode()):
                parts = [*Path(name).parent.parts]
                for part in path.split("/"):
                    parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
                assert "/".join(parts) in found, f"{name} imports {path}"
    told = re.search(r"const SITE = (\{.*\});", found["sw.js"].decode())
    assert told
    site = json.loads(told[1])
    assert set(site["files"]) == set(found) - {"sw.js"}
    assert re.fullmatch(r"[0-9a-f]{16}", site["version"])


def test_a_build_replaces_an_earlier_site_and_nothing_else(tmp_path: Path) -> None:
    styles = site_styles(["ink"])
    folder = tmp_path / "site"
    built = build_site(styles, folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert built.files == len(files)
    assert built.bytes == sum(file.stat().st_size for file in files)
    (folder / "stale.js").write_text("old")
    build_site(styles, folder)
    assert not (folder / "stale.js").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        build_site(styles, other)
    assert [file.name for file in other.iterdir()] == ["letter.txt"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other", "site"]


def test_styles_that_the_page_cannot_offer_are_refused() -> None:
    with pytest.raises(StyleError, match="twice"):
        site_styles(["comic", "ink", "comic"])
    with pytest.raises(StyleError, match="comik"):
        site_styles(["comik"])


def test_a_network_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.web.site.weights.GENERATORS", ("fields-lite",))
    with pytest.raises(StyleError, match="fields-lite"):
        pack_network(load_style("comic"))


def test_the_server_gives_files_with_their_headers_and_knows_its_name(found: dict[str, bytes]) -> None:
    pytest.importorskip("aiohttp")
    from aiohttp.test_utils import TestClient, TestServer

    from streamtoon.web.site.server import site_app

    async def ask() -> None:
        async with TestClient(TestServer(site_app(found, "127.0.0.1"))) as client:
            page = await client.get("/")
            assert (page.status, await page.read()) == (200, found["index.html"])
            assert page.content_type == "text/html"
            for name, value in HEADERS.items():
                assert page.headers[name] == value
            module = await client.get("/engine/gpu.js")
            assert (module.content_type, await module.read()) == ("text/javascript", found["engine/gpu.js"])
            for path in ("/nothing", "/../pyproject.toml", "/%2e%2e/pyproject.toml"):
                assert (await client.get(path)).status == 404
            foreign = await client.get("/", headers={"Host": "evil.example"})
            assert foreign.status == 403

    asyncio.run(ask())
