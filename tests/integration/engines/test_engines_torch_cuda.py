"""torch on NVIDIA's GPUs. The tests marked `gpu` run where there is one."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from engines_open import open_engine, render_all
from fields_styles import LOOK, save_network
from planes_pictures import drawn, photographs, picture, psnr, task_for
from rgb_styles import rgb_style

from engines.backends import torch_cuda
from engines.backends.selection import open_runner
from engines.errors import EngineError
from engines.export.calibration_images import to_samples
from engines.export.tasks import FieldsTask
from engines.export.typed_onnx import task_network
from engines.frame import Frame
from engines.registry.style import LITE

GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0
gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not GPUS, reason="needs an NVIDIA GPU and torch for CUDA: neither was found"),
]


def needs(*marks: Any) -> Any:
    """All of them on one test."""

    def marked(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return marked


def film(height: int, width: int, length: int) -> list[Frame]:
    """Photographs, each a little brighter than the last time."""
    photos = list(photographs(height, width).values())
    return [picture(photos[n % len(photos)] // 2 + n % 100, pts=n) for n in range(length)]


def open_batches(generator: str, height: int, width: int, device: str = "cuda", **asked: Any) -> Any:
    read = rgb_style(generator)
    options: dict[str, Any] = {"precision": "fp16", "throughput": True} | asked
    _, runner = open_runner(read, backend="torch", device=device, height=height, width=width, **options)
    return runner.open_batches(task_for(read, height, width))  # type: ignore[attr-defined]


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:0,cuda:1", "cpu,cuda:0"])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_gpu_that_is_not_here_is_one_sentence(device: str, backend: str) -> None:
    with pytest.raises(EngineError, match=r"cuda.*available: .*cpu"):
        open_engine("comic", backend=backend, device=device, width=64, height=48)


@pytest.mark.parametrize("device", ["cpu,cpu"])
def test_several_devices_are_gpus(device: str) -> None:
    with pytest.raises(EngineError, match="name one device, or several GPUs"):
        open_engine("comic", backend="torch", device=device, width=64, height=48)


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU here, for which memory can be pinned")
def test_memory_that_cannot_be_pinned_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    torch_cuda._warn_of_pageable_memory.cache_clear()
    blocks = [torch_cuda._pinned(6) for _ in range(3)]
    assert all(block.shape == (6,) and block.flags.writeable for block in blocks)
    assert [record.getMessage() for record in caplog.records] == [
        "the system cannot pin more memory: copies to and from the GPU will be slower"
    ]


@needs(*gpu)
@pytest.mark.parametrize("generator", ["unet", "lwcomicgan"])
@pytest.mark.parametrize("precision, least", [("fp16", 45), ("fp32", 60), ("bf16", 30)])
def test_the_gpu_draws_what_the_cpu_draws(generator: str, precision: str, least: float) -> None:
    read = rgb_style(generator)
    network = task_network(read, task_for(read, 270, 480), half=False)
    planes = open_batches(generator, 270, 480, precision=precision)
    for strength in (1.0, 0.5):
        for source in film(270, 480, 4):
            sample = (source.y, source.u, source.v)
            wanted = [plane[0] for plane in drawn(network, sample, strength=strength)]
            assert psnr(planes.start(sample, strength)(), wanted) >= least
    planes.close()


@needs(*gpu)
@pytest.mark.parametrize("precision, least", [("fp16", 50), ("fp32", 60), ("bf16", 35)])
def test_the_gpu_gives_the_fields_that_the_cpu_gives(precision: str, least: float, tmp_path: Path) -> None:
    style = save_network(tmp_path / "shaken", look=LOOK)
    task = FieldsTask(45, 80)
    network = task_network(style, task, half=False)
    _, runner = open_runner(
        style, backend="torch", device="cuda", height=45, width=80, precision=precision, throughput=True
    )
    batches = runner.open_batches(task)  # type: ignore[attr-defined]
    sources = [to_samples(photo, task) for photo in photographs(180, 320).values()]
    for source, job in [(source, batches.start(source, 1.0)) for source in sources]:
        (got,), (wanted,) = job(), drawn(network, source)
        assert got.shape == (45, 80, 40)
        assert psnr([got], [wanted[0]]) >= least
    batches.close()
    runner.close()


@needs(*gpu)
@pytest.mark.parametrize("asked", [{}, {"stabilize": 0.8}, {"quality": "lite"}], ids=str)
def test_looks_are_drawn_on_the_gpu_as_on_the_cpu(asked: dict[str, Any], tmp_path: Path) -> None:
    save_network(tmp_path / "shaken" / LITE, seed=1)
    style = save_network(tmp_path / "shaken", look=LOOK)
    sources, cartoons = film(270, 480, 23), {}
    for device, precision in (("cpu", "fp32"), ("cuda", "fp16")):
        size: dict[str, Any] = {
            "width": 480,
            "height": 270,
            "throughput": True,
            "stabilize": 0.0,
            "quality": "full",
        }
        size |= asked
        with open_engine(style, backend="torch", device=device, precision=precision, **size) as engine:
            assert engine.facts.device == device
            with ThreadPoolExecutor(engine.concurrency) as threads:
                cartoons[device] = render_all(engine, sources, threads)
            assert (engine.device_seconds() is None) == (device == "cpu")
    for ours, theirs in zip(cartoons["cuda"], cartoons["cpu"], strict=True):
        assert ours.pts == theirs.pts
        assert np.abs(ours.y.astype(int) - theirs.y).mean() < 1  # thresholds, one field code aside


@needs(*gpu)
@pytest.mark.parametrize("device", ["cuda", ",".join(f"cuda:{n}" for n in range(GPUS))])
def test_pictures_keep_their_order(device: str) -> None:
    with open_engine(rgb_style(), backend="torch", device="cuda", width=480, height=270) as alone:
        sources = film(270, 480, 101)
        wanted = [alone(source) for source in sources]
    asked: dict[str, Any] = {"backend": "torch", "device": device, "throughput": True}
    with open_engine(rgb_style(), width=480, height=270, **asked) as engine:
        assert engine.facts.device == device
        with ThreadPoolExecutor(engine.concurrency) as threads:
            cartoons = render_all(engine, sources, threads)
    assert [cartoon.pts for cartoon in cartoons] == list(range(101))
    for cartoon, expected in zip(cartoons, wanted, strict=True):
        ours, theirs = ([one.y, one.u, one.v] for one in (cartoon, expected))
        assert psnr(ours, theirs) >= 45  # other kernels for other batches


@needs(*gpu)
def test_memory_stays_as_it_is() -> None:
    planes = open_batches("unet", 720, 1280)
    sources = [(s.y, s.u, s.v) for s in film(720, 1280, 8)]

    def play(rounds: int) -> None:
        jobs: list[Any] = []
        for n in range(rounds):
            jobs.append(planes.start(sources[n % 8], 1.0))
            if len(jobs) == planes.concurrency:
                jobs.pop(0)()
        for job in jobs:
            job()

    play(100)
    gc.collect()
    device, host = torch.cuda.memory_reserved(), torch.cuda.host_memory_stats()["allocated_bytes.current"]
    play(400)
    gc.collect()
    assert torch.cuda.memory_reserved() == device
    assert torch.cuda.host_memory_stats()["allocated_bytes.current"] == host
    planes.close()


@needs(*gpu)
def test_copies_hide_behind_the_graph() -> None:
    """Several under way take little more than the graph itself does; one after the other, they add up."""
    planes = open_batches("unet", 720, 1280)
    sources = [(s.y, s.u, s.v) for s in film(720, 1280, 8)]
    graph = planes._graphs[0].seconds()
    for _ in range(2):  # the first time, pinned memory is taken
        began, jobs = time.perf_counter(), []
        for n in range(200):
            jobs.append(planes.start(sources[n % 8], 1.0))
            if len(jobs) == planes.concurrency:
                jobs.pop(0)()
        for job in jobs:
            job()
        took = (time.perf_counter() - began) / 200
    # The host's own copy of a picture, 1.4 MB, is in it: 0.5 ms is generous.
    assert took <= 1.3 * graph + 0.0005
    planes.close()


@needs(*gpu)
def test_too_little_memory_makes_the_batch_smaller_and_then_is_one_sentence() -> None:
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(0.004)  # of 80 GB: 320 MB
    try:
        with pytest.raises(EngineError, match="not enough memory for"):
            open_batches("unet", 4320, 7680)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert free <= total
    planes = open_batches("unet", 64, 64)
    assert isinstance(
        planes.start(tuple(np.full(s, 9, np.uint8) for s in ((64, 64), (32, 32), (32, 32))), 1.0)(), tuple
    )
    planes.close()
