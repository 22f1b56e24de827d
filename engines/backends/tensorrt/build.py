"""A graph to a plan: TensorRT's builder with everything it can be told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import tensorrt as trt
import torch

from engines.backends.tensorrt.library import Messages, new_builder, new_network
from engines.backends.tensorrt.progress import Monitor, ReportProgress
from engines.backends.tensorrt.settings import BuilderSettings
from engines.errors import EngineError, OutOfMemoryError


def build_plan(
    graph: bytes,
    settings: BuilderSettings,
    timings: bytes | None,
    show: ReportProgress,
    gpu: int,
) -> tuple[bytes, bytes]:
    """The plan of an ONNX graph, and the timings that the next build on this machine begins with.

    It is built for and on GPU `gpu`. `profiles` holds one for every input whose size is free. Ctrl-C ends the
    build. Raises EngineError in one sentence where the graph cannot be built, OutOfMemoryError where the
    GPU's memory does not suffice.
    """
    stopped = threading.Event()
    # TensorRT builds for minutes within one call: in a thread of its own, so that Ctrl-C is heard meanwhile.
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(_build, graph, settings, timings, Monitor(show, stopped), gpu)
        try:
            while not wait([future], timeout=0.2).done:
                pass
        except BaseException:
            stopped.set()
            raise
    return future.result()


def _build(
    graph: bytes,
    settings: BuilderSettings,
    timings: bytes | None,
    monitor: Monitor,
    gpu: int,
) -> tuple[bytes, bytes]:
    torch.cuda.set_device(gpu)  # a matter of each thread
    messages = Messages()
    torch.cuda.empty_cache()  # what torch keeps for later TensorRT cannot have
    builder = new_builder(messages)
    network = new_network(builder)
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(graph):
        said = parser.get_error(0).desc() if parser.num_errors else messages.last()
        raise EngineError(f"TensorRT cannot read the style's graph: {said}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace << 20)
    config.builder_optimization_level = settings.level
    # What is fp32 in the graph is so for a reason: TF32 would leave it ten bits of mantissa.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # layers tell their precision afterwards
    config.progress_monitor = monitor
    cache = config.create_timing_cache(timings or b"")
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = messages.last()
        if messages.is_out_of_memory():
            raise OutOfMemoryError(
                f"the GPU has too little memory to build the engine: {said}; close other programs that use it"
            )
        raise EngineError(f"TensorRT cannot build the engine: {said}")
    return bytes(plan), bytes(config.get_timing_cache().serialize())
