"""The operators that convolutional generators are made of, with what a node of each must have.

Runtimes look for inputs that the standard promises without asking whether they are there, and a node that
lacks one can end the process. So do numbers that nothing divides by or allocates. Both are found before.

Inputs and outputs: https://onnx.ai/onnx/operators, sets 11 to 25.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.onnx_wire import MalformedError

LOWEST, HIGHEST = 11, 30
"""Operator sets of the domain ai.onnx: Resize, Pad, Clip and Slice have been what they are since 11."""
MANY = 64
_INPUTS = {
    (0, 0): "Constant",
    (1, 1): """
        Abs AveragePool Cast Ceil ConstantOfShape DepthToSpace Elu Erf Exp Flatten Floor Gelu
        GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LeakyRelu Log MaxPool Mish Neg Not
        Reciprocal Relu Round Selu Shape Sigmoid Sign Size Softmax Softplus Softsign SpaceToDepth Sqrt Tanh
        ThresholdedRelu Transpose
    """,
    (1, 2): """
        ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare Split Squeeze Unsqueeze
    """,
    (1, 3): "Clip Dropout",
    (1, MANY): "Concat Max Mean Min Sum",
    (2, 2): """
        Add And CastLike Div Equal Expand Gather Greater GreaterOrEqual Less LessOrEqual MatMul Mul Or PRelu
        Pow Reshape Sub Tile
    """,
    (2, 3): "Conv ConvTranspose DequantizeLinear Gemm LayerNormalization QuantizeLinear",
    (2, 4): "Pad",
    (3, 3): "GroupNormalization InstanceNormalization Where",
    (3, 4): "Resize",
    (3, 5): "Slice",
    (5, 5): "BatchNormalization",
}
OPERATORS = {name: ends for ends, names in _INPUTS.items() for name in names.split()}
"""Name -> the fewest inputs, which must be there, and the most."""
_MAY_LACK = {"Resize": {1, 2, 3}}
"""Places of the fewest that may be empty all the same."""
_OUTPUTS = {"Split": MANY, "Dropout": 2}
"""The most outputs, where that is not one."""
_VECTOR = 1
_RANKS = {
    "BatchNormalization": {1: _VECTOR, 2: _VECTOR, 3: _VECTOR, 4: _VECTOR},
    "ConstantOfShape": {0: _VECTOR},
    "Conv": {0: 4, 1: 4, 2: _VECTOR},
    "ConvTranspose": {0: 4, 1: 4, 2: _VECTOR},
    "Expand": {1: _VECTOR},
    "GroupNormalization": {1: _VECTOR, 2: _VECTOR},
    "InstanceNormalization": {1: _VECTOR, 2: _VECTOR},
    "Pad": {1: _VECTOR},
    "Reshape": {1: _VECTOR},
    "Resize": {1: _VECTOR, 2: _VECTOR, 3: _VECTOR},
    "Slice": {1: _VECTOR, 2: _VECTOR, 3: _VECTOR, 4: _VECTOR},
    "Tile": {1: _VECTOR},
}
"""Operator -> place of an input -> how many dimensions it has."""
KEEP_RANK = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})
"""What gives as many dimensions as it takes."""
_BETWEEN = {
    "axes": (-8, 8),
    "axis": (-8, 8),
    "blocksize": (1, 64),
    "dilations": (1, 1024),
    "group": (1, 65_536),
    "kernel_shape": (1, 2048),
    "output_padding": (0, 64),
    "output_shape": (1, 16_384),
    "pads": (0, 16_384),
    "perm": (0, 7),
    "strides": (1, 64),
}
"""Attribute -> the lowest and the highest of its numbers."""
_FREE = (-(1 << 63), 1 << 63)


def check_ends(kind: str, domain: str, inputs: list[str], outputs: list[str]) -> None:
    """Raises MalformedError for an operator that is not one of these, and for inputs that it lacks."""
    if domain not in ("", "ai.onnx") or kind not in OPERATORS:
        name = f"{domain}.{kind}" if domain else kind
        raise MalformedError(f"uses the operator {name[:80]!r}, which no generator here may")
    fewest, most = OPERATORS[kind]
    may_lack = _MAY_LACK.get(kind, set())
    lacks = any(not name and at not in may_lack for at, name in enumerate(inputs[:fewest]))
    if lacks or not fewest <= len(inputs) <= most:
        raise MalformedError(
            f"is not a sound graph: {kind} takes {fewest} to {most} inputs, and one has others"
        )
    if kind == "Resize" and not any(inputs[2:]):
        raise MalformedError("is not a sound graph: a Resize says neither scales nor sizes")
    if not outputs or not outputs[0] or len(outputs) > _OUTPUTS.get(kind, 1):
        raise MalformedError(f"is not a sound graph: {kind} gives another number of outputs")


def check_ranks(kind: str, inputs: list[str], ranks: Mapping[str, int]) -> None:
    """Raises MalformedError for a weight of other dimensions than its place asks for, where known."""
    for place, rank in _RANKS.get(kind, {}).items():
        if place < len(inputs) and ranks.get(inputs[place], rank) != rank:
            raise MalformedError(f"is not a sound graph: a weight of {kind} has other than {rank} dimensions")


def check_numbers(attribute: str, numbers: list[int]) -> None:
    """Raises MalformedError for a number that a runtime cannot or should not compute with."""
    low, high = _BETWEEN.get(attribute, _FREE)
    for number in numbers:
        if not low <= number <= high:
            raise MalformedError(f"is not a sound graph: {attribute} is {number}; allowed is {low} to {high}")
