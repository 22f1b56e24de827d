"""The weights of a network of fields as the page's shaders read them: one file of 16-bit floats.

A convolution is done in steps of four channels in and four out, so its weights lie as 4 x 4 matrices:
[in / 4][taps, row by row][out / 4][4 in][4 out], fp16. Biases follow as fp32, as sums are of fp32.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import StyleError
from engines.imaging.field_blocks import FIELDS, SAMPLES
from engines.registry.style import GRAPH, Style
from streamtoon.web.site.layers import read_layers

GENERATORS = ("fields", "fields-lite")
"""Generators whose layers the page can compute."""
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
    """In the order of computation: what `Layer` says, the channels `in` and `out`, and where `weights` and
    `biases` begin in `data`, in bytes.
    """

    @property
    def sha256(self) -> str:
        """Of the data, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def multiplications(self) -> int:
        """For one block of 4 x 4 pixels."""
        return sum(one["in"] * one["out"] * one["kernel"] ** 2 // one["size"] ** 2 for one in self.layers)


def pack_network(style: Style) -> PackedNetwork:
    """Return the network of a style. Raises StyleError if the shaders cannot compute it."""
    if style.generator not in GENERATORS:
        raise StyleError(
            f"style {style.name} has the generator {style.generator}; the page draws only with "
            f"{' and '.join(GENERATORS)}, the generators of looks, which `streamtoon styles list` marks"
        )
    tensors = read_safetensors(style.weights)
    parts: list[bytes] = []
    layers: list[dict[str, Any]] = []
    place = 0
    for layer in read_layers(style.network_folder / GRAPH):
        weights, bias = (tensors.get(f"{layer.name}.{part}") for part in ("weight", "bias"))
        if weights is None or bias is None or weights.shape[2:] != (layer.kernel,) * 2:
            raise StyleError(f"style {style.name}: its weights are not those of its graph at {layer.name}")
        out, channels = weights.shape[:2]
        if out % MULTIPLE or channels % MULTIPLE:
            raise StyleError(
                f"style {style.name}: {layer.name} has {channels} channels in and {out} out; "
                f"the page's shaders take multiples of {MULTIPLE}"
            )
        halves, floats = pack_weights(weights).tobytes(), bias.astype("<f4").tobytes()
        where = {"weights": place, "biases": place + len(halves)}
        layers.append(asdict(layer) | {"in": channels, "out": out} | where)
        parts += [halves, floats]
        place += len(halves) + len(floats)
    if (layers[0]["in"], layers[-1]["out"], layers[-1]["size"]) != (SAMPLES, FIELDS, 1):
        raise StyleError(
            f"style {style.name}: its network is not one of {SAMPLES} samples to {FIELDS} fields"
        )
    return PackedNetwork(b"".join(parts), tuple(layers))


def pack_weights(weights: Floats) -> NDArray[np.float16]:
    """Out x in x k x k as in / 4 x k^2 x out / 4 x 4 x 4, fp16."""
    out, channels = weights.shape[:2]
    by_vector = weights.reshape(out // VECTOR, VECTOR, channels // VECTOR, VECTOR, -1)
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
