from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from engines_open import open_engine
from lavfi_clips import make_clip, read_clip, sound_packets

import streamtoon
from engines.frame import Frame
from streamtoon import Cartoonizer, EngineError, InputError, OutputError, Progress, StyleError
from streamtoon.media import VideoReader


@pytest.fixture(scope="module")
def cartoonizer(style_folder: Path) -> Iterator[Cartoonizer]:
    with Cartoonizer(style_folder, quality="full") as cartoonizer:
        yield cartoonizer


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


def _luma(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.int16)


# --- settings and arrays -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "abacus"}, "unknown engine 'abacus'; choose one of: auto, openvino"),
        ({"precision": "fp4"}, "unknown precision 'fp4'; choose one of: auto, fp32"),
        ({"quality": "best"}, "unknown quality 'best'; choose one of: auto, full, fast"),
        ({"detail": 0.1}, r"detail is 0.1, expected 0.25 to 2"),
        ({"detail": float("nan")}, "detail is nan"),
        ({"strength": 1.5}, "strength must be 0 to 1, not 1.5"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(
    style_folder: Path, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Cartoonizer(style_folder, **settings)  # type: ignore[arg-type]


def test_an_unknown_style_is_told_at_once() -> None:
    with pytest.raises(StyleError, match="unknown style 'nobody'"):
        Cartoonizer("nobody")


def test_a_device_that_is_not_here_is_told_when_opened(style_folder: Path) -> None:
    with pytest.raises(EngineError), Cartoonizer(style_folder, device="abacus") as cartoonizer:
        cartoonizer.open(64, 64)


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ([[0, 0, 0]], TypeError, "got list"),
        (np.zeros((4, 4, 3)), TypeError, "got an array of float64"),
        (np.zeros((4, 4), np.uint8), ValueError, r"got \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"got \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"got \(0, 4, 3\)"),
    ],
)
def test_what_is_no_rgb_picture_is_one_clear_error(
    cartoonizer: Cartoonizer, value: object, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        cartoonizer(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(48, 64, 3), (33, 47, 3), (1, 1, 3)])
def test_an_array_becomes_what_the_engine_makes_of_it(
    cartoonizer: Cartoonizer, style_folder: Path, shape: tuple[int, int, int]
) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = rgb.copy()
    with open_engine(style_folder, quality="full", width=shape[1], height=shape[0]) as engine:
        expected = engine.rgb(rgb)
    drawn = cartoonizer(rgb)
    assert drawn.shape == shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(rgb, before)


def test_a_mirrored_view_is_taken_like_a_copy(cartoonizer: Cartoonizer) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    np.testing.assert_array_equal(cartoonizer(rgb[:, ::-1]), cartoonizer(rgb[:, ::-1].copy()))


