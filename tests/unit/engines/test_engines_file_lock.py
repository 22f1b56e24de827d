"""The lock between processes: who waits, and what a disk without locks gives."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engines.common.file_lock import file_lock

HOLDER = """
import sys
from pathlib import Path
from engines.common.file_lock import file_lock
with file_lock(Path(sys.argv[1]), None):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(file: Path) -> subprocess.Popen[str]:
    """Another process that has the lock until it reads a line or dies."""
    command = [sys.executable, "-c", HOLDER, str(file)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_held_lock_is_an_error_without_waiting(tmp_path: Path) -> None:
    other = hold(tmp_path / "lock")
    with pytest.raises(TimeoutError), file_lock(tmp_path / "lock", None):
        pass
    other.communicate("\n")
    with file_lock(tmp_path / "lock", None):
        if os.name == "posix":
            assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_it_waits_says_so_once_and_a_killed_holder_has_no_lock(tmp_path: Path) -> None:
    other = hold(tmp_path / "lock")
    calls: list[str] = []

    def on_wait() -> None:
        calls.append("waiting")
        threading.Timer(0.5, other.kill).start()

    with file_lock(tmp_path / "lock", on_wait):
        assert calls == ["waiting"]
        assert other.wait(10) != 0
    other.communicate()


@pytest.mark.skipif(os.name != "posix", reason="flock is POSIX's")
def test_a_lock_file_that_its_holder_removed_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    other = hold(file)

    def on_wait() -> None:
        file.unlink()
        other.communicate("\n")

    with file_lock(file, on_wait):
        third = subprocess.run([sys.executable, "-c", HOLDER, str(file)], capture_output=True, check=False)
        assert b"Timeout" in third.stderr, "two processes hold the lock"


@pytest.mark.skipif(os.name != "posix", reason="flock is POSIX's")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_an_error_at_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for on_wait in (None, lambda: pytest.fail("nothing to wait for")):
        with pytest.raises(OSError) as caught, file_lock(tmp_path / "lock", on_wait):
            pass
        assert caught.value.errno == number
