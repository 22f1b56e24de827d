"""The pip command that installs missing packages."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[2]


def install_line(*extras: str, packages: Collection[str] = ()) -> str:
    """Return a pip command such as `pip install 'torch>=2.6,<3' 'safetensors>=0.5,<1'`.

    The command names packages and not `streamtoon[EXTRA]`, so it works wherever streamtoon itself came from.
    Packages and bounds come from the metadata of the installed streamtoon. Where there is none, because it
    runs from a folder that was never installed, the command installs that folder with the extras.

    Args:
        extras: Optional extras of pyproject.toml, all of whose packages are named.
        packages: Single packages to name, by their names there.
    """
    from importlib.metadata import PackageNotFoundError, requires  # 20 ms, only for an error

    try:
        lines = requires("streamtoon") or []
    except PackageNotFoundError:
        names = f"[{','.join(extras)}]" if extras else ""
        return f"pip install '{ROOT}{names}'"
    found = [_requirement(line) for extra in extras for line in lines if _extra(line) == extra]
    found += [each for each in map(_requirement, lines) if re.split(r"[<>=\[]", each)[0] in packages]
    return "pip install " + " ".join(f"'{each}'" for each in dict.fromkeys(found))


def _extra(line: str) -> str:
    """Return the extra that a line of Requires-Dist belongs to; empty for the core."""
    match = re.search(r"\bextra\s*==\s*['\"]([^'\"]+)['\"]", line.partition(";")[2])
    return match[1] if match else ""


def _requirement(line: str) -> str:
    """Return the package and its bounds from a line of Requires-Dist, the lower bound first."""
    text = re.sub(r"[\s()]", "", line.partition(";")[0])
    name, bounds = re.match(r"([\w.\-]+(?:\[.*?\])?)(.*)", text).groups()  # type: ignore[union-attr]
    return name + ",".join(sorted(bounds.split(","), key=lambda bound: not bound.startswith(">")))
