"""Built engines, kept: plans under their key, with a sidecar that says what each was built from.

A plan takes minutes to build and fits one machine only, so its key holds all that it hangs on: the graph with
its weights, shapes, precision, the versions of TensorRT, CUDA and the driver, and the GPU. A plan is code
that runs on loading: it is kept in the user's own folder (0700) and read only where it is the user's own
file and its SHA-256 is the sidecar's.

    FOLDER/KEY.plan    the plan
    FOLDER/KEY.json    the sidecar, written after it; its modification time is the plan's last use
    FOLDER/KEY.lock    held while somebody builds it
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
"""Of the sidecar."""
MAX_SIDECAR_BYTES = 1 << 16
"""Bytes of a sidecar that is read."""

Facts = Mapping[str, str | int | float]
Report = Callable[[str], object]
Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class PlanKey:
    """All that a plan hangs on; where one of these differs, it is another plan."""

    graph: str
    """SHA-256 of the graph's bytes, weights included."""
    shapes: str
    """Of every input, with its profile where sizes are free."""
    precision: str
    via: str
    """onnx or torch2trt."""
    settings: str
    """Of the builder: optimisation level and workspace."""
    tensorrt: str
    cuda: str
    gpu: str
    """The name that its driver gives it."""
    compute_capability: str
    driver: str

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal: the file's name."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def machine(self) -> str:
        """SHA-256 of what is not of the graph: what the timings of a build hang on."""
        machine = (self.tensorrt, self.cuda, self.gpu, self.compute_capability, self.driver)
        return hashlib.sha256(json.dumps(machine).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One kept plan, as its sidecar tells it."""

    key: PlanKey
    facts: Facts
    """What else is known: style, seconds it took, agreement with the reference."""
    size: int
    """Bytes."""
    sha256: str
    built: datetime
    used: datetime


class PlanCache:
    """The plans in one folder. With None for a folder nothing is kept, and everything else works."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @staticmethod
    def of_user() -> PlanCache:
        """The one in the user's cache; one that keeps nothing where there is no folder to be trusted."""
        folder = cache_folder("plans")
        if folder is not None and os.name == "posix":
            try:
                folder.chmod(0o700)  # mkdir's mode is cut by the umask, and an older folder may be wider
            except OSError:
                folder = None
        return PlanCache(folder)

    def read(self, key: PlanKey) -> bytes | None:
        """The plan of exactly that key; None where it is missing, damaged or not the user's own."""
        entry = self._entry(key.digest)
        if entry is None or entry.key != key:
            return None
        plan = _read_private(self._file(key, ".plan"))
        if plan is None or hashlib.sha256(plan).hexdigest() != entry.sha256:
            return None
        return plan

    def write(self, key: PlanKey, plan: bytes, facts: Facts) -> None:
        """Keeps a plan; the sidecar comes last, so that a plan half written is none. Raises OSError."""
        if self.folder is None:
            return
        # Whoever died while writing left a part behind: nobody else writes this key now.
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
        """Notes that the plan was used now."""
        if self.folder is not None:
            with suppress(OSError):
                os.utime(self._file(key, ".json"))

    def remove(self, key: PlanKey) -> None:
        """Removes a plan, where there is one. Raises OSError."""
        if self.folder is not None:
            for suffix in (".json", ".plan"):
                self._file(key, suffix).unlink(missing_ok=True)

    def entries(self) -> list[PlanEntry]:
        """What is kept, the last used first; what cannot be read is left out."""
        if self.folder is None:
            return []
        found = [self._entry(file.stem) for file in self.folder.glob("*.json")]
        return sorted((entry for entry in found if entry), key=lambda entry: entry.used, reverse=True)

    def clear(self) -> tuple[int, int]:
        """Removes everything here that nobody is building just now; how many plans, and bytes in all."""
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
        """What earlier builds on this very machine measured; None where there is nothing to be trusted."""
        data = _read_private(self._timings(key)) if self.folder else None
        if data is None or hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        return data[32:]

    def write_timings(self, key: PlanKey, data: bytes) -> None:
        """Keeps them. Raises OSError."""
        if self.folder is not None:
            whole = hashlib.sha256(data).digest() + data
            replace_file(self._timings(key), lambda part: part.write_bytes(whole))

    @contextmanager
    def locked(self, key: PlanKey, say: Report) -> Iterator[None]:
        """While inside, nobody else builds this key; `say` is told once where that means waiting."""
        if self.folder is None:
            yield
            return
        lock = self._file(key, ".lock")
        with file_lock(lock, lambda: say("another streamtoon is building this engine: waiting for it")):
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
        """Removes a lock's file that nobody holds; whether nobody did."""
        try:
            with file_lock(lock, None), suppress(PermissionError):  # Windows removes no file that is open
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
    """What `load` makes of the plan: of the one kept, or, where there is none that loads, of one built now.

    `load` gives None for a plan that the library refuses; a kept one is then built anew. `say` is told in a
    sentence each of what a person may wonder at. Where nothing can be kept, the work goes on without.

    Raises EngineError where a plan just built does not load, and what `build` raises.
    """
    with _locked_or_not(cache, key, say):
        plan = cache.read(key)
        loaded = None if plan is None else load(plan)
        if loaded is not None:
            cache.used(key)
            return loaded
        if plan is not None:
            say("the kept engine does not load any more: it is built anew")
        plan, facts = build()
        loaded = load(plan)
        if loaded is None:
            raise EngineError("TensorRT does not load the engine that it has just built: reinstall it")
        try:
            cache.write(key, plan, facts)
        except OSError as error:
            say(_cannot_cache(cache, error))
        return loaded


@contextmanager
def _locked_or_not(cache: PlanCache, key: PlanKey, say: Report) -> Iterator[None]:
    """As `PlanCache.locked`; where the folder's disk has no locks or no room for one, without."""
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
        f"the engine cannot be kept in {cache.folder} ({error.strerror or error}): "
        "it is used now and built again next time"
    )


def _read_private(file: Path, most: int | None = None) -> bytes | None:
    """What is in a plain file that is the user's own and that nobody else can write; else None."""
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
    """A sidecar. Raises ValueError, TypeError or KeyError for anything else."""
    values = json.loads(text)
    if values["format"] != SIDECAR_FORMAT:
        raise ValueError("another format")
    if set(values["key"]) != {field.name for field in fields(PlanKey)}:
        raise ValueError("another key")
    key = PlanKey(**{name: str(value) for name, value in values["key"].items()})
    facts = {str(name): value for name, value in values["facts"].items()}
    if not all(isinstance(value, str | int | float) for value in facts.values()):
        raise TypeError("facts are texts and numbers")
    built = datetime.fromisoformat(values["built"])
    return PlanEntry(key, facts, int(values["size"]), str(values["sha256"]), built, used)
