"""Ray: the connection to a cluster, its tasks over many files, and its training workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from engines.common.extras import install_line
from engines.errors import StreamtoonError

Job = TypeVar("Job")
Result = TypeVar("Result")

MAX_TASK_RETRIES = 3
"""How often Ray repeats a task whose worker or node was lost."""
MAX_WORKER_FAILURES = 3
"""How often Ray starts the training workers again."""
TASKS_PER_CPU = 2
"""Tasks that wait or run at the same time, per CPU of the cluster."""


@contextmanager
def ray_cluster(address: str) -> Iterator[None]:
    """Connect to a cluster, or use the connection that there is.

    Args:
        address: `local` starts a cluster on this machine, `auto` finds the one that this machine belongs to,
            and `ray://HOST:PORT` is a remote one.

    Raises:
        StreamtoonError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise StreamtoonError(f"--ray needs Ray; install it with: {install_line('ray')}") from error
    if ray.is_initialized():
        yield
        return
    try:
        dashboard = False if address == "local" else None
        ray.init(address, include_dashboard=dashboard, logging_level=logging.WARNING)
    except Exception as error:  # Ray raises its base class where a node does not start in time
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        advice = "start one with `ray start --head`, or use --ray local"
        if address == "local":
            advice = "this machine may be too busy; try again, or use --ray auto with a running cluster"
        raise StreamtoonError(f"no Ray cluster answers at {address} ({reason}); {advice}") from error
    try:
        yield
    finally:
        ray.shutdown()


def cluster_devices() -> tuple[int, int]:
    """Return how many CPUs and GPUs the connected cluster has."""
    import ray

    resources = ray.cluster_resources()
    return int(resources.get("CPU", 0)), int(resources.get("GPU", 0))


def ray_map(work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
    """Yield (job, work(job)) as Ray's tasks finish, one CPU each.

    The cluster runs a bounded number of tasks at a time. Whatever `work` raises is raised here. A task whose
    worker or node is lost runs again, at most MAX_TASK_RETRIES times, so `work` must bear to be repeated.
    Closing the iterator cancels what is left.

    Raises StreamtoonError when a task is lost more often than that.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    task: Any = ray.remote(num_cpus=1, max_retries=MAX_TASK_RETRIES)(work_on_one_core)
    queue = iter(jobs)
    running: dict[ray.ObjectRef[Any], Job] = {}
    shared_work = ray.put(work)
    try:
        while True:
            limit = max(1, int(TASKS_PER_CPU * ray.cluster_resources().get("CPU", 1)))
            for job in islice(queue, max(0, limit - len(running))):
                running[task.remote(shared_work, job)] = job
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                job = running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    raise error.cause from None
                except RayError as error:
                    raise StreamtoonError(
                        f"Ray lost the work on {job} {MAX_TASK_RETRIES + 1} times ({type(error).__name__})"
                    ) from error
                yield job, result
    finally:
        for reference in running:
            ray.cancel(reference)


def work_on_one_core(work: Callable[[Job], Result], job: Job) -> Result:
    """Return `work(job)` with OpenCV on one thread, since Ray runs a task for every core."""
    import cv2

    cv2.setNumThreads(1)
    return work(job)


def ray_train(work: Callable[[], None], run: Path, *, workers: int, gpus: bool) -> None:
    """Run `work` in each of Ray Train's workers, which share a process group, and wait for them.

    When a worker or a node is lost, Ray starts all workers again, at most MAX_WORKER_FAILURES times. `work`
    must then continue from what it has saved.

    Args:
        work: A picklable function.
        run: The run's folder, on storage that all nodes have. Ray keeps its own records in `run/ray`.
        workers: The number of workers.
        gpus: Whether each worker gets a GPU.

    Raises:
        StreamtoonError: `work` failed in one of the workers.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError, WorkerGroupError
    from ray.train.torch import TorchTrainer

    trainer = TorchTrainer(
        work,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus),
        run_config=RunConfig(
            name="ray",
            storage_path=str(run.resolve()),
            failure_config=FailureConfig(max_failures=MAX_WORKER_FAILURES),
        ),
    )
    try:
        trainer.fit()
    except WorkerGroupError as error:
        first = min(error.worker_failures)
        reason = error.worker_failures[first]
        raise StreamtoonError(f"worker {first}: {reason}") from error
    except TrainingFailedError as error:
        raise StreamtoonError(str(error)) from error
