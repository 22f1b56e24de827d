"""Apply one function to many files on all cores."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

import cv2

from engines.errors import StreamtoonError

Job = TypeVar("Job")
Result = TypeVar("Result")

MAX_JOBS_IN_PROCESS = 16
"""Jobs that run in this process before others are started."""


def parallel_map(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int | None = None
) -> Generator[tuple[Job, Result]]:
    """Yield (job, work(job)) of every job as it finishes, from `workers` processes (default: one per core).

    `work` must be importable, or a `functools.partial` of such a function. Its exceptions are raised here,
    and StreamtoonError if a process is killed. When the generator is closed or interrupted, running jobs
    finish first, so that files are written completely or not at all.
    """
    queue = iter(jobs)
    workers = os.cpu_count() or 1 if workers is None else workers
    first = list(islice(queue, MAX_JOBS_IN_PROCESS))
    if workers < 2 or len(first) < MAX_JOBS_IN_PROCESS:
        for job in (*first, *queue):
            yield job, work(job)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_settle)
    try:
        running: dict[Future[Result], Job] = {}
        with _uninterrupted():
            for job in first:
                running[pool.submit(work, job)] = job
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
            with _uninterrupted():
                for job in islice(queue, max(0, 4 * workers - len(running))):
                    running[pool.submit(work, job)] = job
    except BrokenProcessPool as error:
        raise StreamtoonError(
            "a worker process was killed, probably because memory ran out; try --workers 1"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _settle() -> None:
    """Set up a new process: one thread, since there is a process per core, and it ends when the parent says
    so.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block Ctrl-C: processes that start in this block never receive it, the parent does afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
