"""Converting a whole folder: which file becomes which."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtoon.errors import InputError, OutputError

VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .flv .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogv .ts .vob .webm"
    " .wmv".split()
)
"""What is taken for a video in a folder; a file named by itself may be called anything."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What converting a folder will do."""

    jobs: tuple[tuple[Path, Path], ...]
    """(source, target), by name."""
    skipped: tuple[Path, ...]
    """Other files that lie there; hidden ones are not mentioned."""


def plan(
    folder: Path,
    target: Path,
    suffixes: Collection[str],
    *,
    writable: Collection[str] | None = None,
    instead: str = "",
) -> Plan:
    """Pairs every file under `folder` whose suffix is in `suffixes` with one of the same relative name.

    A suffix that is not in `writable` (None: all are) gets `instead` behind it: "a.mpg" becomes "a.mpg.mkv".
    Nothing is written. Raises InputError when there is no such file or the folder cannot be read,
    OutputError when `target` is a file or the folder itself.
    """
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, but a folder of results was asked for: name a folder.")
    inside = target.resolve()
    if inside == folder.resolve():
        raise OutputError(f"{target} is the input folder itself: name another folder for the results.")
    jobs: list[tuple[Path, Path]] = []
    skipped: list[Path] = []
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from error
    for path in files:
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or inside in path.resolve().parents:
            continue
        if path.suffix.lower() in suffixes:
            kept = writable is None or path.suffix.lower() in writable
            jobs.append((path, target / (relative if kept else f"{relative}{instead}")))
        else:
            skipped.append(path)
    if not jobs:
        raise InputError(
            f"{folder} holds no file of a kind that can be converted here: {', '.join(sorted(suffixes))}."
        )
    return Plan(tuple(jobs), tuple(skipped))


def pair(sources: Sequence[Path], target: Path) -> list[tuple[Path, Path]]:
    """Each of several files with one of the same name in the folder `target`, which need not exist yet.

    Raises OutputError when `target` is a file or two of the files have one name.
    """
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, but {len(sources)} results were asked for: name a folder.")
    seen: dict[str, Path] = {}
    for source in sources:
        if source.name in seen:
            raise OutputError(
                f"{seen[source.name]} and {source} would both become {target / source.name}: rename one."
            )
        seen[source.name] = source
    return [(source, target / source.name) for source in sources]


def make_folder(folder: Path) -> None:
    """`folder` and its parents, where missing. Raises OutputError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {folder} cannot be made: {error.strerror or error}.") from error
