"""TensorRT: a style's whole way from planes to planes, or from blocks to fields, as one engine for this GPU.

An engine takes minutes to build, the first time that a style, a size and a precision come together, and is
kept (`engines.backends.tensorrt.engine_cache`). Videos are drawn by it; single pictures, which come in any
size, by torch on the same GPU in fp16 or fp32.

    runner.py     the backend
    gpu.py        the GPU and its driver, and why there may be none
    wanted.py     what a plan is to draw, and the typed graph that it is built from
    open.py       the plan that is wanted: kept, or built, tried and kept; ahead.py, before it is needed
    build.py      a graph to a plan, with settings.py, profiles.py, phases.py and progress.py
    torch2trt.py  the other way to a plan
    plan.py       a plan at work; held.py, what it is held to
    library.py    what differs between TensorRT 10 and 11; versions.py, which of them serve

Only build.py, library.py, plan.py and progress.py, and what imports them, need TensorRT itself.
"""
