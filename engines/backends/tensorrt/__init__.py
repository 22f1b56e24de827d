"""TensorRT: a style's task, from planes to planes or from blocks to fields, as one engine for this GPU.

Building an engine takes minutes for each combination of style, size and precision, so engines are cached.
Videos run on them; single images, which come in any size, run in torch on the same GPU in fp16 or fp32.

    runner.py        the backend
    gpu.py           the GPU, its driver, and why there may be none
    engine_spec.py   what an engine computes, and the typed graph that it is built from
    load.py          loads an engine from the cache, or builds, validates and caches it
    prebuild.py      builds engines before they are needed, and verifies cached ones
    engine_cache.py  engines on disk
    build.py         builds an engine from a graph, with settings.py
    build_phases.py  computes a build's progress, which progress.py reports
    torch2trt.py     builds an engine by torch2trt
    runtime.py       runs an engine
    checks.py        compares an engine with what it should be
    library.py       differences between TensorRT 10 and 11
    versions.py      supported versions of TensorRT

Only build.py, library.py, progress.py and runtime.py, and the modules that import them, need TensorRT itself.
"""
