"""A cache of built engines on disk. Each has a sidecar file that records what it was built from.

An engine takes minutes to build and fits one machine only, so its key contains everything that it depends on:
the graph with its weights, the shapes, the precision, the GPU, and the versions of TensorRT, CUDA and the
driver. Loading an engine runs code from it. Therefore engines are kept in the user's own folder (mode 0700),
and one is read only if the file belongs to the user and its SHA-256 is the one in the sidecar.

    FOLDER/KEY.plan    the engine
    FOLDER/KEY.json    the sidecar, written after the engine; its modification time is that of the last use
    FOLDER/KEY.lock    locked while the engine is being built
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from engines.common.atomic_write import replace_file
from engines.common.dirs import cache_folder
from engines.common.file_lock import file_lock
from engines.errors import EngineError

SIDECAR_FORMAT = 1
"""Version of the sidecar's format."""
MAX_SIDECAR_BYTES = 1 << 16
"""Largest sidecar that is read."""

Facts = Mapping[str, str | int | float]
Report = Callable[[str], object]
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything that an engine depends on. If any field differs, it is another engine."""

    graph: str
    """SHA-256 of what the graph is made of; see `engine_spec.graph_digest`."""
    shapes: str
    """Names and shapes of all inputs and outputs."""
    precision: str
    via: str
    """onnx or torch2trt."""
    settings: str
    """Optimisation level and workspace of the builder."""
    tensorrt: str
    cuda: str
    gpu: str
    """Name of the GPU, as its driver reports it."""
    compute_capability: str
    driver: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all fields, hexadecimal: the stem of the file names."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def machine(self) -> str:
        """Return the SHA-256 of the fields about the machine: the key of build timings."""
        machine = (self.tensorrt, self.cuda, self.gpu, self.compute_capability, self.driver)
        return hashlib.sha256(json.dumps(machine).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A cached engine, as its sidecar describes it."""

    key: PlanKey
    facts: Facts
    """Other facts: style, seconds that the build took, PSNR to the reference."""
    size: int
    """Size of the engine in bytes."""
    sha256: str
    built: datetime
    used: datetime


