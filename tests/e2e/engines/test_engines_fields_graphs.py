"""Graphs from blocks to fields, as GPUs run them: their types, their precision, and an engine over them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pairs import pairwise_cases

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("ml_dtypes")

from engines_open import open_engine, render_all  # noqa: E402
from fields_styles import LOOK, OTHER_LOOK, blocks_by_hand, save_look, save_network  # noqa: E402
from planes_pictures import CpuBatchesRunner, drawn, extremes, photographs, picture, psnr  # noqa: E402

from engines import factory as opening  # noqa: E402
from engines.backends.frame_runner import DeviceRunners  # noqa: E402
from engines.backends.tensorrt import checks, engine_spec  # noqa: E402
from engines.backends.tensorrt.engine_cache import PlanEntry, PlanKey  # noqa: E402
from engines.backends.torch_runner import TorchRunner  # noqa: E402
from engines.errors import EngineError  # noqa: E402
from engines.export.calibration_images import to_samples  # noqa: E402
from engines.export.frame_graph import network_for, to_half  # noqa: E402
from engines.export.parity import check_parity, reference  # noqa: E402
from engines.export.tasks import FieldsTask, Samples  # noqa: E402
from engines.export.typed_onnx import export_task, task_network  # noqa: E402
from engines.fields_engine import FieldsEngine  # noqa: E402
from engines.frame import ColorInfo, Frame  # noqa: E402
from engines.imaging.field_blocks import pack  # noqa: E402
from engines.registry import style as style_module  # noqa: E402
from engines.registry.style import LITE, Style, load_style  # noqa: E402

FP16, FP32, UINT8 = (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8)
TASK = FieldsTask(rows=12, columns=18)
HANG = 60
"""Seconds after which a test has hung."""


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    """With its own network and a lite form."""
    folder = tmp_path_factory.mktemp("styles") / "shaken"
    save_network(folder / LITE, seed=1)
    return save_network(folder, look=LOOK)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Style]:
    """Two looks over one shared network, which has a small form."""
    monkeypatch.setattr(style_module, "NETWORKS", tmp_path / "networks")
    monkeypatch.setattr(style_module, "SHIPPED", tmp_path / "styles")
    network = tmp_path / "networks" / "both"
    save_network(network / LITE, seed=1)
    save_network(network)
    looks = {"one": LOOK, "two": OTHER_LOOK}
    return {name: save_look(tmp_path / "styles" / name, "both", look) for name, look in looks.items()}


def several(task: FieldsTask, count: int) -> list[Samples]:
    photos = [
        photo for _, photo in zip(range(count), photographs(task.height, task.width).values(), strict=False)
    ]
    return [to_samples(photo, task) for photo in photos]


def session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def test_blocks_are_the_samples_of_planes_in_limited_range() -> None:
    photo = photographs(TASK.height, TASK.width)["coffee"]
    source = picture(photo)
    (blocks,) = to_samples(photo, TASK)
    assert blocks.shape == (12, 18, 24)
    assert (
        np.abs(blocks - blocks_by_hand(source.y, source.u, source.v)).max() <= 1
    )  # chroma resized otherwise


@pytest.mark.parametrize("form", ["large", "lite"])
def test_the_network_between_bytes_is_the_runner_of_single_pictures(style: Style, form: str) -> None:
    read = style if form == "large" else style.lite
    assert read is not None
    runner = TorchRunner(read, "cpu", "fp32", TASK.rows, TASK.columns)
    network = task_network(read, TASK, half=False)
    sources = several(TASK, 3)
    (together,) = drawn(network, *sources)
    assert (together.dtype, together.shape) == (np.uint8, (3, 12, 18, 40))
    for (blocks,), fields in zip(sources, together, strict=True):
        assert np.abs(fields.astype(int) - runner(blocks)).max() <= 1  # other kernels for other batches
        assert np.mean(fields != runner(blocks)) < 0.001


def graph(style: Style, batch: int = 2) -> bytes:
    return export_task(task_network(style, TASK, half=True), batch)


def test_it_is_typed_as_it_says(style: Style) -> None:
    model = onnx.load_from_string(graph(style))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = {v.name: v.type.tensor_type for v in (*inferred.input, *inferred.value_info, *inferred.output)}
    types = {name: value.elem_type for name, value in values.items()}
    types |= {constant.name: constant.data_type for constant in inferred.initializer}
    ends = {
        v.name: (types[v.name], tuple(dim.dim_value for dim in values[v.name].shape.dim))
        for v in (*inferred.input, *inferred.output)
    }
    assert ends == {"blocks": (UINT8, (2, 12, 18, 24)), "fields": (UINT8, (2, 12, 18, 40))}
    assert checks.expected_io(TASK, 2) == {
        "blocks": ("input", "UINT8", (2, 12, 18, 24)),
        "fields": ("output", "UINT8", (2, 12, 18, 40)),
    }
    convolutions = 0
    for node in inferred.node:
        if node.op_type == "Conv":
            convolutions += 1
            assert {types[name] for name in node.input} == {FP16}, node.name
        # TensorRT has uint8 at a network's ends only, and only to be cast.
        if node.op_type != "Cast":
            assert UINT8 not in {types.get(name) for name in (*node.input, *node.output)}
    assert convolutions == 9
    assert graph(style) == graph(style), "a cache of built engines is keyed by it"


def test_the_file_makes_fields_like_single_precision(style: Style) -> None:
    sources = several(TASK, 4)
    sources += [(pack(planes),) for planes in extremes(TASK.height, TASK.width).values()]
    runner, single = session(graph(style)), task_network(style, TASK, half=False)
    for at in range(0, len(sources), 2):
        pair = sources[at : at + 2]
        (got,) = runner.run(["fields"], {"blocks": np.stack([blocks for (blocks,) in pair])})
        (expected,) = drawn(single, *pair)
        assert psnr([got], [expected]) >= 50
        assert np.abs(got.astype(int) - expected).max() <= 3


def test_no_value_in_half_precision_is_infinite(style: Style) -> None:
    network = network_for(to_half(task_network(style, TASK, half=False).generator), TASK).eval()
    largest: list[float] = []
    for module in network.generator.modules():
        module.register_forward_hook(lambda *given: largest.append(float(given[-1].float().abs().max())))
    drawn(network, *[(pack(planes),) for planes in extremes(TASK.height, TASK.width).values()])
    assert len(largest) > 10
    assert max(largest) <= 65504 / 4


@pytest.mark.parametrize("precision, least", [("fp32", 60), ("fp16", 50), ("int8", 35), ("fp8", 35)])
def test_what_tensorrt_gets_is_run_by_onnx_runtime_and_accepted(
    style: Style, precision: Any, least: float
) -> None:
    """The very file that a plan is built from, held to the photographs that a plan is held to."""
    asked = engine_spec.spec_for(style, 192, 108, precision=precision)
    assert (asked.task, asked.batch) == (FieldsTask(32, 58), 4)  # 192x108, enlarged to 228x128
    data = engine_spec.typed_graph(asked)
    pairs = [node for node in onnx.load_from_string(data).graph.node if node.op_type == "QuantizeLinear"]
    # All nine but the last, and in fp8 the first, which takes the picture.
    assert len(pairs) == {"int8": 8, "fp8": 7}.get(precision, 0)
    runner = session(data)

    def draw(batch: list[Samples]) -> list[Samples]:
        (fields,) = runner.run(["fields"], {"blocks": np.stack([blocks for (blocks,) in batch])})
        return [(each,) for each in fields]

    assert check_parity(draw, asked.style, asked.task, asked.batch, precision) >= least


def test_a_plan_that_draws_otherwise_is_found_out(style: Style) -> None:
    task = engine_spec.spec_for(style, 96, 64).task

    def right(batch: list[Samples]) -> list[Samples]:
        return reference(style, task, batch)

    def swapped(batch: list[Samples]) -> list[Samples]:
        return right(batch)[::-1]

    def cropped(batch: list[Samples]) -> list[Samples]:
        return [(fields[:-1],) for (fields,) in right(batch)]

    assert check_parity(right, style, task, 4, "fp16") == float("inf")
    with pytest.raises(EngineError, match="does not match style"):
        check_parity(swapped, style, task, 4, "fp16")
    with pytest.raises(EngineError, match="wrong size"):
        check_parity(cropped, style, task, 1, "fp16")


@pytest.mark.parametrize(
    ("quality", "size", "color"),
    pairwise_cases(
        ["full", "fast", "lite"],
        [(640, 360), (321, 179), (90, 700)],
        [ColorInfo(), ColorInfo("bt601", full_range=True)],
    ),
)
def test_what_is_built_ahead_is_what_the_engine_asks_for(
    style: Style, quality: Any, size: tuple[int, int], color: ColorInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = size
    asked: list[FieldsTask] = []
    monkeypatch.setattr(DeviceRunners, "start", lambda self, source, task: asked.append(task))
    y, u, v = (
        np.full(shape, 128, np.uint8) for shape in ((height, width), *[(-(-height // 2), -(-width // 2))] * 2)
    )
    with open_engine(
        style, backend="torch", device="cpu", precision="fp32", quality=quality, width=width, height=height
    ) as engine:
        form = engine._style
        engine._device = DeviceRunners.__new__(DeviceRunners)
        engine._job(Frame(y, u, v, 0, Fraction(1), color=color), 1.0)
        engine._device = None
    built = engine_spec.spec_for(style, width, height, quality=quality, color=color)
    assert built.task == asked[0]
    assert built.style == form


def test_looks_over_one_network_ask_for_one_plan_and_find_it_again(shared: dict[str, Style]) -> None:
    for quality in ("full", "fast"):
        one, two = (engine_spec.spec_for(shared[name], 64, 48, quality=quality) for name in ("one", "two"))
        assert engine_spec.graph_digest(one) == engine_spec.graph_digest(two)
        place = engine_spec.spec_facts(one)
        assert place["style"] == "both"
        assert str(one).startswith("style both at 96x72")
        key = PlanKey("0", "0", "fp16", "onnx", "0", "11.0", "12.8", "G", "9.0", "575")
        now = datetime.now(UTC)
        entry = PlanEntry(key, {**place, "level": 3, "workspace": 4096}, 1, "0", now, now)
        again = engine_spec.spec_from_entry(entry, 0)
        assert again.task == one.task
        assert again.style.network_folder == one.style.network_folder
        assert again.style.sha256 == one.style.sha256
        assert engine_spec.graph_digest(again) == engine_spec.graph_digest(one)
    large, small = (engine_spec.spec_for(shared["one"], 64, 48, quality=kind) for kind in ("full", "fast"))
    assert engine_spec.graph_digest(large) != engine_spec.graph_digest(small)


def sources() -> list[Frame]:
    photos = list(photographs(50, 70).values())[:3]
    found = [picture(photo, color) for color in (ColorInfo(), ColorInfo("bt601", True)) for photo in photos]
    return [found[0], *found]  # one is drawn once


def play(engine: Any, pictures: list[Frame]) -> list[Frame]:
    with ThreadPoolExecutor(engine.concurrency) as threads:
        return render_all(engine, pictures, threads)


@pytest.mark.parametrize(
    "asked",
    [{}, {"throughput": True}, {"detail": 0.6}, {"quality": "lite"}, {"stabilize": 0.8}, {"strength": 0.4}],
    ids=str,
)
def test_an_engine_draws_by_it_what_it_draws_on_the_host(
    style: Style, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runners: list[CpuBatchesRunner] = []

    def open_cpu(form: Any, **size: Any) -> tuple[str, CpuBatchesRunner]:
        runners.append(
            CpuBatchesRunner(form, size["height"], size["width"], batch=3 if "throughput" in asked else 1)
        )
        return "torch", runners[-1]

    asked = {"width": 70, "height": 50, "quality": "full", "stabilize": 0.0, **asked}
    with open_engine(style, backend="torch", device="cpu", precision="fp32", **asked) as host:
        expected = [host(source) for source in sources()]
    monkeypatch.setattr(opening, "open_runner", open_cpu)
    with open_engine(style, color=ColorInfo(), **asked) as engine:
        assert engine.concurrency == (6 if "throughput" in asked else 2)
        assert len(runners[0].opened) == 1, "made ready before the first picture"
        cartoons = play(engine, sources())
        assert engine.reused == 1
        assert isinstance(engine, FieldsEngine)
        drawn_at = (76, 104) if engine.facts.scale > 1 else (50, 70)
        assert engine.fields(sources()[0]).y.shape == drawn_at
    (runner,) = runners
    assert len(runner.opened) == 1  # one for every colour
    assert all(batches.closed for batches in runner.opened)
    for cartoon, by_host in zip(cartoons, expected, strict=True):
        assert cartoon.color == by_host.color
        for plane in "yuv":
            difference = np.abs(getattr(cartoon, plane).astype(int) - getattr(by_host, plane))
            assert difference.mean() < 0.05  # a field that is one code off beside a threshold


def test_a_look_is_switched_between_two_pictures(
    shared: dict[str, Style], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (load_style(name) for name in ("one", "two"))
    assert {one.network, two.network} == {"both"}
    size: dict[str, Any] = {"width": 70, "height": 50}
    source = sources()[0]
    expected = []
    for style in (one, two):
        with open_engine(
            style, backend="torch", device="cpu", precision="fp32", quality="full", **size
        ) as host:
            expected.append(host(source))
    assert psnr([expected[0].y], [expected[1].y]) < 30
    runner = CpuBatchesRunner(one, 13, 18, batch=1)
    monkeypatch.setattr(opening, "open_runner", lambda form, **asked: ("torch", runner))
    with open_engine(one, quality="full", **size) as engine:
        first = engine.submit(source)
        assert engine.switch(two)
        second = engine.submit(source)
        for pending in (first, second):
            pending.compute()
        cartoons = [first.result(), second.result()]
    assert len(runner.opened) == 1
    for cartoon, by_host in zip(cartoons, expected, strict=True):
        assert psnr([cartoon.y], [by_host.y]) > 50
