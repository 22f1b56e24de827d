"""Finding and opening FFmpeg's capture devices."""

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
from streamtoon.media.network import urls

DEFAULT_SIZE, DEFAULT_FPS = (1280, 720), 30
"""The size and rate requested from a camera by default. It may deliver another."""
MAX_RAW_PIXELS = 640 * 480
"""Pixels that USB carries uncompressed at 30 fps. Above that, Motion JPEG is tried first."""
CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
"""FFmpeg's camera format on each system."""
FORMATS = ("v4l2", "avfoundation", "dshow", "x11grab", "gdigrab", "lavfi")
"""Formats for FORMAT:NAME."""
FINAL_ERRORS = (FileNotFoundError, PermissionError)
"""Errors on opening that other options cannot fix."""

Options = dict[str, str]


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """The requested size and rate; None for the defaults."""

    size: tuple[int, int] | None = None
    rate: float | None = None


def cameras() -> list[str]:
    """Return the names of this system's cameras, one line each."""
    with suppress(av.FFmpegError, ValueError, OSError):
        found = enumerate_input_devices(CAMERAS.get(sys.platform, "v4l2"))
        return [
            f"{device.name} ({device.description})"
            for device in found
            if "video" in device.media_types or not device.media_types
        ]
    return []


def find_device(device: str) -> tuple[str | None, str]:
    """Return (FFmpeg's format, name in that format) of a device; no format for a file. Raises InputError."""
    system = CAMERAS.get(sys.platform, "v4l2")
    form, colon, name = device.partition(":")
    if urls.is_address(device):
        raise InputError(f"{urls.shown(device)} is a URL. Use `streamtoon stream` for URLs.")
    if colon and form in FORMATS:
        return form, name
    if device.isdecimal():
        return system, f"/dev/video{device}" if system == "v4l2" else _numbered(int(device), system)
    if device.startswith("/dev/"):
        return system, device
    if Path(device).exists():
        return None, device
    if system != "v4l2":  # cameras have names there
        return system, _dshow(device) if system == "dshow" else device
    raise InputError(f"{device} is neither a camera nor a file; {_available_cameras()}.")


def _numbered(number: int, system: str) -> str:
    if system != "dshow":
        return str(number)
    names = [device.name for device in enumerate_input_devices("dshow") if "video" in device.media_types]
    if number >= len(names):
        raise InputError(f"there is no camera {number}; {_available_cameras()}.")
    return _dshow(names[number])


def _dshow(name: str) -> str:
    return name if name.startswith("video=") else f"video={name}"


def _available_cameras() -> str:
    found = cameras()
    return f"available cameras: {', '.join(found)}" if found else "no camera is connected"


def open_device(form: str, name: str, shown: str, request: CaptureRequest) -> InputContainer:
    """Open a device with the first options that it accepts. Raises InputError."""
    first: Exception | None = None
    for options in _tries(form, request):
        try:
            return av.open(name, "r", format=form, options={"fflags": "nobuffer", **options})
        except FINAL_ERRORS as error:
            first = error
            break
        except (av.FFmpegError, ValueError, OSError) as error:
            first = first or error
            if getattr(error, "errno", None) == errno.EBUSY:
                break
    assert first is not None, "there is at least one set of options"
    raise InputError(_why(shown, form, first)) from first


def _tries(form: str, request: CaptureRequest) -> list[Options]:
    """Return the options to try, best first: few cameras support every size at every rate in every format."""
    if form == "lavfi":
        return [{}]
    camera = form in CAMERAS.values()
    width, height = request.size or (DEFAULT_SIZE if camera else (0, 0))
    size = {"video_size": f"{width}x{height}"} if width else {}
    rate = {"framerate": f"{request.rate or DEFAULT_FPS:g}"}
    both = {**size, **rate}
    if form != "v4l2":
        return [both, size, rate, {}] if camera else [both]
    codings: list[Options] = [{"input_format": "mjpeg"}, {}]
    if width * height <= MAX_RAW_PIXELS:
        codings.reverse()
    return [{**options, **coding} for options in (both, size, {}) for coding in codings]


def _why(shown: str, form: str, error: Exception) -> str:
    if form not in CAMERAS.values():
        return f"{shown} cannot be opened: {reason(error)}."
    if isinstance(error, FileNotFoundError):
        return f"there is no camera {shown}; {_available_cameras()}."
    if isinstance(error, PermissionError):
        way = "allow access in the system's privacy settings"
        if form == "v4l2":
            way = "run `sudo usermod -aG video $USER` and log in again"
        return f"no permission to use the camera {shown}: {way}."
    if getattr(error, "errno", None) == errno.EBUSY:
        return f"the camera {shown} is in use. Close the other program first."
    return f"the camera {shown} cannot be opened: {reason(error)}; {_available_cameras()}."


def reason(error: BaseException) -> str:
    """Return the system's error message in lower case."""
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()
