"""Many files by one command: a failing one is named and does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtoon.cli.common import print_json, say_error
from streamtoon.errors import InputError, StreamtoonError, UnfinishedError
from streamtoon.folder import make_folder

if TYPE_CHECKING:
    from streamtoon.report import ImageReport, Report


def convert_all(
    jobs: Sequence[tuple[Path, Path]],
    convert: Callable[[Path, Path], Report | ImageReport],
    *,
    as_json: bool,
) -> None:
    """Convert each (source, target); with `as_json`, print one object with all of them under `files`.

    Raises InputError at the end when any failed, and names those.
    """
    files: list[dict[str, Any]] = []
    failed: list[str] = []
    for source, target in jobs:
        try:
            make_folder(target.parent)
            files.append(convert(source, target).as_dict())
        except UnfinishedError:
            raise
        except StreamtoonError as error:
            say_error(str(error))
            failed.append(str(source))
            files.append({"input": {"path": str(source)}, "error": str(error)})
    if as_json:
        print_json({"files": files})
    if failed:
        raise InputError(f"{len(failed)} of {len(jobs)} files could not be converted: {', '.join(failed)}")
