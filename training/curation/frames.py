"""Extract a data set from a film: a few sharp frames of every scene, without duplicates and empty frames.

In the papers, films were cut by hand or at fixed steps; this module selects by scenes. It does not open
videos. It receives frames, and writes images, a manifest to resume from, and small copies of rejected frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import SHEETS_SUFFIX, make_folder, write_image
from training.curation.frame_quality import fault
from training.curation.hashing import Seen, perceptual_hash
from training.curation.manifest import Kept, Manifest, Rejected
from training.curation.scenes import Scene, scenes
from training.curation.shots import WINDOW_S, ShotFrame, watch

CONTEXT_S = 3 * WINDOW_S
"""Seconds of film that a resumed run needs before its position to judge the first scene."""
SAVE_EVERY_S = 2.0
"""Seconds between two writes of the manifest."""
THUMB_PIXELS = 320
"""Longer side of the small copies."""
WRITER_THREADS = 2
"""Threads that write images. As many images again may wait for them."""


@dataclass(frozen=True, slots=True)
class ExtractionProgress:
    """The progress of an extraction."""

    frames: int
    """Frames read in this run."""
    kept: int
    rejected: int


def clock(seconds: float, mark: str = ":") -> str:
    """Return a time in a film, such as "01:02:03.456", with `mark` in place of the colon."""
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}{mark}{minutes % 60:02}{mark}{second:02}.{thousandths:03}"


def thumbs_folder(out: Path) -> Path:
    """Return the folder with small copies of rejected frames for contact sheets, which is next to `out`."""
    return sheets_folder(out) / "rejected"


def sheets_folder(out: Path) -> Path:
    """Return the folder of contact sheets, which is next to `out`: images in `out` are used for training."""
    out = out.resolve()  # "." has no name
    return out.with_name(f"{out.name}{SHEETS_SUFFIX}")


def extract(
    frames: Iterable[ShotFrame],
    manifest: Manifest,
    out: Path,
    on_progress: Callable[[ExtractionProgress], object] | None = None,
) -> Manifest:
    """Write the chosen frames to the folder `out`, starting at the manifest's position.

    `frames` start at the beginning of the film, or at least CONTEXT_S seconds before the manifest's position.
    An interrupted run leaves a manifest. Resuming from it gives the same images as one uninterrupted run.
    Returns the complete manifest. Raises StreamtoonError if something cannot be written.
    """
    for folder in (out, thumbs_folder(out)):
        make_folder(folder)
    run = _Run(manifest, out)
    count = 0

    def counted() -> Iterable[ShotFrame]:
        nonlocal count
        for frame in frames:
            count += 1
            if on_progress and count % 10 == 0:
                on_progress(ExtractionProgress(count, len(run.state.kept), len(run.state.rejected)))
            yield frame

    choice = manifest.choice
    try:
        for scene in scenes(watch(counted()), choice.per_scene, choice.every):
            # Frames before the position are context: their scenes belong to the first run.
            if scene.start >= manifest.position and not run.add(scene):
                break
        run.finish()
    finally:
        run.close()
    if on_progress:
        on_progress(ExtractionProgress(count, len(run.state.kept), len(run.state.rejected)))
    return run.state


class _Run:
    """The images that are being written, and the manifest of those that are complete."""

    def __init__(self, manifest: Manifest, out: Path) -> None:
        self.state = manifest
        self._settled = manifest
        """The state at the end of the latest complete scene, from which a run can resume."""
        self._out = out
        self._seen = Seen()
        for kept in manifest.kept:
            self._seen.add(kept.hash)
        self._pool = ThreadPoolExecutor(WRITER_THREADS)
        self._writing: list[Future[None]] = []
        self._saved = time.monotonic()
        manifest.save(out)

    def add(self, scene: Scene) -> bool:
        """Judge and write the frames of a scene. Returns False when there are enough."""
        kept, rejected = list(self.state.kept), list(self.state.rejected)
        limit = self.state.choice.limit
        for frame in scene.taken:
            if limit is not None and len(kept) >= limit:
                break
            value = perceptual_hash(frame.luma)
            reason: str | None = fault(frame.luma)
            near = None if reason else self._seen.nearest(value, self.state.choice.near)
            if near is not None:
                reason = f"like {clock(kept[near].time)}"
            if reason:
                rejected.append(Rejected(frame.time, reason))
                self._write(frame, thumbs_folder(self._out) / f"{clock(frame.time, '-')}.jpg", None)
            else:
                self._seen.add(value)
                name = f"{clock(frame.time, '-')}.{self.state.choice.form}"
                kept.append(Kept(frame.time, name, value))
                self._write(frame, self._out / name, self.state.choice.size)
        self.state = replace(
            self.state,
            kept=tuple(kept),
            rejected=tuple(rejected),
            position=scene.end,
            scenes=self.state.scenes + scene.whole,
        )
        if scene.whole:
            self._settled = self.state
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self._flush()
        return limit is None or len(kept) < limit

    def _write(self, frame: ShotFrame, path: Path, size: int | None) -> None:
        while len(self._writing) >= 2 * WRITER_THREADS:
            self._writing.pop(0).result()
        self._writing.append(self._pool.submit(_write, frame, path, size))

    def _flush(self) -> None:
        """Write a manifest that only lists images on the disk."""
        while self._writing:
            self._writing.pop(0).result()
        self._settled.save(self._out)
        self._saved = time.monotonic()

    def finish(self) -> None:
        """Mark the film as complete."""
        self.state = self._settled = replace(self.state, done=True)

    def close(self) -> None:
        """Wait for the writers and save, also after an error."""
        try:
            self._flush()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _write(frame: ShotFrame, path: Path, size: int | None) -> None:
    """Write the whole frame with the short side of `size`, or a small copy if the name ends in .jpg."""
    assert frame.picture is not None
    image = frame.picture()
    if path.suffix == ".jpg":
        write_image(path, shrunk(image, THUMB_PIXELS / max(image.shape[:2])), quality=88)
    else:
        factor = size / min(image.shape[:2]) if size else 1.0
        write_image(path, shrunk(image, factor), quality=95)


def shrunk(image: Image, factor: float) -> Image:
    """Return the image at `factor` of its size, or unchanged if that is not smaller."""
    if factor >= 1:
        return image
    height, width = image.shape[:2]
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), np.uint8)