class PlanCache:
    """The engines in one folder. With `folder` None, nothing is cached and every method still works."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @staticmethod
    def of_user() -> PlanCache:
        """Return the cache in the user's cache folder; one without a folder if none can be trusted."""
        folder = cache_folder("plans")
        if folder is not None and os.name == "posix":
            try:
                folder.chmod(0o700)  # mkdir applies the umask, and an older folder may have a wider mode
            except OSError:
                folder = None
        return PlanCache(folder)

    def read(self, key: PlanKey) -> bytes | None:
        """Return the engine with that key; None if it is missing, damaged or not the user's file."""
        entry = self._entry(key.digest)
        if entry is None or entry.key != key:
            return None
        plan = _read_private(self._file(key, ".plan"))
        if plan is None or hashlib.sha256(plan).hexdigest() != entry.sha256:
            return None
        return plan

    def write(self, key: PlanKey, plan: bytes, facts: Facts) -> None:
        """Store an engine.

        The sidecar is written last, so that a partial engine is ignored. Raises OSError.
        """
        if self.folder is None:
            return
        # Remove temporary files of a process that was killed; the lock ensures that no other process writes.
        for part in self.folder.glob(f".{key.digest}.*"):
            part.unlink(missing_ok=True)
        sidecar = {
            "format": SIDECAR_FORMAT,
            "key": asdict(key),
            "facts": dict(facts),
            "size": len(plan),
            "sha256": hashlib.sha256(plan).hexdigest(),
            "built": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = json.dumps(sidecar, indent=2) + "\n"
        self._file(key, ".json").unlink(missing_ok=True)
        replace_file(self._file(key, ".plan"), lambda part: part.write_bytes(plan))
        replace_file(self._file(key, ".json"), lambda part: part.write_text(text, encoding="utf-8"))

    def used(self, key: PlanKey) -> None:
        """Record that the engine was used now."""
        if self.folder is not None:
            with suppress(OSError):
                os.utime(self._file(key, ".json"))

    def remove(self, key: PlanKey) -> None:
        """Remove an engine if it is there. Raises OSError."""
        if self.folder is not None:
            for suffix in (".json", ".plan"):
                self._file(key, suffix).unlink(missing_ok=True)

    def entries(self) -> list[PlanEntry]:
        """Return the cached engines, the most recently used first, without unreadable ones."""
        if self.folder is None:
            return []
        found = [self._entry(file.stem) for file in self.folder.glob("*.json")]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.used, reverse=True)

    def clear(self) -> tuple[int, int]:
        """Remove all files except those of builds that are running.

        Return how many engines, and their bytes.
        """
        plans = size = 0
        if self.folder is None:
            return plans, size
        busy = {lock.stem for lock in self.folder.glob("*.lock") if not self._removed(lock)}
        for file in self.folder.iterdir():
            if file.suffix == ".lock" or not busy.isdisjoint(file.name.strip(".").split(".")):
                continue
            if file.is_file() and not file.is_symlink():
                plans += file.suffix == ".plan"
                size += file.stat().st_size
            file.unlink(missing_ok=True)
        return plans, size

    def read_timings(self, key: PlanKey) -> bytes | None:
        """Return the timings of earlier builds on this machine.

        Return None if there are none or they are damaged.
        """
        data = _read_private(self._timings(key)) if self.folder else None
        if data is None or hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        return data[32:]

    def write_timings(self, key: PlanKey, data: bytes) -> None:
        """Store the timings of a build. Raises OSError."""
        if self.folder is not None:
            whole = hashlib.sha256(data).digest() + data
            replace_file(self._timings(key), lambda part: part.write_bytes(whole))

    @contextmanager
    def locked(self, key: PlanKey, say: Report) -> Iterator[None]:
        """Hold the lock of a key while its engine is built; call `say` once if that means waiting."""
        if self.folder is None:
            yield
            return
        lock = self._file(key, ".lock")
        with file_lock(lock, lambda: say("waiting for another process that is building this engine")):
            yield

    def _file(self, key: PlanKey, suffix: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key.digest}{suffix}"

    def _timings(self, key: PlanKey) -> Path:
        assert self.folder is not None
        return self.folder / f"{key.machine}.timings"

    def _entry(self, digest: str) -> PlanEntry | None:
        if self.folder is None:
            return None
        file = self.folder / f"{digest}.json"
        text = _read_private(file, MAX_SIDECAR_BYTES)
        try:
            entry = _parse(text or b"", datetime.fromtimestamp(file.stat().st_mtime, UTC))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return entry if entry.key.digest == digest else None

    @staticmethod
    def _removed(lock: Path) -> bool:
        """Remove a lock file unless it is locked. Return whether it was unlocked."""
        try:
            with file_lock(lock, None), suppress(PermissionError):  # Windows cannot remove an open file
                lock.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def load_or_build(
    cache: PlanCache,
    key: PlanKey,
    load: Callable[[bytes], Loaded | None],
    build: Callable[[], tuple[bytes, Facts]],
    say: Report,
) -> Loaded:
    """Load the engine of a key from the cache; build and cache it if it is not there or does not load.

    Without a usable cache folder, the engine is built and used without being cached.

    Args:
        cache: Where to look and to store.
        key: The key of the engine.
        load: Returns the loaded engine, or None if the library rejects it.
        build: Returns an engine and facts about it.
        say: Called with messages for the user.

    Returns:
        The result of `load`.

    Raises:
        EngineError: An engine that was just built does not load. Exceptions of `build` are passed on.
    """
    with _locked_or_not(cache, key, say):
        plan = cache.read(key)
        loaded = None if plan is None else load(plan)
        if loaded is not None:
            cache.used(key)
            return loaded
        if plan is not None:
            say("the cached engine no longer loads: building it again")
        plan, facts = build()
        loaded = load(plan)
        if loaded is None:
            raise EngineError("TensorRT cannot load the engine that it has just built; reinstall TensorRT")
        try:
            cache.write(key, plan, facts)
        except OSError as error:
            say(_cannot_cache(cache, error))
        return loaded


@contextmanager
def _locked_or_not(cache: PlanCache, key: PlanKey, say: Report) -> Iterator[None]:
    """Hold the lock of a key, or continue without it if the disk cannot lock or is full."""
    lock = cache.locked(key, say)
    try:
        lock.__enter__()
    except OSError as error:
        say(_cannot_cache(cache, error))
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _cannot_cache(cache: PlanCache, error: OSError) -> str:
    return (
        f"cannot cache the engine in {cache.folder} ({error.strerror or error}): "
        "it will be built again next time"
    )


def _read_private(file: Path, most: int | None = None) -> bytes | None:
    """Return the content of a regular file that only the user can write; else None."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    )
    try:
        handle = os.open(file, flags)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as stream:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or (most is not None and facts.st_size > most):
            return None
        if os.name == "posix" and (facts.st_uid != os.getuid() or facts.st_mode & 0o022):
            return None
        try:
            return stream.read()
        except OSError:
            return None


def _parse(text: bytes, used: datetime) -> PlanEntry:
    """Parse a sidecar. Raises ValueError, TypeError or KeyError if it is invalid."""
    values = json.loads(text)
    if values["format"] != SIDECAR_FORMAT:
        raise ValueError("unknown format of a sidecar")
    if set(values["key"]) != {field.name for field in fields(PlanKey)}:
        raise ValueError("unexpected fields in the key")
    key = PlanKey(**{name: str(value) for name, value in values["key"].items()})
    facts = {str(name): value for name, value in values["facts"].items()}
    if not all(isinstance(value, str | int | float) for value in facts.values()):
        raise TypeError("facts must be strings or numbers")
    built = datetime.fromisoformat(values["built"])
    return PlanEntry(key, facts, int(values["size"]), str(values["sha256"]), built, used)
