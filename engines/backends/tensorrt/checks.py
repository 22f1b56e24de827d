"""Checks of an engine: its inputs and outputs, its precision, and its machine. Needs no TensorRT."""

from __future__ import annotations

import json
import re

from engines.errors import EngineError
from engines.export.tasks import Shape, Task
from engines.spec import Precision

_TYPES = {
    "fp16": r"\b(fp16|half)\b",
    "fp32": r"\b(fp32|float)\b",
    "int8": r"\bint8\b",
    "fp8": r"\bfp8\b",
}
IOSpec = dict[str, tuple[str, str, Shape]]
"""Name of an input or output -> ("input" or "output", type, shape)."""


def expected_io(task: Task, batch: int) -> IOSpec:
    """Return the inputs and outputs of an engine for that task: 8-bit arrays, and float numbers."""
    ends: IOSpec = dict.fromkeys(task.numbers, ("input", "FLOAT", (1,)))
    for mode, shapes in (("input", task.takes), ("output", task.gives)):
        ends |= {name: (mode, "UINT8", (batch, *shape)) for name, shape in shapes.items()}
    return ends


def check_io(found: IOSpec, expected: IOSpec) -> None:
    """Raise EngineError if an engine's inputs or outputs are not the expected ones."""
    for name in dict.fromkeys((*expected, *found)):
        if found.get(name) != expected.get(name):
            has, wants = (_describe(ends.get(name)) for ends in (found, expected))
            raise EngineError(f"the engine's {name} is {has}, expected {wants}; the engine is not used")


def _describe(end: tuple[str, str, Shape] | None) -> str:
    return "missing" if end is None else f"{end[0]} {end[1].lower()} {'x'.join(map(str, end[2]))}"


def check_precision(counts: dict[str, int], precision: Precision) -> None:
    """Raise EngineError if no layer has that precision, or if an fp32 engine has layers of lower precision.

    `counts` is the result of `layer_types`. Engines in fp8 and int8 also have fp16 layers.
    """
    less = sum(count for name, count in counts.items() if name != "fp32")
    if not counts.get(precision) or (precision == "fp32" and less):
        text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        raise EngineError(f"the engine should be {precision} but its layers are {text}; it is not used")


def layer_types(information: str) -> dict[str, int]:
    """Return the number of layers by the precision of their output, from an engine inspector's JSON.

    TensorRT 10 reports format and type of a tensor in one field (`Format/Datatype`), TensorRT 11 in two.
    Raises EngineError if no layer reports its precision.
    """
    try:
        layers = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError):
        layers = []
    counts = dict.fromkeys(_TYPES, 0)
    for layer in layers:
        for tensor in layer.get("Outputs", []) if isinstance(layer, dict) else []:
            text = " ".join(
                str(value)
                for name, value in tensor.items()
                if name.lower() in ("format/datatype", "datatype", "format")
            )
            for precision, pattern in _TYPES.items():
                counts[precision] += re.search(pattern, text, re.IGNORECASE) is not None
    if not any(counts.values()):
        raise EngineError(
            "TensorRT does not report the precision of the engine's layers; the engine is not used"
        )
    return counts


def machine_difference(facts: dict[str, tuple[str, str]]) -> str:
    """Describe the differences between the machine of an engine and this one; "" if there are none.

    `facts` maps a name to the engine's value and this machine's.
    """
    differences = [
        f"{name} {its} (here {ours or 'none'})" for name, (its, ours) in facts.items() if its != ours
    ]
    return f"it was built for {', '.join(differences)}; it is not used here" if differences else ""
