"""What has been taken out of a film so far: the file that lets an interrupted run go on."""

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
"""How the pictures are named: by their time."""
_OPTIONS = {"per_scene": "--per-scene", "form": "--format"}
VERSION = 1


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """What is taken out of a film, and how it is written."""

    per_scene: int = 3
    """Pictures of a scene at most."""
    every: float | None = None
    """Seconds of a scene for one picture; None goes by `per_scene`."""
    crop: str = "auto"
    """"auto" leaves black bars away, "none" nothing, "W:H" also what lies outside that shape."""
    size: int | None = None
    """Pixels of the short side that larger pictures are shrunk to."""
    limit: int | None = None
    """Pictures in all."""
    form: str = "png"
    """"png" or "webp"."""
    near: int = 8
    """Bits of the perceptual hash, of 63, up to which two pictures are the same."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture that has been written."""

    time: float
    """Seconds."""
    file: str
    hash: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A picture that has been looked at and left out."""

    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of a run."""

    film: str
    """The film's name, for people."""
    fingerprint: str
    """Tells the film from others."""
    choice: FrameChoice
    box: Box
    """What is left of the film's picture, in its pixels."""
    position: float = 0.0
    """Seconds: everything before is done."""
    scenes: int = 0
    done: bool = False
    kept: tuple[Kept, ...] = field(default=(), repr=False)
    rejected: tuple[Rejected, ...] = field(default=(), repr=False)

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all. Raises StreamtoonError."""
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=1)
        write_whole(folder / MANIFEST_NAME, text.encode())


def load_manifest(folder: Path) -> Manifest | None:
    """The state of the run that writes to `folder`, None where none does. Raises StreamtoonError."""
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StreamtoonError(f"{path} cannot be read: {error}; name another folder") from error
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        raise StreamtoonError(f"{path} is no list of frames that this version can read; name another folder")
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
        raise StreamtoonError(f"{path} is damaged: {error}; name another folder") from error


def resume(folder: Path, film: str, fingerprint: str, choice: FrameChoice) -> Manifest | None:
    """The run that `folder` holds, None where the folder is empty or not there yet.

    Raises StreamtoonError when it is of another film or other settings, or the folder holds other things.
    """
    found = load_manifest(folder)
    if found is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise StreamtoonError(f"{folder} holds other files already; name a new or an empty folder")
        if folder.exists() and not folder.is_dir():
            raise StreamtoonError(f"{folder} is a file; name a folder")
        return None
    if found.fingerprint != fingerprint:
        raise StreamtoonError(
            f"{folder} holds pictures of another film, {found.film}, not of this {film}; name another folder,"
            " or start afresh with --restart"
        )
    changed = [
        f"{_OPTIONS.get(key, f'--{key}')} {_option_text(old)} is now {_option_text(new)}"
        for (key, old), new in zip(asdict(found.choice).items(), asdict(choice).values(), strict=True)
        if old != new
    ]
    if changed:
        raise StreamtoonError(
            f"{folder} was begun with other settings ({', '.join(changed)}); give the same,"
            " or start afresh with --restart"
        )
    return found


def _option_text(value: object) -> str:
    return "not given" if value is None else str(value)


def discard(folder: Path) -> bool:
    """Remove what an earlier run wrote to `folder`, and nothing else; False when there was none.

    Raises StreamtoonError.
    """
    if load_manifest(folder) is None:
        return False
    try:
        # By name: a run that was interrupted has written pictures that its manifest does not know yet.
        for path in [each for each in folder.iterdir() if FRAME_NAME.fullmatch(each.name)]:
            path.unlink()
        (folder / MANIFEST_NAME).unlink()
    except OSError as error:
        raise StreamtoonError(f"{folder} cannot be emptied: {error.strerror or error}") from error
    return True
