"""A style's plan for one task: the one kept, or built, tried on photographs and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import asdict

from engines.agreement import demand_agreement
from engines.backends.tensorrt.build import build_plan
from engines.backends.tensorrt.gpu import gpu_facts
from engines.backends.tensorrt.held import demand_ends, demand_precision, expected_ends
from engines.backends.tensorrt.library import version
from engines.backends.tensorrt.plan import Plan
from engines.backends.tensorrt.torch2trt import build_by_torch2trt, demand_torch2trt
from engines.backends.tensorrt.wanted import Wanted, made_of, typed_graph
from engines.errors import EngineError, OutOfMemoryError
from engines.half import planes_network
from engines.plan_cache import Facts, PlanCache, PlanKey, obtain

LOG = logging.getLogger("streamtoon.engines")
"""Told of what takes minutes, for whoever wants to show it."""


def key_of(wanted: Wanted) -> PlanKey:
    """The plan's key on this machine. Raises EngineError, in one sentence, where no GPU can be used."""
    found, gpu = version(), gpu_facts(wanted.gpu)
    ends = expected_ends(wanted.task, wanted.batch)
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, (_, _, shape) in sorted(ends.items()))
    return PlanKey(
        graph=made_of(wanted),
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


def open_plan(wanted: Wanted, cache: PlanCache | None = None) -> Plan:
    """The plan, loaded. Building one takes minutes, of which `LOG` is told.

    Raises EngineError in one sentence: no GPU, a graph that cannot be built, a plan that draws otherwise than
    its style; OutOfMemoryError where the GPU's memory does not suffice.
    """
    cache = PlanCache.of_user() if cache is None else cache
    key = key_of(wanted)
    if wanted.via == "torch2trt":
        demand_torch2trt(key.tensorrt, wanted.precision)

    def load(plan: bytes) -> Plan | None:
        try:
            loaded = Plan(plan, wanted.device)
            demand_ends(loaded.ends, expected_ends(wanted.task, wanted.batch))
        except OutOfMemoryError:
            raise
        except EngineError:
            return None
        return loaded

    return obtain(cache, key, load, lambda: _build(wanted, key, cache), LOG.info)


def _build(wanted: Wanted, key: PlanKey, cache: PlanCache) -> tuple[bytes, Facts]:
    """A plan that was tried, and what is known about it."""
    LOG.info("building a TensorRT engine for %s: minutes, and once", wanted)
    begun = time.monotonic()
    if wanted.via == "torch2trt":
        network = planes_network(wanted.style, wanted.task, half=False)
        plan = build_by_torch2trt(network, wanted.batch, wanted.device, wanted.precision, wanted.settings)
        graph = ""
    else:
        data = typed_graph(wanted)
        graph = hashlib.sha256(data).hexdigest()
        plan, timings = build_plan(data, wanted.settings, {}, cache.timings(key), _show, wanted.gpu)
        try:
            cache.keep_timings(key, timings)
        except OSError as error:
            LOG.info("the timings of this build cannot be kept (%s): the next one takes as long", error)
    decibels = accept(Plan(plan, wanted.device), wanted)
    took = round(time.monotonic() - begun, 1)
    facts: Facts = {
        "style": wanted.style.name,
        "folder": str(wanted.style.folder.resolve()),
        "width": wanted.task.width,
        "height": wanted.task.height,
        "batch": wanted.batch,
        "task": json.dumps(asdict(wanted.task)),
        "level": wanted.settings.level,
        "workspace": wanted.settings.workspace,
        "psnr": round(min(decibels, 999.0), 2),
        "seconds": took,
        "graph": graph,
    }
    LOG.info("built in %.0f s; %.1f dB to the style's network in fp32", took, decibels)
    return plan, facts


def accept(plan: Plan, wanted: Wanted) -> float:
    """Holds a plan to its ends, its precision and the style's pictures; dB of PSNR of the worst photograph.

    Raises EngineError, in one sentence, where it is not what it should be.
    """
    demand_ends(plan.ends, expected_ends(wanted.task, wanted.batch))
    if wanted.via == "onnx":  # torch2trt leaves it to TensorRT where fp16 is worth it
        demand_precision(plan.layer_types(), wanted.precision)
    return demand_agreement(plan.draw, wanted.style, wanted.task, wanted.batch, wanted.precision)


def _show(share: float, phase: str) -> None:
    LOG.info("building: %d %% (%s)", round(100 * share), phase)
