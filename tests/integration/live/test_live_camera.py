from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import make_clip
from numpy.typing import NDArray
from x_display import LIMIT, until, x_server

from engines.frame import Frame
from streamtoon.errors import InputError
from streamtoon.live.camera import ReconnectingCamera
from streamtoon.media.devices.discovery import CaptureRequest


def _places(pictures: list[Frame], clip: Path) -> list[int]:
    """Which of the file's pictures those are; each is one of them."""
    with av.open(str(clip)) as container:
        stored: list[NDArray[np.uint8]] = [
            frame.to_ndarray().astype(np.uint8)[: frame.height] for frame in container.decode(video=0)
        ]
    return [
        next(n for n, luma in enumerate(stored) if np.array_equal(luma, picture.y)) for picture in pictures
    ]


def test_a_file_plays_in_its_own_time_and_ends(tmp_path: Path) -> None:
    # 120 ms apart, then 40, then 240.
    pts = [0, 1536, 2048, 5120, 5632]
    clip = make_clip(tmp_path / "in.mp4", pts=pts, audio=None)
    with ReconnectingCamera(str(clip), CaptureRequest()) as camera:
        time.sleep(0.3)  # nothing of it may pass while nobody looks
        began = camera.now()
        found = [(picture, camera.now()) for picture in camera]
        assert not camera.is_gone
    pictures = [picture for picture, _ in found]
    # A busy machine may be late, and leave out what is too late; nothing ever is early.
    assert len(pictures) + camera.dropped == len(pts)
    places = _places(pictures, clip)
    assert places == sorted(set(places))
    assert places[-1] == len(pts) - 1
    for place, (picture, now) in zip(places, found, strict=True):
        assert began + pts[place] * 1e6 / 12800 - 1000 <= picture.pts <= now


def test_a_looping_file_restarts_until_it_is_stopped(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", pts=[0, 512, 1024], audio=None)  # three pictures, 40 ms apart
    with ReconnectingCamera(str(clip), CaptureRequest(), loops=True) as camera:
        found = []
        for picture in camera:
            found.append(picture)
            if len(found) == 20:
                camera.stop()
    times = [picture.pts for picture in found]
    assert times == sorted(set(times))
    places = _places(found, clip)
    assert len(places) >= 20 and set(places) == {0, 1, 2}


@pytest.mark.parametrize("mirror", [False, True])
def test_a_phones_video_is_upright_and_a_mirror_mirrors(tmp_path: Path, mirror: bool) -> None:
    clip = make_clip(tmp_path / "in.mp4", size=(64, 48), pts=[0], audio=None, rotation=90)
    with ReconnectingCamera(str(clip), CaptureRequest(), mirror=mirror) as camera:
        assert (camera.info.width, camera.info.height) == (48, 64)
        assert camera.info.display_matrix is None
        picture = next(iter(camera))
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
        stored = frame.to_ndarray()[:48]
    upright = np.rot90(stored, frame.rotation // 90)  # both count counter-clockwise
    assert (picture.y == (upright[:, ::-1] if mirror else upright)).all()


def test_mirror_changes_between_two_pictures() -> None:
    with ReconnectingCamera("lavfi:smptebars=size=96x64:rate=50", CaptureRequest()) as camera:
        pictures = iter(camera)
        before = next(pictures).y
        camera.mirror = True
        until(lambda: (next(pictures).y == before[:, ::-1]).all(), "no mirrored picture came")


def test_a_device_gives_what_is_new_and_says_when_it_came() -> None:
    with ReconnectingCamera("lavfi:testsrc2=size=160x90:rate=50", CaptureRequest()) as camera:
        assert (camera.info.width, camera.info.height) == (160, 90)
        assert camera.info.time_base == Fraction(1, 1_000_000)
        # An engine opens meanwhile.
        before, known = camera.now(), camera.dropped
        until(lambda: camera.dropped >= known + 3, "it is not read")
        missed, found = camera.dropped, []
        for picture in camera:
            found.append((picture.pts, camera.now()))
            if len(found) == 25:
                break
        given = missed + len(found) + camera.dropped
        assert given <= 2 + 50 * camera.now() / 1e6  # in its own time, not as fast as it can be read
    times = [pts for pts, _ in found]
    assert times[0] > before
    assert times == sorted(set(times))
    assert 0 <= min(now - pts for pts, now in found) < 1_000_000


def test_a_camera_that_is_pulled_out_is_waited_for() -> None:
    with (
        x_server((160, 120)) as (display, first),
        ReconnectingCamera(f"x11grab::{display}", CaptureRequest(rate=20)) as camera,
    ):
        pictures = iter(camera)
        before = next(pictures)
        assert not camera.is_gone
        first.kill()
        first.wait()
        until(lambda: camera.is_gone, "its end is not seen")
        # Back, and it has become larger: what is given keeps its size.
        with x_server((320, 240), display):
            until(lambda: not camera.is_gone, "it is not found again")
            latest = before.pts
            while latest < before.pts + 1_000_000:
                picture = next(pictures)
                assert picture.pts > latest
                assert (picture.width, picture.height) == (160, 120)
                latest = picture.pts


def test_stop_ends_a_wait_for_a_camera_that_is_gone() -> None:
    with x_server((160, 120)) as (display, server):
        with ReconnectingCamera(f"x11grab::{display}", CaptureRequest()) as camera:
            pictures = iter(camera)
            next(pictures)
            server.kill()
            until(lambda: camera.is_gone, "its end is not seen")
            began = time.monotonic()
            camera.stop()
            assert len(list(pictures)) <= 1
        assert time.monotonic() - began < LIMIT


def test_a_file_that_is_damaged_ends(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", audio=None)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) * 2 // 3])
    with ReconnectingCamera(str(clip), CaptureRequest()) as camera:
        assert 1 < len(list(camera)) + camera.dropped < 25


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("/dev/video63", r"there is no camera /dev/video63"),
        ("63", r"there is no camera 63"),
        ("no such thing", r"no such thing is neither a camera nor a file"),
        ("rtsp://user:secret@127.0.0.1/", r"^rtsp://\*\*\*@127\.0\.0\.1/ is a URL\. Use `streamtoon stream`"),
        ("x11grab::63", r"x11grab::63 cannot be opened"),
        ("lavfi:no_such_filter", r"lavfi:no_such_filter cannot be opened"),
        ("lavfi:sine", r"lavfi:sine delivers no frames"),
        ("/dev/null", r"camera /dev/null cannot be opened"),
        (__file__, r"not a video in a supported format"),
    ],
)
def test_what_is_no_camera_is_one_sentence(device: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ReconnectingCamera(device, CaptureRequest())


def test_a_files_size_and_rate_are_its_own(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", audio=None)
    with pytest.raises(InputError, match="Leave out --size and --fps"):
        ReconnectingCamera(str(clip), CaptureRequest((64, 48)))
