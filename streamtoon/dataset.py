"""Data sets out of films: opens the film for `training.data.frames`, which does the rest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamtoon.film import Film
from training.data.bars import Box
from training.data.contact_sheet import Cell, file_cell, write_sheets
from training.data.frames import BEFORE, Progress, clock, extract, sheets_folder, thumbs_folder
from training.data.manifest import Choice, Manifest, discard, resume


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken out of a film."""

    out: str
    kept: int
    rejected: int
    reasons: dict[str, int]
    """How many were left out for each reason."""
    scenes: int
    width: int
    """Pixels of the film's picture that were used, as stored; so is `height`."""
    height: int
    sheets: tuple[str, ...]
    was_done: bool
    """True when an earlier run had finished it."""
    seconds: float
    warnings: tuple[str, ...]

    @property
    def why(self) -> str:
        """The reasons for people, the most frequent first."""
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def take_frames(
    path: Path,
    out: Path,
    choice: Choice,
    *,
    restart: bool = False,
    on_progress: Callable[[int, int | None, str], object] | None = None,
) -> Taken:
    """Take pictures out of the film at `path` into the folder `out`, and draw contact sheets beside it.

    Goes on where an earlier run for the same film and choice was interrupted; `restart` removes what that
    wrote. `on_progress` is called with frames done, frames in all (None: unknown) and a remark. Raises
    InputError when the film cannot be read, StreamtoonError when `out` holds anything else.
    """
    began = time.monotonic()
    film = Film(path)
    fingerprint = film.fingerprint()
    fresh = restart and discard(out)
    if fresh:
        for thumb in thumbs_folder(out).glob("*.jpg"):
            thumb.unlink()
    manifest = None if fresh else resume(out, path.name, fingerprint, choice)
    if manifest is None:
        manifest = Manifest(path.name, fingerprint, choice, _box(film, choice.crop))
    was_done = manifest.done
    start = max(0.0, manifest.position - BEFORE)
    before, total = round(start * float(film.info.rate)), film.total

    def show(progress: Progress) -> None:
        if on_progress:
            remark = f"{progress.kept} kept, {progress.rejected} left out"
            on_progress(before + progress.frames, total, remark)

    if not was_done:
        with closing(film.frames(manifest.box, start)) as frames:
            manifest = extract(frames, manifest, out, show)
    sheets = _draw_sheets(manifest, out)
    reasons = Counter(
        "repeated" if each.reason.startswith("like") else each.reason for each in manifest.rejected
    )
    return Taken(
        str(out),
        len(manifest.kept),
        len(manifest.rejected),
        dict(reasons.most_common()),
        manifest.scenes,
        manifest.box.width,
        manifest.box.height,
        tuple(str(sheet) for sheet in sheets),
        was_done,
        time.monotonic() - began,
        tuple(film.warnings),
    )


def _box(film: Film, crop: str) -> Box:
    if crop == "none":
        return film.whole()
    box = film.picture_box()
    if crop == "auto":
        return box
    width, height = map(float, crop.split(":"))
    return box.shaped(width / height / float(film.pixel_aspect))


def _draw_sheets(manifest: Manifest, out: Path) -> list[Path]:
    folder, thumbs = sheets_folder(out), thumbs_folder(out)
    if not manifest.rejected and thumbs.is_dir():
        thumbs.rmdir()
    kept = [file_cell(out / each.file, clock(each.time)) for each in manifest.kept]
    rejected = [
        file_cell(thumbs / f"{clock(each.time, '-')}.jpg", clock(each.time), each.reason)
        for each in manifest.rejected
    ]

    def sheet(name: str, cells: list[Cell], words: str) -> list[Path]:
        return write_sheets(folder, name, f"{manifest.film}: {len(cells)} {words}", cells)

    return sheet("kept", kept, "kept") + sheet("rejected", rejected, "left out")
