"""The manifest of frames extracted from a film, from which an interrupted run resumes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engines.common.image_files import write_whole
from engines.errors import StreamtoonError
from training.curation.letterbox import Box

MANIFEST_NAME = "frames.json"
FRAME_NAME = re.compile(r"\d\d+-\d\d-\d\d\.\d{3}\.(png|webp)")
"""The names of the images, which contain their time."""
_OPTIONS = {"per_scene": "--per-scene", "form": "--format"}
VERSION = 1


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Which frames are extracted, and how they are written."""

    per_scene: int = 3
    """Most frames of a scene."""
    every: float | None = None
    """Seconds of a scene per frame. None uses `per_scene`."""
    crop: str = "auto"
    """"auto" removes black bars, "none" nothing, "W:H" everything outside that shape."""
    size: int | None = None
    """Short side in pixels to which larger frames are reduced."""
    limit: int | None = None
    """Most frames in total."""
    form: str = "png"
    """"png" or "webp"."""
    near: int = 8
    """Frames are duplicates if their perceptual hashes differ in at most this many of 63 bits."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame that has been written."""

    time: float
    """Seconds."""
    file: str
    hash: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that has been rejected."""

    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of a run."""

    film: str
    """The name of the film."""
    fingerprint: str
    """Identifies the film."""
    choice: FrameChoice
    box: Box
    """The area of the film that is kept, in its pixels."""
    position: float = 0.0
    """Everything before this time in seconds is finished."""
    scenes: int = 0
    done: bool = False
    kept: tuple[Kept, ...] = field(default=(), repr=False)
    rejected: tuple[Rejected, ...] = field(default=(), repr=False)

    def save(self, folder: Path) -> None:
        """Write the manifest atomically. Raises StreamtoonError if that fails."""
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=1)
        write_whole(folder / MANIFEST_NAME, text.encode())


def load_manifest(folder: Path) -> Manifest | None:
    """Read the manifest in `folder`, or return None if there is none. Raises StreamtoonError."""
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StreamtoonError(f"{path} cannot be read: {error}; give another folder") from error
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        raise StreamtoonError(
            f"{path} is not a list of frames that this version can read; give another folder"
        )
    try:
        return Manifest(
            **{
                **data,
                "choice": FrameChoice(**data["choice"]),
                "box": Box(**data["box"]),
                "kept": tuple(Kept(**each) for each in data["kept"]),
                "rejected": tuple(Rejected(**each) for each in data["rejected"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise StreamtoonError(f"{path} is damaged: {error}; give another folder") from error


def resume(folder: Path, film: str, fingerprint: str, choice: FrameChoice) -> Manifest | None:
    """Return the run in `folder`, or None if the folder is empty or missing.

    Raises StreamtoonError if the run has another film or other settings, or the folder has other files.
    """
    found = load_manifest(folder)
    if found is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise StreamtoonError(f"{folder} already contains other files; give a new or empty folder")
        if folder.exists() and not folder.is_dir():
            raise StreamtoonError(f"{folder} is a file; give a folder")
        return None
    if found.fingerprint != fingerprint:
        raise StreamtoonError(
            f"{folder} contains frames of another film, {found.film}, not of {film}; give another "
            "folder, or start over with --restart"
        )
    changed = [
        f"{_OPTIONS.get(key, f'--{key}')} {_option_text(old)} is now {_option_text(new)}"
        for (key, old), new in zip(asdict(found.choice).items(), asdict(choice).values(), strict=True)
        if old != new
    ]
    if changed:
        raise StreamtoonError(
            f"{folder} was started with other settings ({', '.join(changed)}); use the same "
            "settings, or start over with --restart"
        )
    return found


def _option_text(value: object) -> str:
    return "not given" if value is None else str(value)


def discard(folder: Path) -> bool:
    """Remove the files of an earlier run from `folder`. Returns False if there was none.

    Raises StreamtoonError if that fails.
    """
    if load_manifest(folder) is None:
        return False
    try:
        # By name: an interrupted run may have written images that its manifest does not list yet.
        for path in [each for each in folder.iterdir() if FRAME_NAME.fullmatch(each.name)]:
            path.unlink()
        (folder / MANIFEST_NAME).unlink()
    except OSError as error:
        raise StreamtoonError(
            f"cannot remove the files of an earlier run from {folder}: {error.strerror or error}"
        ) from error
    return True
