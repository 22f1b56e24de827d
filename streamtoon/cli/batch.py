"""Several files in one command: a failing file is reported and does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtoon.cli.common import print_json, say_error
from streamtoon.convert.batch import created_folder
from streamtoon.errors import InputError, StreamtoonError, UnfinishedError
from streamtoon.wording import counted

if TYPE_CHECKING:
    from streamtoon.reports import ImageReport, Report


def convert_all(
    jobs: Sequence[tuple[Path, Path]],
    convert: Callable[[Path, Path], Report | ImageReport],
    *,
    as_json: bool,
) -> None:
    """Convert each (source, target); with `as_json`, print one object with all of them under `files`.

    Creates the folders of results and removes those that stay empty. Raises InputError at the end if any
    file failed, and names them.
    """
    files: list[dict[str, Any]] = []
    failed: list[str] = []
    for source, target in jobs:
        try:
            with created_folder(target.parent):
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
        of = counted(len(jobs), "file") if len(jobs) == 1 else f"{len(failed)} of {len(jobs)} files"
        raise InputError(f"{of} could not be converted: {', '.join(failed)}")
