"""The steps of a container file, run in an empty Debian root, without a container engine.

A stage starts from a copy of a root made by debootstrap, which is what the base image `debian:SUITE-slim` is
made from. Every RUN runs in it by chroot. The result runs as containers do: with its own mounts, processes
and network, a read-only root, /tmp in memory, and the user of the file.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from paths import ROOT

DEBIAN = "debian:bookworm-slim"
SUITE = "bookworm"
BUILD_TIMEOUT_S = 1800
RUN_TIMEOUT_S = 300
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def missing() -> str:
    """Why roots cannot be made here; empty if they can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "chroot needs root"
    lacking = [name for name in ("debootstrap", "unshare", "chroot", "ip") if shutil.which(name) is None]
    if lacking:
        return f"{' and '.join(lacking)} is missing"
    tried = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False)
    return "new namespaces are not allowed here" if tried.returncode else ""


@dataclass
class Stage:
    """What the steps of one stage have made."""

    root: Path
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    user: str = "0:0"
    directory: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """The place of a path of the container on this machine."""
        return self.root / (Path("/") / self.directory / path).as_posix().lstrip("/")

    def take(self, name: str, value: str) -> None:
        """Carry out one instruction."""
        if name == "RUN":
            self.run(value)
        elif name in ("ARG", "ENV"):
            for word in shlex.split(value):
                key, _, text = word.partition("=")
                self.env[key] = text.replace("$PATH", self.env["PATH"])
        elif name == "USER":
            self.user = value
        elif name == "WORKDIR":
            self.directory = value
            self.inside(".").mkdir(parents=True, exist_ok=True)
        elif name == "HEALTHCHECK":
            self.health = json.loads(value.partition(" CMD ")[2])
        else:
            lines = {"ENTRYPOINT": self.entrypoint, "CMD": self.command}
            assert name in lines, f"{name} is not known here"
            lines[name][:] = json.loads(value)

    def run(self, command: str) -> None:
        """Run a shell command in the root, with this machine's network, as a build does."""
        line = ["chroot", str(self.root), "/bin/sh", "-c", f"cd {shlex.quote(self.directory)} && {command}"]
        env = self.env | {"DEBIAN_FRONTEND": "noninteractive", "PIP_CERT": "/build-authorities.crt"}
        _call(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _with_proc(self.root, line)],
            env,
            BUILD_TIMEOUT_S,
        )

    def contain(self, script: str, data: Path) -> str:
        """Run a shell script as a container runs: read-only, without network; return what it printed."""
        root, (uid, _) = shlex.quote(str(self.root)), self.user.split(":")
        inside = f"cd {shlex.quote(self.directory)} && {script}"
        mounts = " && ".join(
            (
                f"mount --bind {root} {root}",
                f"mount -t tmpfs -o size=2g,mode=1777 tmpfs {root}/tmp",
                f"mount --bind {shlex.quote(str(data))} {root}/data",
                f"mount -t proc proc {root}/proc",
                f"mount -o remount,bind,ro {root}",
                "ip link set lo up",
            )
        )
        line = shlex.join(
            ["chroot", f"--userspec={self.user}", "--groups=", str(self.root), "/bin/sh", "-c", inside]
        )
        os.chown(data, int(uid), -1)
        return _call(
            ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", f"{mounts} && {line}"],
            self.env,
            RUN_TIMEOUT_S,
        )


def bare_root(folder: Path) -> Path:
    """Make an empty Debian with debootstrap, or take the one that STREAMTOON_BARE_ROOT names."""
    if made := os.environ.get("STREAMTOON_BARE_ROOT"):
        return Path(made)
    root = folder / SUITE
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", SUITE, str(root)],
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:  # such as without Debian's servers
        pytest.skip(f"debootstrap makes no root here: {done.stdout.strip().rpartition(chr(10))[2]}")
    return root


def build(file: Path, folder: Path) -> Stage:
    """Run the steps of a container file with the repository as its context, and return its last stage."""
    bare = bare_root(folder)
    with file.open("rb") as opened:
        steps = DockerfileParser(fileobj=opened).structure
    stages: dict[str, Stage] = {}
    for step in steps:
        name, value = step["instruction"], step["value"]
        if name == "FROM":
            base, *rest = value.split()
            assert base == DEBIAN, f"{base} cannot be made here"
            label = rest[1] if rest else f"stage-{len(stages)}"
            stages[label] = Stage(_copy(bare, folder / label))
        elif name == "COPY":
            _copy_files(value, list(stages.values())[-1], stages)
        elif name not in ("COMMENT", "EXPOSE"):
            list(stages.values())[-1].take(name, value)
    return list(stages.values())[-1]


def _copy_files(value: str, stage: Stage, stages: dict[str, Stage]) -> None:
    words = shlex.split(value)
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *files, target = words
    for each in files:
        place, goal = source / each.lstrip("/"), stage.inside(target)
        if place.is_dir():  # its contents, as COPY does
            _call(["cp", "-aT", str(place), str(goal)], dict(os.environ), BUILD_TIMEOUT_S)
        else:
            goal.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, goal)


def _copy(bare: Path, root: Path) -> Path:
    _call(["cp", "-a", "--reflink=auto", str(bare), str(root)], dict(os.environ), BUILD_TIMEOUT_S)
    # The build's network is this machine's.
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copy(AUTHORITIES, root / "build-authorities.crt")
    return root


def _with_proc(root: Path, line: list[str]) -> str:
    return f"mount -t proc proc {shlex.quote(str(root))}/proc && {shlex.join(line)}"


def _call(line: list[str], env: dict[str, str], timeout_s: float) -> str:
    done = subprocess.run(
        line,
        env={"PATH": os.environ["PATH"]} | env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
