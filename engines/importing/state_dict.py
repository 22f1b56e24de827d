"""Matching a file of weights with the known generators, by names and shapes.

Needs the packages torch and safetensors.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from engines.errors import StyleError
from engines.generators import GENERATORS, create
from engines.untrusted.safetensors_validator import MAX_BYTES, check_safetensors

TORCH = (".pt", ".pth", ".ckpt")
"""Suffixes of files that `torch.save` writes."""
MAX_DEPTH = 4
"""Deepest nesting of dictionaries such as {"generator": {"state_dict": ...}}."""
AVERAGED_WORDS = ("ema", "average", "swa")
"""Words in the names of averaged weights, which are used if a file also has the raw ones."""


def load_generator(file: Path) -> tuple[str, nn.Module]:
    """Return the name of the generator that the file's weights fit, and the generator with them.

    Names may have any prefix (`module.`, `generator.`), and dictionaries may be nested. Raises StyleError if
    the file is unreadable, if its weights fit no known generator, or if they contain NaN or infinity.
    """
    tensors = _read(file)
    # No two generators have the same names and shapes.
    fitting = ((name, _prefix(tensors, _shapes(name))) for name in GENERATORS)
    name, prefix = next(((name, prefix) for name, prefix in fitting if prefix is not None), ("", ""))
    if not name:
        raise StyleError(
            f"{file} does not contain the weights of a known generator ({', '.join(GENERATORS)}); "
            "export the network to ONNX and add that file"
        )
    weights = {key: tensors[prefix + key] for key in _shapes(name)}
    for key, tensor in weights.items():
        if not torch.isfinite(tensor.float()).all():
            raise StyleError(f"{file} is damaged: tensor {key} contains NaN or infinity")
    generator = create(name)
    kinds = {key: tensor.dtype for key, tensor in generator.state_dict().items()}
    generator.load_state_dict({key: tensor.to(kinds[key]) for key, tensor in weights.items()})
    return name, generator


def _read(file: Path) -> dict[str, torch.Tensor]:
    """Return all tensors by their dotted names."""
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        check_safetensors(file)
        try:
            return dict(load_file(file))
        except (SafetensorError, OSError, ValueError) as error:
            raise StyleError(f"{file} is not a safetensors file: {error}") from error
    _check_archive(file)
    try:
        # Only tensors and plain values are loaded, so the file cannot run code.
        found = torch.load(file, map_location="cpu", weights_only=True)
        tensors = dict(_flat(found, "", 0))
    except Exception as error:  # for damaged files, torch raises almost any exception
        raise StyleError(
            f"{file} cannot be read as weights; save the network's state_dict, preferably as safetensors"
        ) from error
    for name, tensor in tensors.items():
        # A view may claim any size over a few bytes.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise StyleError(f"{file} is damaged: tensor {name[:80]!r} is larger than its storage")
    return tensors


def _check_archive(file: Path) -> None:
    """Check that the file has torch's format since 1.6: a zip archive with uncompressed members."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_BYTES:
            raise StyleError(f"{file} is not a regular file of at most {MAX_BYTES:,} bytes")
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise StyleError(
            f"{file} is not in torch's current format; save it again with torch 1.6 or later, "
            "preferably as safetensors"
        ) from error
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > 2 * file.stat().st_size:
        raise StyleError(f"{file} is compressed, which torch.save never does; save it again with torch.save")


def _flat(value: object, prefix: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided and value.device.type == "cpu":
            yield prefix.removesuffix("."), value
    elif isinstance(value, Mapping) and depth <= MAX_DEPTH:
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _flat(inner, f"{prefix}{key}.", depth + 1)


@functools.cache
def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in create(name).state_dict().items()}


def _prefix(tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return the prefix of the generator's names in the file; None if its weights are not there.

    No other names may have the same prefix, or the network would be part of a larger one.
    """
    first = next(iter(shapes))

    def fits(prefix: str) -> bool:
        if prefix and not prefix.endswith("."):
            return False
        if prefix and sum(name.startswith(prefix) for name in tensors) != len(shapes):
            return False
        found = ((tensors.get(prefix + key), shape) for key, shape in shapes.items())
        return all(tensor is not None and tuple(tensor.shape) == shape for tensor, shape in found)

    prefixes = [name.removesuffix(first) for name in tensors if name.endswith(first)]
    found = [prefix for prefix in prefixes if fits(prefix)]
    found.sort(key=lambda prefix: not any(word in prefix.lower() for word in AVERAGED_WORDS))
    return found[0] if found else None
