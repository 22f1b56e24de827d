"""What the dispatcher asks of workers, and workers that are threads of this process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from streamtoon.cluster.drawer import Drawer
from streamtoon.cluster.storage import StorageError
from streamtoon.errors import OutOfMemoryError, StreamtoonError

MAX_RETRIES = 3
"""Times that a task is tried again after a lost worker, failing storage or too little memory."""
RETRIED = (StorageError, OutOfMemoryError)
"""Errors that may pass. Any other one would be the same again."""


class WorkerLostError(StreamtoonError):
    """The workers that a task was given to ended, each time that it was tried."""


class Worker(Protocol):
    """Runs one task at a time: a method of its Drawer."""

    def call(self, method: str, *args: object) -> Future[Any]:
        """Begin a task, which is tried again after errors of RETRIED and lost workers, MAX_RETRIES times."""
        ...

    def drawn(self) -> Future[int]:
        """Ask for the frames drawn so far; also an answer to whether the worker is there."""
        ...

    def stop(self) -> None:
        """End the present task with its current segment."""


class Pool(Protocol):
    """The workers of a run. A context manager."""

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers, each at its place."""
        ...

    def error_of(self, error: BaseException) -> BaseException:
        """Return what a task raised, in this process's own terms."""
        ...

    def replace(self, number: int) -> None:
        """Start another worker in the place of one that no longer answers."""


class LocalWorker:
    """A Drawer in a thread of its own."""

    def __init__(self, device: str | None) -> None:
        self._drawer = Drawer(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="streamtoon-worker")

    def call(self, method: str, *args: object) -> Future[Any]:
        """As in Worker."""
        return self._thread.submit(self._call, method, *args)

    def drawn(self) -> Future[int]:
        """As in Worker."""
        answer: Future[int] = Future()
        answer.set_result(self._drawer.drawn)
        return answer

    def stop(self) -> None:
        """As in Worker."""
        self._drawer.stop()

    def close(self) -> None:
        """Wait for the current segment, and free the engine."""
        self._drawer.stop()
        self._thread.shutdown(cancel_futures=True)
        self._drawer.close()

    def _call(self, method: str, *args: object) -> Any:
        for _ in range(MAX_RETRIES):
            try:
                return getattr(self._drawer, method)(*args)
            except RETRIED:
                continue
        return getattr(self._drawer, method)(*args)


class LocalPool:
    """Workers on this machine, one for each of `devices`; None is the device that a job asks for."""

    def __init__(self, devices: Sequence[str | None]) -> None:
        self.workers = [LocalWorker(device) for device in devices]

    def error_of(self, error: BaseException) -> BaseException:
        """As in Pool."""
        return error

    def replace(self, number: int) -> None:
        """As in Pool: a thread of this process always answers."""
        raise AssertionError(f"worker {number} is a thread of this process")

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            worker.close()
