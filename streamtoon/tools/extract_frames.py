"""Extracts training frames from a video: opens it for `training.curation.frames`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamtoon.tools.film import Film
from training.curation.contact_sheet import SheetCell, file_cell, write_sheets
from training.curation.frames import (
    CONTEXT_S,
    ExtractionProgress,
    clock,
    extract,
    sheets_folder,
    thumbs_folder,
)
from training.curation.letterbox import Box
from training.curation.manifest import FrameChoice, Manifest, discard, resume


@dataclass(frozen=True, slots=True)
class ExtractedFrames:
    """The result of an extraction."""

    out: str
    kept: int
    rejected: int
    reasons: dict[str, int]
    """Number of skipped frames for each reason."""
    scenes: int
    width: int
    """Width of the used part of the frames, in stored pixels; likewise `height`."""
    height: int
    sheets: tuple[str, ...]
    was_done: bool
    """Whether an earlier run had finished already."""
    seconds: float
    warnings: tuple[str, ...]

    @property
    def why(self) -> str:
        """The reasons as text, the most frequent first."""
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def take_frames(
    path: Path,
    out: Path,
    choice: FrameChoice,
    *,
    restart: bool = False,
    on_progress: Callable[[int, int | None, str], object] | None = None,
) -> ExtractedFrames:
    """Extract frames from a video into a folder, with contact sheets next to it.

    Resumes an interrupted run with the same video and choice.

    Args:
        path: The video.
        out: The folder for the frames.
        choice: Which frames to take.
        restart: Remove the frames of an earlier run first.
        on_progress: Called with the frames done, all frames (None: unknown) and a remark.

    Raises:
        InputError: The video cannot be read.
        StreamtoonError: `out` contains anything else.
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
    start = max(0.0, manifest.position - CONTEXT_S)
    before, total = round(start * float(film.info.rate)), film.total

    def show(progress: ExtractionProgress) -> None:
        if on_progress:
            remark = f"{progress.kept} kept, {progress.rejected} skipped"
            on_progress(before + progress.frames, total, remark)

    if not was_done:
        with closing(film.frames(manifest.box, start)) as frames:
            manifest = extract(frames, manifest, out, show)
    sheets = _draw_sheets(manifest, out)
    reasons = Counter(
        "repeated" if each.reason.startswith("like") else each.reason for each in manifest.rejected
    )
    return ExtractedFrames(
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

    def sheet(name: str, cells: list[SheetCell], words: str) -> list[Path]:
        return write_sheets(folder, name, f"{manifest.film}: {len(cells)} {words}", cells)

    return sheet("kept", kept, "kept") + sheet("rejected", rejected, "skipped")
