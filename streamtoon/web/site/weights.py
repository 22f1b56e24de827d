"""The weights of a network of fields as the page's shaders read them: one file of 16-bit floats.

A convolution is done in steps of four channels in and four out, so its weights lie as 4 x 4 matrices:
[in / 4][3 x 3 taps][out / 4][4 in][4 out], fp16. Biases follow as fp32, as sums are of fp32.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import StyleError
from engines.imaging.field_blocks import FIELDS, SAMPLES
from engines.registry.style import Style

GENERATORS = ("fields", "fields-lite")
"""Generators whose layers the page can compute."""
DILATIONS = (1, 2, 4, 2, 1)
"""Dilation of the first convolution of every residual block, as in `engines.generators.fields`."""
VECTOR = 4
"""Channels that a shader handles at a time."""
MULTIPLE = 8
"""Number of channels of a layer that a shader's workgroup computes; layers have a multiple of it."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PackedNetwork:
    """One network for the page."""

    data: bytes
    layers: tuple[dict[str, Any], ...]
    """In the order of computation: name, in, out, dilation, relu, residual, and where `weights` and `biases`
    begin in `data`, in bytes.
    """

    @property
    def sha256(self) -> str:
        """Of the data, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def multiplications(self) -> int:
        """For one block of 4 x 4 pixels."""
        return sum(layer["in"] * layer["out"] * 9 for layer in self.layers)


def pack_network(style: Style) -> PackedNetwork:
    """Return the network of a style. Raises StyleError if the shaders cannot compute it."""
    if style.generator not in GENERATORS:
        raise StyleError(
            f"style {style.name} has a generator of the kind {style.generator}, and the page draws with "
            f"{' and '.join(GENERATORS)} alone: `streamtoon styles list` says which styles are looks"
        )
    tensors = read_safetensors(style.weights)
    parts: list[bytes] = []
    layers: list[dict[str, Any]] = []
    place = 0
    for name, dilation, relu, residual in _plan(
        len({k.split(".")[1] for k in tensors if k[:7] == "blocks."})
    ):
        weights, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        out, channels = weights.shape[:2]
        if out % MULTIPLE or channels % MULTIPLE:
            raise StyleError(
                f"style {style.name}: {name} has {channels} channels in and {out} out; "
                f"the page's shaders take multiples of {MULTIPLE}"
            )
        halves, floats = pack_weights(weights).tobytes(), bias.astype("<f4").tobytes()
        layers.append(
            {
                "name": name, "in": channels, "out": out, "dilation": dilation, "relu": relu,
                "residual": residual, "weights": place, "biases": place + len(halves),
            }
        )  # fmt: skip
        parts += [halves, floats]
        place += len(halves) + len(floats)
    if layers[0]["in"] != SAMPLES or layers[-1]["out"] != FIELDS:
        raise StyleError(
            f"style {style.name}: its network is not one of {SAMPLES} samples to {FIELDS} fields"
        )
    return PackedNetwork(b"".join(parts), tuple(layers))


def pack_weights(weights: Floats) -> NDArray[np.float16]:
    """Out x in x 3 x 3 as in / 4 x 9 x out / 4 x 4 x 4, fp16."""
    out, channels = weights.shape[:2]
    by_vector = weights.reshape(out // VECTOR, VECTOR, channels // VECTOR, VECTOR, 9)
    return np.ascontiguousarray(by_vector.transpose(2, 4, 0, 3, 1)).astype("<f2")


def read_safetensors(file: Path) -> dict[str, Floats]:
    """Return the fp32 tensors of a file that `engines.untrusted.safetensors_validator` has checked."""
    data = file.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, row in json.loads(data[8:end]).items():
        if name != "__metadata__":
            begin, stop = row["data_offsets"]
            if row["dtype"] != "F32" or not re.fullmatch(r"[a-z0-9_.]+", name):
                raise StyleError(f"{file}: {name} is of type {row['dtype']}; the page takes weights of F32")
            tensors[name] = np.frombuffer(data[end + begin : end + stop], "<f4").reshape(row["shape"])
    return tensors


def _plan(blocks: int) -> list[tuple[str, int, bool, bool]]:
    """Name, dilation, ReLU after it, and whether it is added to what came before, of every layer."""
    if blocks != len(DILATIONS):
        raise StyleError(f"a network of {blocks} residual blocks; the page takes {len(DILATIONS)}")
    plan = [("stem", 1, True, False)]
    for at, dilation in enumerate(DILATIONS):
        plan += [(f"blocks.{at}.conv1", dilation, True, False), (f"blocks.{at}.conv2", 1, False, True)]
    return [*plan, ("head", 1, False, False)]
