"""The cache of built engines: keys, sidecars, what is trusted, and several processes at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import ROOT
from plan_parts import KEY

from engines.backends.tensorrt.engine_cache import PlanCache, PlanKey, load_or_build
from engines.errors import EngineError

PLAN = bytes(range(256)) * 40
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


def _load(plan: bytes) -> bytes | None:
    """As a runtime does: refuses what it cannot read."""
    return plan if plan.startswith(bytes(range(16))) else None


def _cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path)


def _obtain(cache: PlanCache, key: PlanKey = KEY, plan: bytes = PLAN) -> tuple[bytes, int, list[str]]:
    """The plan, how often it was built, what was said."""
    built: list[int] = []
    said: list[str] = []

    def build() -> tuple[bytes, dict[str, str | int | float]]:
        built.append(1)
        return plan, {"style": "comic", "psnr": 51.5}

    return load_or_build(cache, key, _load, build, said.append), len(built), said


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PlanKey)])
def test_every_part_of_the_key_makes_another_plan(tmp_path: Path, field: str) -> None:
    cache = _cache(tmp_path)
    assert _obtain(cache) == (PLAN, 1, [])
    assert _obtain(cache) == (PLAN, 0, [])
    other = dataclasses.replace(KEY, **{field: "something else"})
    assert other.digest != KEY.digest
    assert _obtain(cache, other) == (PLAN, 1, [])


def test_the_file_is_named_by_sha256_of_the_key(tmp_path: Path) -> None:
    _obtain(_cache(tmp_path))
    text = json.dumps(dataclasses.asdict(KEY), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()
    assert (tmp_path / f"{name}.plan").read_bytes() == PLAN
    sidecar = json.loads((tmp_path / f"{name}.json").read_text())
    assert sidecar["key"] == dataclasses.asdict(KEY)
    assert sidecar["facts"] == {"style": "comic", "psnr": 51.5}
    assert sidecar["sha256"] == hashlib.sha256(PLAN).hexdigest()
    assert sidecar["size"] == len(PLAN)


def test_the_list_has_the_last_used_first(tmp_path: Path) -> None:
    cache = _cache(tmp_path)
    second = dataclasses.replace(KEY, shapes="y 1x1x1080x1920")
    _obtain(cache)
    _obtain(cache, second)
    os.utime(tmp_path / f"{second.digest}.json", (1e9, 1e9))
    entries = cache.entries()
    assert [entry.key for entry in entries] == [KEY, second]
    assert entries[1].used.timestamp() == 1e9
    assert entries[0].facts == {"style": "comic", "psnr": 51.5}
    _obtain(cache, second)
    assert [entry.key for entry in cache.entries()] == [second, KEY]


def _damage_plan(tmp_path: Path) -> None:
    data = bytearray(PLAN)
    data[5000] ^= 1
    (tmp_path / f"{KEY.digest}.plan").write_bytes(data)


def _cut_plan(tmp_path: Path) -> None:
    (tmp_path / f"{KEY.digest}.plan").write_bytes(PLAN[:-1])


def _no_plan(tmp_path: Path) -> None:
    (tmp_path / f"{KEY.digest}.plan").unlink()


def _no_sidecar(tmp_path: Path) -> None:
    (tmp_path / f"{KEY.digest}.json").unlink()


def _sidecar(text: str | bytes) -> object:
    def write(tmp_path: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / f"{KEY.digest}.json").write_bytes(data)

    return write


def _another_machines_sidecar(tmp_path: Path) -> None:
    file = tmp_path / f"{KEY.digest}.json"
    sidecar = json.loads(file.read_text())
    sidecar["key"]["gpu"] = "NVIDIA H200"
    file.write_text(json.dumps(sidecar))


def _link(tmp_path: Path) -> None:
    plan = tmp_path / f"{KEY.digest}.plan"
    plan.rename(tmp_path / "elsewhere")
    plan.symlink_to(tmp_path / "elsewhere")


def _writable_by_all(tmp_path: Path) -> None:
    (tmp_path / f"{KEY.digest}.plan").chmod(0o666)


def _a_pipe(tmp_path: Path) -> None:
    plan = tmp_path / f"{KEY.digest}.plan"
    plan.unlink()
    os.mkfifo(plan)


HARM = {
    "plan damaged": _damage_plan,
    "plan cut": _cut_plan,
    "plan missing": _no_plan,
    "sidecar missing": _no_sidecar,
    "sidecar empty": _sidecar(""),
    "sidecar no JSON": _sidecar("{"),
    "sidecar no text": _sidecar(b"\xff\xfe\x00"),
    "sidecar a list": _sidecar("[1]"),
    "sidecar without keys": _sidecar('{"format": 1}'),
    "sidecar of lists": _sidecar('{"format": 1, "key": [], "facts": []}'),
    "sidecar too deep": _sidecar("[" * 60_000),
    "sidecar endless": _sidecar(" " * (1 << 17)),
    "sidecar of another machine": _another_machines_sidecar,
}
if os.name == "posix":
    HARM |= {"plan a link": _link, "plan writable by all": _writable_by_all, "plan a pipe": _a_pipe}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_plan_that_was_tampered_with_is_rebuilt(tmp_path: Path, harm: object) -> None:
    cache = _cache(tmp_path)
    _obtain(cache)
    assert callable(harm)
    harm(tmp_path)
    assert cache.read(KEY) is None
    assert _obtain(cache) == (PLAN, 1, [])
    assert _obtain(cache) == (PLAN, 0, []), "what was built anew is kept"


def test_a_whole_plan_that_does_not_load_is_rebuilt(tmp_path: Path) -> None:
    cache = _cache(tmp_path)
    cache.write(KEY, b"of a library that is gone", {})
    plan, built, said = _obtain(cache)
    assert (plan, built) == (PLAN, 1)
    assert said == ["the cached engine no longer loads: building it again"]


def test_a_new_plan_that_does_not_load_is_an_error_and_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot load the engine"):
        _obtain(_cache(tmp_path), plan=b"nonsense")
    assert not list(tmp_path.glob("*.plan"))


def test_without_a_folder_all_works_and_nothing_is_kept() -> None:
    cache = PlanCache(None)
    assert _obtain(cache) == (PLAN, 1, [])
    assert _obtain(cache) == (PLAN, 1, [])
    assert (cache.entries(), cache.clear()) == ([], (0, 0))


def test_timings_come_back_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = _cache(tmp_path)
    assert cache.read_timings(KEY) is None
    cache.write_timings(KEY, b"measured")
    assert cache.read_timings(dataclasses.replace(KEY, shapes="other", graph="other")) == b"measured"
    assert cache.read_timings(dataclasses.replace(KEY, driver="580.1")) is None
    (file,) = tmp_path.glob("*.timings")
    file.write_bytes(file.read_bytes()[:-1])
    assert cache.read_timings(KEY) is None


@posix
def test_the_users_own_cache_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "streamtoon" / "plans"
    folder.mkdir(parents=True, mode=0o755)
    cache = PlanCache.of_user()
    assert cache.folder == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert PlanCache.of_user().folder is None, "what others can write is not trusted"


PROCESS = """
import sys, time
from pathlib import Path
sys.path[:0] = ["tests/support", "tests/e2e/engines"]
from test_engines_plan_cache import KEY, PLAN, _load
from engines.backends.tensorrt.engine_cache import PlanCache, load_or_build

