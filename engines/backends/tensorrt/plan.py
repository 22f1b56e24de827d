"""A plan at work: loaded, held to what it should be, and run on a device's current stream."""

from __future__ import annotations

import tensorrt as trt
import torch
from torch import Tensor

from engines.backends.tensorrt.held import Ends, layer_types
from engines.backends.tensorrt.library import Messages, new_runtime
from engines.errors import EngineError, OutOfMemoryError
from engines.half import INPUTS, OUTPUTS
from engines.reuse import Planes

_TYPES = {"UINT8": torch.uint8, "FLOAT": torch.float32}


class Plan:
    """As `PlanesNetwork`: planes and strength in, planes out, on the current stream of its device.

    What it gives is its own memory, until the next call. All memory is taken when it is loaded.
    """

    def __init__(self, plan: bytes, device: torch.device) -> None:
        """Raises EngineError for a plan that TensorRT refuses, OutOfMemoryError without memory for it."""
        self._messages = Messages()
        with torch.cuda.device(device):
            self._runtime = new_runtime(self._messages)  # which the engine needs for as long as it lives
            torch.cuda.empty_cache()  # what torch keeps for later TensorRT cannot have
            engine = self._runtime.deserialize_cuda_engine(plan)
            if engine is None:
                raise self._error("TensorRT does not load the engine")
            context = engine.create_execution_context()
            if context is None:
                raise self._error("TensorRT cannot run the engine")
            self._engine, self._context = engine, context
            self.ends = self._find_ends()
            # Its own buffers: TensorRT wants addresses that are multiples of 256, and planes begin anywhere.
            self._buffers: dict[str, Tensor] = {}
            for name, (_, kind, shape) in self.ends.items():
                if kind not in _TYPES:
                    raise EngineError(f"the engine's {name} is {kind.lower()}: it is not used")
                self._buffers[name] = torch.empty(shape, dtype=_TYPES[kind], device=device)
                if not context.set_tensor_address(name, self._buffers[name].data_ptr()):
                    raise EngineError(f"TensorRT does not take the memory of {name}: {self._messages.last()}")

    def __call__(self, y: Tensor, u: Tensor, v: Tensor, strength: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shapes as the plan was built for."""
        for name, values in zip(INPUTS, (y, u, v, strength), strict=True):
            self._buffers[name].copy_(values)
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError(f"TensorRT failed while drawing: {self._messages.last()}")
        cartoon_y, cartoon_u, cartoon_v = (self._buffers[name] for name in OUTPUTS)
        return cartoon_y, cartoon_u, cartoon_v

    def draw(self, pictures: list[Planes]) -> list[Planes]:
        """The cartoons of one whole batch, at full strength; waits for the device."""
        device = self._buffers["strength"].device
        with torch.cuda.device(device), torch.inference_mode():
            y, u, v = (
                torch.stack([torch.from_numpy(planes[at])[None] for planes in pictures]).to(device)
                for at in range(3)
            )
            drawn = [plane[:, 0].cpu().numpy() for plane in self(y, u, v, torch.ones(1, device=device))]
        return [(drawn[0][at], drawn[1][at], drawn[2][at]) for at in range(len(pictures))]

    def layer_types(self) -> dict[str, int]:
        """How many layers' results are of each precision."""
        inspector = self._engine.create_engine_inspector()
        return layer_types(inspector.get_engine_information(trt.LayerInformationFormat.JSON))

    def _error(self, what: str) -> EngineError:
        said = self._messages.last()
        if self._messages.tell_of_memory():
            return OutOfMemoryError(f"the GPU has too little memory for the engine: {said}")
        return EngineError(f"{what}: {said}")

    def _find_ends(self) -> Ends:
        ends: Ends = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            shape = self._engine.get_tensor_shape(name)
            sizes = tuple(shape[at] for at in range(len(shape)))
            kind = self._engine.get_tensor_dtype(name).name
            ends[name] = ("input" if is_input else "output", kind, sizes)
        return ends
