"""Planning the conversion of a whole folder: the output file for each input file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from streamtoon.errors import InputError, OutputError
from streamtoon.images.formats import READ_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .flv .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogv .ts .vob .webm"
    " .wmv".split()
)
"""Files with these suffixes count as videos in a folder. A file given by name may have any name."""
SYSTEM_FILES = frozenset(("desktop.ini", "ehthumbs.db", "icon\r", "thumbs.db"))
"""System files of Windows and macOS, in lower case. Names that begin with a dot are hidden anyway."""
SYSTEM_FOLDERS = frozenset(("$recycle.bin", "@eadir", "__macosx", "system volume information"))
"""System folders of Windows, macOS archives and network storage."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """The plan for converting a folder."""

    jobs: tuple[tuple[Path, Path], ...]
    """(source, target), by name."""
    skipped: tuple[Path, ...]
    """Other files in the folder, without hidden and system files."""


def plan(
    folder: Path,
    target: Path,
    suffixes: Collection[str],
    *,
    writable: Collection[str] | None = None,
    instead: str = "",
) -> BatchPlan:
    """Pair every file under `folder` that has one of `suffixes` with a target of the same relative name.

    Nothing is written.

    Args:
        folder: The input folder, searched recursively.
        target: The output folder. It need not exist.
        suffixes: Suffixes of the files to convert, in lower case.
        writable: Suffixes that can be written; None means all.
        instead: Suffix to append where the source's is not writable: "a.mpg" becomes "a.mpg.mkv".

    Raises:
        InputError: The folder has no such file or cannot be read.
        OutputError: `target` is a file, is named like one, or is the input folder.
    """
    _check_target_folder(target, f"{folder} is a folder")
    inside = target.resolve()
    if inside == folder.resolve():
        raise OutputError(f"{target} is the input folder. Choose another folder for the results.")
    jobs: list[tuple[Path, Path]] = []
    skipped: list[Path] = []
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from error
    for path in files:
        relative = path.relative_to(folder)
        if _is_hidden(relative) or inside in path.resolve().parents:
            continue
        if path.suffix.lower() in suffixes:
            jobs.append((path, target / relative.with_name(result_name(path, writable, instead))))
        else:
            skipped.append(path)
    if not jobs:
        raise InputError(
            f"no supported file found in {folder}. Give a file by name to convert it whatever its extension."
        )
    return BatchPlan(tuple(jobs), tuple(skipped))


def _is_hidden(relative: Path) -> bool:
    """Return whether a file is hidden or belongs to the operating system."""
    *folders, name = (part.lower() for part in relative.parts)
    return (
        any(part.startswith(".") for part in relative.parts)
        or name in SYSTEM_FILES
        or any(part in SYSTEM_FOLDERS for part in folders)
    )


def pair(
    sources: Sequence[Path], target: Path, *, writable: Collection[str] | None = None, instead: str = ""
) -> list[tuple[Path, Path]]:
    """Pair each of several files with a target in the folder `target`, which need not exist.

    The names are the same, except for suffixes that cannot be written: see `plan`. Raises OutputError if
    `target` is a file or is named like one, or if two files would get the same name.
    """
    _check_target_folder(target, f"{len(sources)} files were given")
    seen: dict[str, Path] = {}
    jobs = []
    for source in sources:
        name = result_name(source, writable, instead)
        if name in seen:
            raise OutputError(
                f"{seen[name]} and {source} would both be written to {target / name}. Rename one of them."
            )
        seen[name] = source
        jobs.append((source, target / name))
    return jobs


def result_name(source: Path, writable: Collection[str] | None, instead: str) -> str:
    """Return the name of a result: the source's name, with `instead` appended if its suffix is not in
    `writable`.

    None for `writable` means that all suffixes are.
    """
    kept = writable is None or source.suffix.lower() in writable
    return source.name if kept else f"{source.name}{instead}"


def _check_target_folder(target: Path, why: str) -> None:
    """Raise OutputError if `target` is a file, or does not exist and is named like one."""
    if target.is_dir():
        return
    if target.exists():
        raise OutputError(f"{target} is a file, but {why}. Give a folder for the results.")
    if target.suffix.lower() in VIDEO_SUFFIXES | READ_SUFFIXES:
        raise OutputError(
            f"{target} is a file name, but {why}. Give a folder for the results, such as "
            f"{target.with_suffix('')}."
        )


@contextmanager
def created_folder(folder: Path) -> Iterator[None]:
    """Create `folder` and its missing parents. After the block, remove those that are still empty.

    Raises OutputError if they cannot be created.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder)
    try:
        yield
    finally:
        for each in missing:  # the deepest first
            with suppress(OSError):  # not empty, or already removed
                each.rmdir()


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents. Raises OutputError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder {folder} cannot be created: {error.strerror or error}.") from error
