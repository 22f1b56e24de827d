"""Building engines before they are needed, and verifying cached ones."""

from __future__ import annotations

from engines.backends.tensorrt.checks import machine_difference
from engines.backends.tensorrt.engine_cache import PlanCache, PlanEntry
from engines.backends.tensorrt.engine_spec import EngineSpec, spec_from_entry
from engines.backends.tensorrt.gpu import gpu_facts
from engines.backends.tensorrt.library import version
from engines.backends.tensorrt.load import open_plan, plan_key, validate_engine
from engines.backends.tensorrt.runtime import LoadedPlan
from engines.backends.torch_cuda import translate_device_errors
from engines.errors import EngineError


def prebuild(spec: EngineSpec, cache: PlanCache) -> PlanEntry | None:
    """Build an engine unless it is cached. Return its entry; None if it could not be cached.

    Raises EngineError.
    """
    with translate_device_errors(str(spec.device)):
        open_plan(spec, cache)
    key = plan_key(spec)
    return next((entry for entry in cache.entries() if entry.key == key), None)


def verify(entry: PlanEntry, cache: PlanCache, gpu: int = 0) -> float:
    """Compare a cached engine with its style again. Return the PSNR of the worst photograph, dB.

    Raises EngineError if the engine cannot be used: it was built for another machine or from an older style
    or version, it is damaged, or its output differs from the style's.
    """
    facts = gpu_facts(gpu)
    here = {
        "TensorRT": (entry.key.tensorrt, version()),
        "CUDA": (entry.key.cuda, facts.cuda),
        "driver": (entry.key.driver, facts.driver),
        "compute capability": (entry.key.compute_capability, facts.compute_capability),
        "GPU": (entry.key.gpu, facts.name),
    }
    if problem := machine_difference(here):
        raise EngineError(problem)
    spec = spec_from_entry(entry, gpu)
    if plan_key(spec) != entry.key:
        raise EngineError("its style or streamtoon has changed since it was built; it is no longer used")
    plan = cache.read(entry.key)
    if plan is None:
        raise EngineError("its file is damaged; it will be built again when it is needed")
    with translate_device_errors(str(spec.device)):
        return validate_engine(LoadedPlan(plan, spec.device, spec.task, spec.batch), spec)
