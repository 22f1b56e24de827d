"""The operators that convolutional generators consist of, and what each node needs.

Runtimes read inputs that the standard requires without checking that they exist; a missing one can crash the
process. Some numbers make a runtime divide by zero or allocate without limit. Both are rejected here first.

Inputs and outputs: https://onnx.ai/onnx/operators, sets 11 to 25.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.untrusted.onnx_reader import MalformedError

MIN_OPSET, MAX_OPSET = 11, 30
"""Operator sets of the domain ai.onnx. Resize, Pad, Clip and Slice have not changed since 11."""
MAX_INPUTS = 64
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
    (1, MAX_INPUTS): "Concat Max Mean Min Sum",
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
"""Name -> minimum number of inputs, which must all be present, and the maximum."""
_MAY_LACK = {"Resize": {1, 2, 3}}
"""Places among the required inputs that may be empty anyway."""
_OUTPUTS = {"Split": MAX_INPUTS, "Dropout": 2}
"""Maximum number of outputs where it is not one."""
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
"""Operator -> place of an input -> its number of dimensions."""
KEEP_RANK = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})
"""Operators whose output has as many dimensions as their input."""
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
"""Attribute -> smallest and largest allowed number."""
_FREE = (-(1 << 63), 1 << 63)


def check_arity(kind: str, domain: str, inputs: list[str], outputs: list[str]) -> None:
    """Check operator and number of inputs and outputs of a node. Raises MalformedError."""
    if domain not in ("", "ai.onnx") or kind not in OPERATORS:
        name = f"{domain}.{kind}" if domain else kind
        raise MalformedError(f"uses the operator {name[:80]!r}, which styles may not use")
    fewest, most = OPERATORS[kind]
    may_lack = _MAY_LACK.get(kind, set())
    lacks = any(not name and at not in may_lack for at, name in enumerate(inputs[:fewest]))
    if lacks or not fewest <= len(inputs) <= most:
        raise MalformedError(
            f"is not a valid graph: a {kind} node lacks inputs or has too many; it takes {fewest} to {most}"
        )
    if kind == "Resize" and not any(inputs[2:]):
        raise MalformedError("is not a valid graph: a Resize node has neither scales nor sizes")
    if not outputs or not outputs[0] or len(outputs) > _OUTPUTS.get(kind, 1):
        raise MalformedError(f"is not a valid graph: a {kind} node has the wrong number of outputs")


def check_ranks(kind: str, inputs: list[str], ranks: Mapping[str, int]) -> None:
    """Check the number of dimensions of a node's weights, where they are known. Raises MalformedError."""
    for place, rank in _RANKS.get(kind, {}).items():
        if place < len(inputs) and ranks.get(inputs[place], rank) != rank:
            raise MalformedError(f"is not a valid graph: a weight of {kind} does not have {rank} dimensions")


def check_numbers(attribute: str, numbers: list[int]) -> None:
    """Check that a runtime can and may compute with an attribute's numbers. Raises MalformedError."""
    low, high = _BETWEEN.get(attribute, _FREE)
    for number in numbers:
        if not low <= number <= high:
            raise MalformedError(
                f"is not a valid graph: attribute {attribute} is {number}; allowed are {low} to {high}"
            )
