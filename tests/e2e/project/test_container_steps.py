"""What the CPU container file claims, seen in a root that its own steps have made."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

pytest.importorskip("dockerfile_parse")

from container_root import Stage, build, missing
from ffprobe import streams, times
from paths import ROOT

WHY = missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return build(ROOT / "deploy" / "cpu.Dockerfile", tmp_path_factory.mktemp("container"))


def test_a_user_without_rights_draws_a_video_on_a_read_only_system(container: Stage, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(ROOT / "samples" / "tour.mp4", data / "tour.mp4")
    video = shlex.join([*container.entrypoint, "video", "tour.mp4", "cartoon.mp4", "--to", "1"])
    said = container.contain(
        f"id -u && {video} >&2 && for place in / /srv/streamtoon /usr /etc; do "
        "touch $place/probe 2>/dev/null && echo wrote $place; done; echo end",
        data,
    )
    assert said.split() == ["10001", "end"]
    drawn, source = times(data / "cartoon.mp4", "v:0"), times(data / "tour.mp4", "v:0")
    assert len(drawn) == len([at for at in source if at < 1]) > 20
    sizes = [
        (stream["width"], stream["height"])
        for name in ("tour.mp4", "cartoon.mp4")
        for stream in streams(data / name, "video")
    ]
    assert sizes[0] == sizes[1]


def test_it_serves_as_it_is_and_the_health_check_tells(container: Stage, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    serve, health = shlex.join([*container.entrypoint, *container.command]), shlex.join(container.health)
    said = container.contain(
        f"{health} 2>/dev/null || echo down; {serve} 2>/tmp/said & server=$!; "
        f"for n in $(seq 120); do {health} 2>/dev/null && echo up && break; sleep 1; done; "
        f"kill -TERM $server; wait $server; {health} 2>/dev/null || echo down",
        data,
    )
    assert said.split() == ["down", "up", "down"]
