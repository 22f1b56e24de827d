"""FFmpeg's devices: which cameras there are, what they are called, and how one is opened."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.device import enumerate_input_devices

from streamtoon.errors import InputError
from streamtoon.media import network

DEFAULT_SIZE, DEFAULT_RATE = (1280, 720), 30
"""What a camera is asked for where nobody says; it gives what it has."""
RAW_UP_TO = 640 * 480
"""Pixels that USB carries uncoded at 30 a second; above, Motion JPEG is asked for first."""
CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""FFmpeg's name for each system's cameras."""
FORMATS = ("v4l2", "avfoundation", "dshow", "x11grab", "gdigrab", "lavfi")
"""Devices that can be asked for as FORMAT:NAME."""
GIVEN_UP = (FileNotFoundError, PermissionError)
"""Errors of opening that other options do not mend."""

Options = dict[str, str]


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """What a camera is asked for; None: what is usual."""

    size: tuple[int, int] | None = None
    rate: float | None = None


def cameras() -> list[str]:
    """What this system's cameras are called, one line each."""
    with suppress(av.FFmpegError, ValueError, OSError):
        found = enumerate_input_devices(CAMERAS.get(sys.platform, "v4l2"))
        return [
            f"{device.name} ({device.description})"
            for device in found
            if "video" in device.media_types or not device.media_types
        ]
    return []


def find_device(device: str) -> tuple[str | None, str]:
    """Which one is meant: (FFmpeg's format, its name there); no format for a file. Raises InputError."""
    system = CAMERAS.get(sys.platform, "v4l2")
    form, colon, name = device.partition(":")
    if network.is_address(device):
        raise InputError(f"{network.shown(device)} is an address: `streamtoon stream` reads those.")
    if colon and form in FORMATS:
        return form, name
    if device.isdecimal():
        return system, f"/dev/video{device}" if system == "v4l2" else _numbered(int(device), system)
    if device.startswith("/dev/"):
        return system, device
    if Path(device).exists():
        return None, device
    if system != "v4l2":  # whose cameras have names
        return system, _dshow(device) if system == "dshow" else device
    raise InputError(f"{device} is neither a camera nor a file; {_here()}.")


def _numbered(number: int, system: str) -> str:
    if system != "dshow":
        return str(number)
    names = [device.name for device in enumerate_input_devices("dshow") if "video" in device.media_types]
    if number >= len(names):
        raise InputError(f"there is no camera {number}; {_here()}.")
    return _dshow(names[number])


def _dshow(name: str) -> str:
    return name if name.startswith("video=") else f"video={name}"


def _here() -> str:
    found = cameras()
    return f"cameras here: {', '.join(found)}" if found else "no camera is connected"


def open_device(form: str, name: str, shown: str, request: CaptureRequest) -> InputContainer:
    """The device with the first of the options that it takes. Raises InputError."""
    first: Exception | None = None
    for options in _tries(form, request):
        try:
            return av.open(name, "r", format=form, options={"fflags": "nobuffer", **options})
        except GIVEN_UP as error:
            first = error
            break
        except (av.FFmpegError, ValueError, OSError) as error:
            first = first or error
            if getattr(error, "errno", None) == errno.EBUSY:
                break
    assert first is not None, "there is a way to try"
    raise InputError(_why(shown, form, first)) from first


def _tries(form: str, request: CaptureRequest) -> list[Options]:
    """Options, the best first: few cameras have every size at every rate in every coding."""
    if form == "lavfi":
        return [{}]
    camera = form in CAMERAS.values()
    width, height = request.size or (DEFAULT_SIZE if camera else (0, 0))
    size = {"video_size": f"{width}x{height}"} if width else {}
    rate = {"framerate": f"{request.rate or DEFAULT_RATE:g}"}
    both = {**size, **rate}
    if form != "v4l2":
        return [both, size, rate, {}] if camera else [both]
    codings: list[Options] = [{"input_format": "mjpeg"}, {}]
    if width * height <= RAW_UP_TO:
        codings.reverse()
    return [{**options, **coding} for options in (both, size, {}) for coding in codings]


def _why(shown: str, form: str, error: Exception) -> str:
    if form not in CAMERAS.values():
        return f"{shown} cannot be opened: {reason(error)}."
    if isinstance(error, FileNotFoundError):
        return f"there is no camera {shown}; {_here()}."
    if isinstance(error, PermissionError):
        way = "allow it in the system's privacy settings"
        if form == "v4l2":
            way = "`sudo usermod -aG video $USER` allows it, from the next login on"
        return f"the camera {shown} may not be read: {way}."
    if getattr(error, "errno", None) == errno.EBUSY:
        return f"the camera {shown} is in use: close the other program first."
    return f"the camera {shown} cannot be opened: {reason(error)}; {_here()}."


def reason(error: BaseException) -> str:
    """What the system calls it."""
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()
