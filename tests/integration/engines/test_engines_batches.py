"""Pictures gathered to batches: in order, each once, whoever waits; drawn here by torch on the CPU."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from engines_open import open_engine, render_all
from planes_pictures import (
    CpuBatches,
    CpuBatchesRunner,
    CpuLane,
    drawn,
    extremes,
    photographs,
    picture,
    task_for,
)
from rgb_styles import rgb_style

from engines import factory as opening
from engines.backends.batcher import Batcher, BufferPool, byte_count, device_error, views_of
from engines.errors import EngineError
from engines.export.frame_graph import FrameNetwork
from engines.export.tasks import FrameTask, Samples
from engines.export.typed_onnx import task_network
from engines.frame import ColorInfo

HEIGHT, WIDTH = 33, 38
HANG = 60
"""Seconds after which a test has hung."""


@cache
def task() -> FrameTask:
    return task_for(rgb_style(), HEIGHT, WIDTH)


@cache
def network() -> FrameNetwork:
    built = task_network(rgb_style(), task(), half=False)
    assert isinstance(built, FrameNetwork)
    return built


def ring(
    batch: int, lanes: int = 3, blocks: int = 0, patience: float = 0.01
) -> tuple[Batcher, list[CpuLane]]:
    pool = BufferPool(
        batch * byte_count(task().takes.values()), blocks, lambda size: np.empty(size, np.uint8)
    )
    made = [CpuLane(network(), batch, pool) for _ in range(lanes)]
    return Batcher(made, task(), batch, patience), made


def film(length: int) -> list[Samples]:
    """Pictures that differ from each other."""
    dice = np.random.default_rng(0)
    whole = extremes(HEIGHT, WIDTH)["noise"]
    return [tuple(plane // 2 + np.uint8(dice.integers(0, 99)) for plane in whole) for _ in range(length)]


def same(got: Samples, source: Samples, strength: float = 1.0) -> bool:
    wanted = drawn(network(), source, strength=strength)
    near = [np.abs(a.astype(int) - b[0]).max() <= 1 for a, b in zip(got, wanted, strict=True)]
    return all(near)


@pytest.mark.parametrize("batch, lanes", [(1, 1), (1, 3), (3, 2), (4, 3)])
def test_every_picture_comes_back_as_itself(batch: int, lanes: int) -> None:
    batches, _ = ring(batch, lanes)
    sources = film(11)  # no multiple of any batch
    with ThreadPoolExecutor(2 * batch) as threads:
        jobs = [threads.submit(batches.start(source, 1.0)) for source in sources]
        cartoons = [job.result(HANG) for job in jobs]
    for cartoon, source in zip(cartoons, sources, strict=True):
        assert same(cartoon, source)
    batches.close()


def test_a_full_batch_is_computed_at_once_and_only_once() -> None:
    batches, lanes = ring(4)
    jobs = [batches.start(source, 1.0) for source in film(8)]
    assert [len(lane.launched) for lane in lanes] == [1, 1, 0]
    for job in jobs:
        job()
    assert [len(lane.launched) for lane in lanes] == [1, 1, 0]


def test_an_unfilled_batch_does_not_wait_forever() -> None:
    batches, lanes = ring(4)
    source = film(1)[0]
    job = batches.start(source, 1.0)
    assert lanes[0].launched == []
    assert same(job(), source)
    assert lanes[0].launched == [1.0]


def test_pictures_of_two_strengths_share_no_batch() -> None:
    batches, lanes = ring(4)
    sources = film(6)
    strengths = [1.0, 1.0, 0.5, 0.5, 0.5, 1.0]
    jobs = [batches.start(source, strength) for source, strength in zip(sources, strengths, strict=True)]
    for job, source, strength in zip(jobs, sources, strengths, strict=True):
        assert same(job(), source, strength)
    assert [lane.launched for lane in lanes] == [[1.0], [0.5], [1.0]]


def test_one_thread_may_start_more_than_there_is_room_for() -> None:
    batches, _ = ring(2, lanes=2)
    sources = film(13)
    jobs = [batches.start(source, 1.0) for source in sources]
    for job, source in zip(reversed(jobs), reversed(sources), strict=True):
        assert same(job(), source)
    batches.close()


def test_the_source_may_change_once_it_was_started() -> None:
    batches, _ = ring(2)
    source = film(1)[0]
    kept: Any = tuple(plane.copy() for plane in source)
    job = batches.start(source, 1.0)
    for plane in source:
        plane[:] = 0
    assert same(job(), kept)


def test_cartoons_stay_as_they_are_and_memory_comes_back() -> None:
    batches, lanes = ring(2, lanes=2, blocks=4)
    pool = lanes[0].pool
    sources = film(24)
    first = batches.start(sources[0], 1.0)()
    before = [plane.copy() for plane in first]
    addresses = set()
    for source in sources[1:]:
        cartoon = batches.start(source, 1.0)()
        addresses.add(cartoon[0].__array_interface__["data"][0])
    for plane, copied in zip(first, before, strict=True):
        assert np.array_equal(plane, copied)
    assert len(addresses) <= 4  # 23 pictures in at most four blocks, used again and again
    assert pool._to_make + len(pool._free) < 4
    del first, cartoon, plane
    batches.close()
    gc.collect()
    assert pool._to_make + len(pool._free) == 4


def test_what_is_held_beyond_the_pool_is_held_in_memory_of_its_own() -> None:
    batches, _ = ring(1, lanes=2, blocks=2)
    sources = film(7)
    held = [batches.start(source, 1.0)() for source in sources]
    for cartoon, source in zip(held, sources, strict=True):
        assert same(cartoon, source)


@pytest.mark.parametrize("where", ["launch", "wait"])
def test_a_device_that_fails_is_told_by_every_job_of_its_batch_and_by_no_other(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, lanes = ring(2)

    def fail(*given: float) -> None:
        raise device_error("cuda:1", RuntimeError("CUDA error: device lost\nCompile with ..."))

    monkeypatch.setattr(lanes[1], where, fail)
    sources = film(6)
    jobs = [batches.start(source, 1.0) for source in sources]
    for n in (2, 3, 2):
        with pytest.raises(EngineError, match=r"^cuda:1 failed .*\(CUDA error: device lost\)"):
            jobs[n]()
    for n in (0, 1, 4, 5):
        assert same(jobs[n](), sources[n])
    batches.close()


def test_after_close_nothing_is_started_and_what_was_is_done() -> None:
    batches, _ = ring(4)
    source = film(1)[0]
    job = batches.start(source, 1.0)
    batches.close()
    batches.close()
    assert same(job(), source)
    with pytest.raises(ValueError, match="closed"):
        batches.start(source, 1.0)


def test_a_blocks_parts_are_all_of_y_then_all_of_u_then_all_of_v() -> None:
    y, u, v = views_of(np.arange(3 * byte_count(task().takes.values())), task().takes.values(), 3)
    assert (y.shape, u.shape, v.shape) == ((3, 33, 38), (3, 17, 19), (3, 17, 19))
    flat = np.concatenate([plane.ravel() for plane in (y, u, v)])
    assert np.array_equal(flat, np.arange(3 * byte_count(task().takes.values())))


@pytest.mark.parametrize("throughput", [False, True])
@pytest.mark.parametrize("asked", [{}, {"clarity": 0.5, "strength": 0.6}], ids=str)
def test_an_engine_draws_by_it_what_it_draws_on_the_host(
    throughput: bool, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runners: list[CpuBatchesRunner] = []

    def open_cpu(style: Any, **asked: Any) -> tuple[str, CpuBatchesRunner]:
        runners.append(CpuBatchesRunner(style, asked["height"], asked["width"], batch=3 if throughput else 1))
        return "torch", runners[-1]

    photos = list(photographs(50, 70).values())[:3]
    sources = [picture(photo, color) for color in (ColorInfo(), ColorInfo("bt601", True)) for photo in photos]
    sources = [sources[0], *sources]  # one is drawn once
    asked = {"stabilize": 0.0, "width": 70, "height": 50} | asked
    with open_engine(rgb_style(), backend="torch", device="cpu", precision="fp32", **asked) as host:
        wanted = [host(source) for source in sources]
    monkeypatch.setattr(opening, "open_runner", open_cpu)
    with open_engine(rgb_style(), throughput=throughput, **asked) as engine:
        assert engine.concurrency == (6 if throughput else 2)
        with ThreadPoolExecutor(engine.concurrency) as threads:
            cartoons = render_all(engine, sources, threads)
        assert engine.reused == 1
    for cartoon, same_by_host in zip(cartoons, wanted, strict=True):
        assert cartoon.color == same_by_host.color
        assert not cartoon.y.flags.writeable
        for plane in "yuv":
            difference = getattr(cartoon, plane).astype(int) - getattr(same_by_host, plane)
            assert np.abs(difference).mean() < 0.5
    (runner,) = runners
    assert len(runner.opened) == 2  # one for each colour
    assert all(planes.closed for planes in runner.opened)
    assert threading.active_count() < 20


def test_sizes_that_change_keep_two_runners(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CpuBatchesRunner(rgb_style(), 64, 64, batch=2)
    monkeypatch.setattr(opening, "open_runner", lambda style, **asked: ("torch", runner))
    with open_engine(rgb_style(), width=40, height=30) as engine:
        waiting = []
        for height, width in ((30, 40), (40, 30), (20, 20), (40, 30)):
            photo = next(iter(photographs(height, width).values()))
            waiting.append(engine.submit(picture(photo)))
        assert [planes.closed for planes in runner.opened] == [True, False, False]
        for pending in waiting:
            pending.compute()
        shapes = [pending.result().y.shape for pending in waiting]
        assert shapes == [(30, 40), (40, 30), (20, 20), (40, 30)]
    assert isinstance(runner.opened[0], CpuBatches)
