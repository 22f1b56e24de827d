"""Loading the engine of a task: from the cache, or built, validated and cached."""

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
"""Reports what takes minutes."""


def plan_key(spec: EngineSpec) -> PlanKey:
    """Return the engine's key on this machine. Raises EngineError if no GPU can be used."""
    found, gpu = version(), gpu_facts(spec.gpu)
    ends = expected_io(spec.task, spec.batch)
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, (_, _, shape) in sorted(ends.items()))
    return PlanKey(
        graph=graph_digest(spec),
        shapes=shapes,
        precision=spec.precision,
        via=spec.via,
        settings=str(spec.settings),
        tensorrt=found,
        cuda=gpu.cuda,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        driver=gpu.driver,
    )


def open_plan(spec: EngineSpec, cache: PlanCache | None = None) -> LoadedPlan:
    """Load an engine. If it is not cached, build it, which takes minutes; progress goes to `LOG`.

    Raises EngineError if there is no GPU, if the graph cannot be built, or if the engine's output differs
    from the style's; OutOfMemoryError if the GPU has too little memory.
    """
    cache = PlanCache.of_user() if cache is None else cache
    key = plan_key(spec)
    if spec.via == "torch2trt":
        require_torch2trt(key.tensorrt, spec.precision)

    def load(plan: bytes) -> LoadedPlan | None:
        try:
            return LoadedPlan(plan, spec.device, spec.task, spec.batch)
        except OutOfMemoryError:
            raise
        except EngineError:
            return None

    return load_or_build(cache, key, load, lambda: _build(spec, key, cache), LOG.info)


def _build(spec: EngineSpec, key: PlanKey, cache: PlanCache) -> tuple[bytes, Facts]:
    """Build and validate an engine. Return it with facts about it."""
    LOG.info("building a TensorRT engine for %s (takes minutes, happens once)", spec)
    started = time.monotonic()
    if spec.via == "torch2trt":
        network = task_network(spec.style, spec.task, half=False)
        plan = build_by_torch2trt(network, spec.batch, spec.device, spec.precision, spec.settings)
        graph = ""
    else:
        data = typed_graph(spec)
        graph = hashlib.sha256(data).hexdigest()
        plan, timings = build_plan(data, spec.settings, cache.read_timings(key), _show, spec.gpu)
        try:
            cache.write_timings(key, timings)
        except OSError as error:
            LOG.info("cannot cache the timings of this build (%s): the next one takes as long", error)
    decibels = validate_engine(LoadedPlan(plan, spec.device, spec.task, spec.batch), spec)
    took = round(time.monotonic() - started, 1)
    facts: Facts = {
        **spec_facts(spec),
        "level": spec.settings.level,
        "workspace": spec.settings.workspace,
        "psnr": round(min(decibels, 999.0), 2),
        "seconds": took,
        "graph": graph,
    }
    LOG.info("built in %.0f s; PSNR %.1f dB to the style's network in fp32", took, decibels)
    return plan, facts


def validate_engine(plan: LoadedPlan, spec: EngineSpec) -> float:
    """Check an engine's precision and its output. Return the PSNR of the worst photograph, dB.

    Raises EngineError if the precision is wrong or the PSNR too low.
    """
    if spec.via == "onnx":  # with torch2trt, TensorRT chooses where to use fp16
        check_precision(plan.layer_types(), spec.precision)
    return check_parity(plan.draw, spec.style, spec.task, spec.batch, spec.precision)


def _show(share: float, phase: str) -> None:
    LOG.info("building: %d %% (%s)", round(100 * share), phase)
