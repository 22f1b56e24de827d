"""The files that `video` and `image` read, and where each result goes."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from streamtoon.cli.commands import UsageError
from streamtoon.convert.batch import VIDEO_SUFFIXES, pair, plan, result_name
from streamtoon.errors import InputError
from streamtoon.images.formats import FALLBACK_SUFFIX, FORMATS, READ_SUFFIXES

PIPE = "-"
ENDING = "_cartoon"
"""Suffix of the default name of a result, before its extension."""

InputsOption = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="IN", help="Same as IN; may be repeated.", show_default=False),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="Same as OUT.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Kind:
    """The file types that a command reads and writes, by extension."""

    noun: str
    read: Collection[str]
    """Extensions that are read from a folder."""
    written: Collection[str]
    instead: str
    """Extension of a result in a folder, if the source's own cannot be written."""
    default: str
    """The same for a result in the folder of its source."""

    def beside(self, source: Path) -> Path:
        """Return the default result of a source, in the same folder: holiday_cartoon.mp4."""
        suffix = source.suffix if source.suffix.lower() in self.written else self.default
        return source.with_name(f"{source.stem}{ENDING}{suffix}")

    def within(self, source: Path, folder: Path) -> Path:
        """Return the result of a source in a folder: the same name, unless that is the source itself."""
        target = folder / result_name(source, self.written, self.instead)
        same = os.path.abspath(target) == os.path.abspath(source)  # noqa: PTH100  # links are not followed
        return self.beside(source) if same else target


PHOTOS = Kind("image", READ_SUFFIXES, FORMATS, FALLBACK_SUFFIX, ".png")


def videos() -> Kind:
    """Return the kind of `video`."""
    from streamtoon.media.writer.containers import BY_EXTENSION  # and with it PyAV

    # Matroska holds the streams of formats that are read but not written, such as .mpg and .wmv.
    return Kind("video", VIDEO_SUFFIXES, BY_EXTENSION, ".mkv", ".mp4")


@dataclass(frozen=True, slots=True)
class Named:
    """The files that a command line names."""

    sources: tuple[str, ...]
    target: str | None
    is_list: bool = False
    """Whether the sources come from a list, so that OUT is a folder."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The conversions to run."""

    pairs: tuple[tuple[Path, Path], ...]
    """(source, target) of each."""
    skipped: tuple[str, ...] = ()
    """Files left out, a sentence each with the reason."""


def named(files: Sequence[str], inputs: Sequence[str], output: str | None) -> Named:
    """Separate IN from OUT: the last of several files is OUT, unless three or more all exist.

    Raises UsageError if IN is missing or there is more than one OUT.
    """
    if inputs:
        if len(files) > 1 or (files and output is not None):
            raise UsageError("with -i, only OUT is left to name: give every input with -i")
        return Named(tuple(inputs), files[0] if files else output)
    if not files:
        raise UsageError("IN is missing: name a file")
    if output is not None or len(files) == 1:
        return Named(tuple(files), output)
    if len(files) > 2 and files[-1] != PIPE and Path(files[-1]).is_file():
        return Named(tuple(files), None)  # as a shell writes *.mp4
    return Named(tuple(files[:-1]), files[-1])


def with_lists(line: Named) -> Named:
    """Put the lines of every @LIST in its place. Raises InputError if a list cannot be read or is empty."""
    if not any(source.startswith("@") for source in line.sources):
        return line
    sources: list[str] = []
    for source in line.sources:
        if not source.startswith("@"):
            sources.append(source)
            continue
        try:
            lines = Path(source[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
            raise InputError(f"the list {source[1:]} cannot be read: {reason}.") from error
        named = [text for text in map(str.strip, lines) if text and not text.startswith("#")]
        if not named:
            raise InputError(f"the list {source[1:]} names no file.")
        sources += named
    return Named(tuple(sources), line.target, is_list=True)


def target_of(source: str, target: str | None, kind: Kind) -> str:
    """Return the target of one file or pipe. Raises UsageError if a pipe has no file as OUT."""
    if target is None:
        if source == PIPE:
            raise UsageError("OUT is missing: name a file, or - for standard output")
        return str(kind.beside(Path(source)))
    if target != PIPE and is_folder(target):
        if source == PIPE:
            raise UsageError(f"{target} is a folder: name a file in it")
        return str(kind.within(Path(source), Path(target)))
    return target


def jobs_of(line: Named, kind: Kind) -> Jobs:
    """Return (source, target) for a folder or several files. Raises InputError and OutputError."""
    if len(line.sources) == 1 and not line.is_list:
        folder = Path(line.sources[0])
        target = Path(line.target) if line.target is not None else _folder_beside(folder)
        todo = plan(folder, target, kind.read, writable=kind.written, instead=kind.instead)
        return Jobs(
            todo.jobs,
            tuple(
                f"{path} is not {'an' if kind.noun[0] in 'aeiou' else 'a'} {kind.noun}"
                for path in todo.skipped
            ),
        )
    sources = [Path(source) for source in line.sources]
    if PIPE in (*line.sources, line.target):
        raise UsageError(f"only one {kind.noun} at a time can go through a pipe")
    if folders := [str(source) for source in sources if source.is_dir()]:
        raise UsageError(f"{folders[0]} is a folder: name one folder, or files")
    if line.target is not None:
        pairs = pair(sources, Path(line.target), writable=kind.written, instead=kind.instead)
        return Jobs(tuple((source, kind.within(source, target.parent)) for source, target in pairs))
    rest = [source for source in sources if not source.stem.endswith(ENDING)]
    skipped = tuple(f"{source} has the name of a cartoon" for source in sources if source not in rest)
    return Jobs(tuple((source, kind.beside(source)) for source in rest), skipped)


def is_folder(target: str) -> bool:
    """Return whether OUT is a folder: an existing one, or a name that ends with a slash."""
    return target.endswith(("/", os.sep)) or Path(target).is_dir()


def _folder_beside(folder: Path) -> Path:
    whole = folder.resolve()
    return folder.parent / f"{folder.name}{ENDING}" if folder.name else whole.with_name(whole.name + ENDING)