def test_strength_0_is_the_source(style_folder: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    with Cartoonizer(style_folder, strength=0) as cartoonizer:
        np.testing.assert_array_equal(cartoonizer(rgb), rgb)


def test_the_engine_stays_open_for_one_size_and_follows_the_next(style_folder: Path) -> None:
    with Cartoonizer(style_folder) as cartoonizer:
        with pytest.raises(ValueError, match="no engine is open"):
            _ = cartoonizer.facts
        first = cartoonizer.open(64, 48)
        assert cartoonizer.open(64, 48) is first
        assert cartoonizer.open(48, 64) is not first
        assert cartoonizer.facts.style == "shaken"
        cartoonizer.close()
        assert cartoonizer(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64, 3)


def test_stream_gives_each_picture_as_it_comes(cartoonizer: Cartoonizer) -> None:
    taken: list[int] = []

    def pictures() -> Iterator[Frame]:
        for number in range(3):
            taken.append(number)
            plane = np.full((32, 48), 40 * number, np.uint8)
            yield Frame(plane, plane[::2, ::2], plane[::2, ::2], pts=number, time_base=Fraction(1, 25))

    stream = cartoonizer.stream(pictures())
    assert next(stream).pts == 0
    assert taken == [0]
    assert [picture.pts for picture in stream] == [1, 2]


# --- files -------------------------------------------------------------------------------------------


def test_a_video_keeps_its_frames_times_and_sound(
    cartoonizer: Cartoonizer, clip: Path, tmp_path: Path
) -> None:
    told: list[Progress] = []
    report = cartoonizer.video(clip, tmp_path / "out.mp4", on_progress=told.append)
    assert read_clip(tmp_path / "out.mp4") == read_clip(clip)
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(clip)
    assert told[-1].frames == told[-1].total == 25
    assert (report.frames_in, report.frames_out) == (25, 25)
    assert report.fps == pytest.approx(25 / report.seconds, rel=0.02)
    assert (report.input.width, report.input.height, report.input.duration) == (128, 96, 1.0)
    assert report.output.codecs == ("h264", "aac")
    assert report.engine.style == "shaken"
    assert report.reused == report.partly_reused == 0
    assert all(time.mean_ms > 0 and time.p95_ms > 0 for time in report.stages.values())
    assert report.warnings == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4"]


def test_a_video_that_stands_still_is_drawn_once(
    cartoonizer: Cartoonizer, style_folder: Path, tmp_path: Path
) -> None:
    """Each picture three times; the file is the one that drawing every one of them gives."""
    clip = _slides(tmp_path / "slides.mkv", pictures=4, times=3)
    for name in ("a.mkv", "b.mkv"):
        report = cartoonizer.video(clip, tmp_path / name, codec="ffv1")
        assert report.frames_out == 12
        # The first picture of the second run is another than the first run's last.
        assert report.reused == 8
        assert report.as_dict()["reused"] == 8
    drawn = []
    with VideoReader(clip) as slides:
        for picture in slides.frames():
            with open_engine(style_folder, quality="full", width=64, height=48) as engine:
                drawn.append(engine(picture))
    with VideoReader(tmp_path / "b.mkv") as written:
        for picture, expected in zip(written.frames(), drawn, strict=True):
            for plane in ("y", "u", "v"):
                np.testing.assert_array_equal(getattr(picture, plane), getattr(expected, plane))


def _slides(target: Path, pictures: int, times: int) -> Path:
    dice = np.random.default_rng(0)
    with av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(pictures):
            slide = dice.integers(16, 236, (72, 64), np.uint8)
            for again in range(times):
                frame = av.VideoFrame.from_ndarray(slide, format="yuv420p")
                frame.pts = times * number + again
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


def test_a_style_without_a_lite_network_is_told(style_folder: Path, clip: Path, tmp_path: Path) -> None:
    with (
        Cartoonizer(style_folder, quality="lite") as cartoonizer,
        pytest.raises(EngineError, match="style shaken has no lite network; use "),
    ):
        cartoonizer.video(clip, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_frozen_and_goes_through_json(
    cartoonizer: Cartoonizer, clip: Path, tmp_path: Path
) -> None:
    report = cartoonizer.video(clip, tmp_path / "out.mkv", end=0.2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.fps = 0  # type: ignore[misc]
    assert json.loads(json.dumps(report.as_dict()))["frames_out"] == 5


def test_a_part_of_a_video(cartoonizer: Cartoonizer, clip: Path, tmp_path: Path) -> None:
    report = cartoonizer.video(clip, tmp_path / "out.mp4", start=0.4, end=0.8)
    assert report.frames_out == 10
    times, *_ = read_clip(tmp_path / "out.mp4")
    assert times[0] == 0


@pytest.mark.parametrize(("size", "width"), [("128x96", 256), ("129x96", 259)])
def test_side_by_side_shows_the_source_on_the_left(
    style_folder: Path, tmp_path: Path, size: str, width: int
) -> None:
    # A codec without loss, and for odd widths one that takes them.
    clip = make_clip(tmp_path / "clip.mkv", size="128x96", frames=5)
    if size != "128x96":
        clip = _recode_odd(clip, tmp_path / "odd.mkv", size)
    with Cartoonizer(style_folder) as cartoonizer:
        report = cartoonizer.video(clip, tmp_path / "both.mkv", side_by_side=True, codec="ffv1")
    assert (report.output.width, report.output.height) == (width, 96)
    source, both = _luma(clip), _luma(tmp_path / "both.mkv")
    # Both go through the same conversion of limited range to grey, so the planes compare as they are.
    np.testing.assert_array_equal(both[:, :, : source.shape[2]], source)
    right = both[:, :, -source.shape[2] :]
    assert 1 < np.abs(right - source).mean() < 60


def _recode_odd(clip: Path, target: Path, size: str) -> Path:
    width, height = map(int, size.split("x"))
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in source.decode(video=0):
            out.mux(stream.encode(frame.reformat(width, height, "yuv420p")))
        out.mux(stream.encode(None))
    return target


def test_errors_come_as_our_own_and_leave_nothing(
    cartoonizer: Cartoonizer, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        cartoonizer.video(tmp_path / "nothing.mp4", tmp_path / "out.mp4")
    with pytest.raises(OutputError):
        cartoonizer.video(clip, clip, overwrite=True)
    with pytest.raises(OutputError):
        cartoonizer.video(clip, tmp_path / "out.mp4", codec="nonsense")
    assert list(tmp_path.iterdir()) == []


def test_a_callback_that_raises_leaves_nothing(cartoonizer: Cartoonizer, clip: Path, tmp_path: Path) -> None:
    def on_progress(progress: Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        cartoonizer.video(clip, tmp_path / "out.mp4", on_progress=on_progress)
    assert list(tmp_path.iterdir()) == []


def test_the_package_offers_what_it_names() -> None:
    for name in streamtoon.__all__:
        assert getattr(streamtoon, name) is not None
    assert set(streamtoon.__all__) <= set(dir(streamtoon))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = streamtoon.nonsense
