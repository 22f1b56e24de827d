"""A style's plan for one task: the one kept, or built, tried on photographs and kept."""

from __future__ import annotations

import hashlib
import logging
import time

from engines.backends.tensorrt.build import build_plan
from engines.backends.tensorrt.checks import check_precision, expected_io
from engines.backends.tensorrt.engine_cache import Facts, PlanCache, PlanKey, load_or_build
from engines.backends.tensorrt.engine_spec import EngineSpec, graph_digest, spec_facts, typed_graph
from engines.backends.tensorrt.gpu import gpu_facts
from engines.backends.tensorrt.library import version
from engines.backends.tensorrt.runtime import LoadedPlan
from engines.backends.tensorrt.torch2trt import build_by_torch2trt, require_torch2trt
from engines.errors import EngineError, OutOfMemoryError
from engines.export.parity import check_parity
from engines.export.typed_onnx import task_network

LOG = logging.getLogger("streamtoon.engines")
"""Told of what takes minutes, for whoever wants to show it."""


def plan_key(wanted: EngineSpec) -> PlanKey:
    """The plan's key on this machine. Raises EngineError, in one sentence, where no GPU can be used."""
    found, gpu = version(), gpu_facts(wanted.gpu)
    ends = expected_io(wanted.task, wanted.batch)
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, (_, _, shape) in sorted(ends.items()))
    return PlanKey(
        graph=graph_digest(wanted),
        shapes=shapes,
        precision=wanted.precision,
        via=wanted.via,
        settings=str(wanted.settings),
        tensorrt=found,
        cuda=gpu.cuda,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        driver=gpu.driver,
    )


def open_plan(wanted: EngineSpec, cache: PlanCache | None = None) -> LoadedPlan:
    """The plan, loaded. Building one takes minutes, of which `LOG` is told.

    Raises EngineError in one sentence: no GPU, a graph that cannot be built, a plan that draws otherwise than
    its style; OutOfMemoryError where the GPU's memory does not suffice.
    """
    cache = PlanCache.of_user() if cache is None else cache
    key = plan_key(wanted)
    if wanted.via == "torch2trt":
        require_torch2trt(key.tensorrt, wanted.precision)

    def load(plan: bytes) -> LoadedPlan | None:
        try:
            return LoadedPlan(plan, wanted.device, wanted.task, wanted.batch)
        except OutOfMemoryError:
            raise
        except EngineError:
            return None

    return load_or_build(cache, key, load, lambda: _build(wanted, key, cache), LOG.info)


def _build(wanted: EngineSpec, key: PlanKey, cache: PlanCache) -> tuple[bytes, Facts]:
    """A plan that was tried, and what is known about it."""
    LOG.info("building a TensorRT engine for %s: minutes, and once", wanted)
    begun = time.monotonic()
    if wanted.via == "torch2trt":
        network = task_network(wanted.style, wanted.task, half=False)
        plan = build_by_torch2trt(network, wanted.batch, wanted.device, wanted.precision, wanted.settings)
        graph = ""
    else:
        data = typed_graph(wanted)
        graph = hashlib.sha256(data).hexdigest()
        plan, timings = build_plan(data, wanted.settings, cache.read_timings(key), _show, wanted.gpu)
        try:
            cache.write_timings(key, timings)
        except OSError as error:
            LOG.info("the timings of this build cannot be kept (%s): the next one takes as long", error)
    decibels = validate_engine(LoadedPlan(plan, wanted.device, wanted.task, wanted.batch), wanted)
    took = round(time.monotonic() - begun, 1)
    facts: Facts = {
        **spec_facts(wanted),
        "level": wanted.settings.level,
        "workspace": wanted.settings.workspace,
        "psnr": round(min(decibels, 999.0), 2),
        "seconds": took,
        "graph": graph,
    }
    LOG.info("built in %.0f s; %.1f dB to the style's network in fp32", took, decibels)
    return plan, facts


def validate_engine(plan: LoadedPlan, wanted: EngineSpec) -> float:
    """Holds a plan to its precision and the style's pictures; dB of PSNR of the worst photograph.

    Raises EngineError, in one sentence, where it is not what it should be.
    """
    if wanted.via == "onnx":  # torch2trt leaves it to TensorRT where fp16 is worth it
        check_precision(plan.layer_types(), wanted.precision)
    return check_parity(plan.draw, wanted.style, wanted.task, wanted.batch, wanted.precision)


def _show(share: float, phase: str) -> None:
    LOG.info("building: %d %% (%s)", round(100 * share), phase)
