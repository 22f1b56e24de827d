"""Running an engine on a device's current stream."""

from __future__ import annotations

import numpy as np
import tensorrt as trt
import torch
from torch import Tensor

from engines.backends.tensorrt.checks import IOSpec, check_io, expected_io, layer_types
from engines.backends.tensorrt.library import Messages, new_runtime
from engines.errors import EngineError, OutOfMemoryError
from engines.export.tasks import Samples, Task

_TYPES = {"UINT8": torch.uint8, "FLOAT": torch.float32}


class LoadedPlan:
    """A loaded engine, called like the task's network on the current stream of its device.

    The outputs are its own buffers and valid until the next call. Loading allocates all memory.
    """

    def __init__(self, plan: bytes, device: torch.device, task: Task, batch: int) -> None:
        """Load an engine. Raises EngineError if TensorRT rejects it or its inputs and outputs are not the
        task's; OutOfMemoryError if the GPU has too little memory.
        """
        self._task = task
        self._messages = Messages()
        with torch.cuda.device(device):
            self._runtime = new_runtime(self._messages)  # must outlive the engine
            torch.cuda.empty_cache()  # TensorRT cannot use what torch keeps in its cache
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise self._error("TensorRT cannot load the engine")
            context = engine.create_execution_context()
            if context is None:
                raise self._error("TensorRT cannot run the engine")
            self._engine, self._context = engine, context
            ends = self._find_ends()
            check_io(ends, expected_io(task, batch))
            # Buffers of its own: TensorRT needs addresses that are multiples of 256, and planes start
            # anywhere.
            self._buffers: dict[str, Tensor] = {}
            for name, (_, kind, shape) in ends.items():
                self._buffers[name] = torch.empty(shape, dtype=_TYPES[kind], device=device)
                if not context.set_tensor_address(name, self._buffers[name].data_ptr()):
                    raise EngineError(f"TensorRT rejects the memory of {name}: {self._messages.last()}")

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs for inputs of the shapes that the engine was built for."""
        for name, values in zip((*self._task.takes, *self._task.numbers), given, strict=True):
            self._buffers[name].copy_(values)
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError(f"TensorRT failed while rendering: {self._messages.last()}")
        return tuple(self._buffers[name] for name in self._task.gives)

    def draw(self, pictures: list[Samples]) -> list[Samples]:
        """Compute one batch at full strength and wait for the result."""
        device = next(iter(self._buffers.values())).device
        with torch.cuda.device(device), torch.inference_mode():
            given = (torch.from_numpy(np.stack(parts)).to(device) for parts in zip(*pictures, strict=True))
            numbers = (torch.ones(1, device=device) for _ in self._task.numbers)
            drawn = [part.cpu().numpy() for part in self(*given, *numbers)]
        return [tuple(part[at] for part in drawn) for at in range(len(pictures))]

    def layer_types(self) -> dict[str, int]:
        """Return the number of layers by the precision of their output."""
        inspector = self._engine.create_engine_inspector()
        return layer_types(inspector.get_engine_information(trt.LayerInformationFormat.JSON))

    def _error(self, what: str) -> EngineError:
        said = self._messages.last()
        if self._messages.is_out_of_memory():
            return OutOfMemoryError(f"the GPU has too little memory for the engine ({said})")
        return EngineError(f"{what}: {said}")

    def _find_ends(self) -> IOSpec:
        ends: IOSpec = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            shape = self._engine.get_tensor_shape(name)
            sizes = tuple(shape[at] for at in range(len(shape)))
            kind = self._engine.get_tensor_dtype(name).name
            ends[name] = ("input" if is_input else "output", kind, sizes)
        return ends