folder, name = Path(sys.argv[1]), sys.argv[2]

def build():
    with (folder / "built.txt").open("a") as log:
        log.write(name + "\\n")
    (folder / "begun").touch()
    for other in sys.argv[3:]:
        while not (folder / other).exists():
            time.sleep(0.02)
    return PLAN, {}

said = []

def tell(text):
    said.append(text)
    (folder / f"{name}-waits").touch()

assert load_or_build(PlanCache(folder / "plans"), KEY, _load, build, tell) == PLAN
print(said)
"""


def _start(tmp_path: Path, name: str, *until: str) -> subprocess.Popen[str]:
    """A process that wants the engine; one that has to build it takes until those files are there."""
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(tmp_path), name, *until],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(file: Path) -> None:
    end = time.monotonic() + 240
    while not file.exists():
        assert time.monotonic() < end, f"{file.name} never came"
        time.sleep(0.02)


def test_of_processes_that_want_one_engine_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    first = _start(tmp_path, "first", "second-waits", "third-waits")
    _wait_for(tmp_path / "begun")
    others = [_start(tmp_path, name) for name in ("second", "third")]
    said = []
    for process in (first, *others):
        out, error = process.communicate(timeout=240)
        assert process.returncode == 0, error
        said.append(out.strip())
    assert (tmp_path / "built.txt").read_text() == "first\n"
    assert said == ["[]", *["['waiting for another process that is building this engine']"] * 2]


def test_whoever_waits_takes_over_from_a_builder_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    first = _start(tmp_path, "first", "never")
    _wait_for(tmp_path / "begun")
    second = _start(tmp_path, "second")
    _wait_for(tmp_path / "second-waits")
    first.kill()
    first.communicate()
    _, error = second.communicate(timeout=240)
    assert second.returncode == 0, error
    assert (tmp_path / "built.txt").read_text() == "first\nsecond\n"


def test_clearing_leaves_alone_what_is_being_built(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path / "plans")
    (tmp_path / "plans").mkdir()
    other = dataclasses.replace(KEY, precision="int8")
    _obtain(cache, other)
    cache.write_timings(KEY, b"measured")
    builder = _start(tmp_path, "builder", "cleared")
    _wait_for(tmp_path / "begun")
    plans, size = cache.clear()
    assert plans == 1
    assert size > len(PLAN)
    assert cache.read(other) is None
    (tmp_path / "cleared").touch()
    _, error = builder.communicate(timeout=240)
    assert builder.returncode == 0, error
    assert cache.read(KEY) == PLAN
    assert cache.clear()[0] == 1
    assert not list((tmp_path / "plans").iterdir())


FULL = """
import resource, sys
from pathlib import Path
sys.path[:0] = ["tests/support", "tests/e2e/engines"]
from test_engines_plan_cache import KEY, PLAN, _obtain
from engines.backends.tensorrt.engine_cache import PlanCache

resource.setrlimit(resource.RLIMIT_FSIZE, (len(PLAN) // 2, len(PLAN) // 2))
plan, built, said = _obtain(PlanCache(Path(sys.argv[1])))
assert (plan, built) == (PLAN, 1)
print(*said, sep="\\n")
"""


@posix
def test_a_disk_that_takes_no_more_is_one_sentence_and_the_work_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (sentence,) = done.stdout.splitlines()
    assert sentence.startswith(f"cannot cache the engine in {tmp_path} (File too large)")
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"], "nothing half-written stays"


def test_a_folder_that_vanished_is_one_sentence_and_the_work_goes_on(tmp_path: Path) -> None:
    plan, built, said = _obtain(PlanCache(tmp_path / "gone"))
    assert (plan, built) == (PLAN, 1)
    assert said
    assert all("will be built again next time" in sentence for sentence in said)
