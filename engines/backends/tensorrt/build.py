"""Building an engine from a graph with TensorRT's builder."""

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
    """Build the engine of an ONNX graph on a GPU. Ctrl-C stops the build.

    Args:
        graph: A serialised, strongly typed ONNX model with fixed sizes.
        settings: Optimisation level and workspace.
        timings: The timing cache of an earlier build on the same machine; None without one.
        show: Called with the share that is done, 0 to 1, and the name of the current phase.
        gpu: Index of the GPU.

    Returns:
        The serialised engine, and the timing cache for the next build.

    Raises:
        EngineError: TensorRT cannot build the graph.
        OutOfMemoryError: The GPU has too little memory for the build.
    """
    stopped = threading.Event()
    # One call to TensorRT builds for minutes. It runs in a thread, so that this one can handle Ctrl-C.
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
    torch.cuda.set_device(gpu)  # the current device belongs to the thread
    messages = Messages()
    torch.cuda.empty_cache()  # TensorRT cannot use what torch keeps in its cache
    builder = new_builder(messages)
    network = new_network(builder)
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(graph):
        said = parser.get_error(0).desc() if parser.num_errors else messages.last()
        raise EngineError(f"TensorRT cannot read the style's graph: {said}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace << 20)
    config.builder_optimization_level = settings.level
    # fp32 layers need their precision: TF32 would keep ten bits of mantissa.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that layers report their precision
    config.progress_monitor = monitor
    cache = config.create_timing_cache(timings or b"")
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = messages.last()
        if messages.is_out_of_memory():
            raise OutOfMemoryError(
                f"the GPU has too little memory to build the engine ({said}); close other programs on it"
            )
        raise EngineError(f"TensorRT cannot build the engine: {said}")
    return bytes(plan), bytes(config.get_timing_cache().serialize())
