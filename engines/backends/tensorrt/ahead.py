"""Plans before they are needed: built for a size, and the kept ones tried again."""

from __future__ import annotations

from engines.backends.tensorrt.gpu import gpu_facts
from engines.backends.tensorrt.held import another_machine
from engines.backends.tensorrt.library import version
from engines.backends.tensorrt.open import accept, key_of, open_plan
from engines.backends.tensorrt.plan import Plan
from engines.backends.tensorrt.wanted import Wanted, wanted_of
from engines.backends.torch_cuda import device_told
from engines.errors import EngineError
from engines.plan_cache import PlanCache, PlanEntry


def build_ahead(wanted: Wanted, cache: PlanCache) -> PlanEntry | None:
    """Builds a plan where it is not kept yet; its entry, None where it could not be kept.

    Raises EngineError in one sentence.
    """
    with device_told(str(wanted.device)):
        open_plan(wanted, cache)
    key = key_of(wanted)
    return next((entry for entry in cache.entries() if entry.key == key), None)


def verify(entry: PlanEntry, cache: PlanCache, gpu: int = 0) -> float:
    """Holds a kept plan to its style's pictures again; dB of PSNR of the worst photograph.

    Raises EngineError, in one sentence, where it cannot or must not be used: built for another machine, of a
    style or code that has changed, damaged, or drawing otherwise than its style.
    """
    facts = gpu_facts(gpu)
    here = {
        "TensorRT": (entry.key.tensorrt, version()),
        "CUDA": (entry.key.cuda, facts.cuda),
        "driver": (entry.key.driver, facts.driver),
        "compute capability": (entry.key.compute_capability, facts.compute_capability),
        "GPU": (entry.key.gpu, facts.name),
    }
    if problem := another_machine(here):
        raise EngineError(problem)
    wanted = wanted_of(entry, gpu)
    if key_of(wanted) != entry.key:
        raise EngineError("its style or streamtoon has changed since it was built: it is not used any more")
    plan = cache.read(entry.key)
    if plan is None:
        raise EngineError("its file is damaged: it is built anew when it is needed")
    with device_told(str(wanted.device)):
        return accept(Plan(plan, wanted.device), wanted)
