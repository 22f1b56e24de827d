"""Workers that are Ray actors. Ray places and restarts them, and its policies retry their tasks.

Only jobs, facts and reports go through Ray. Frames and segments go through shared storage.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engines.common.extras import install_line
from streamtoon import __version__
from streamtoon.cluster.drawer import Drawer
from streamtoon.cluster.pool import MAX_RETRIES, RETRIED, WorkerLostError
from streamtoon.errors import EngineError

NAMESPACE = "streamtoon"


def load_ray() -> Any:
    """Return the package ray. Raises EngineError with the line that installs it."""
    # Else a cluster that is started here reports its use. A value that the user has set stays.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise EngineError(f"--ray needs Ray: {install_line('ray')}") from error
    return ray


WORKER_CPUS = 8
"""CPU cores of a worker without a GPU, unless it is told: more do not make one engine much faster."""


class AddressError(EngineError):
    """There is no Ray cluster at the address."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one worker needs, in Ray's terms."""

    num_cpus: float
    num_gpus: float = 0.0
    resources: dict[str, float] = field(default_factory=dict)
    """Amounts of the cluster's own resources."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels that a node must have, such as ray.io/accelerator-type=H100."""

    @classmethod
    def parse(cls, texts: Sequence[str], *, has_gpu: bool = False, node_cpus: float = 1.0) -> Needs:
        """Read texts such as num_cpus=4, num_gpus=1, NAME=AMOUNT and label:KEY=VALUE.

        Args:
            texts: The needs. Of a name that is given twice, the last one counts.
            has_gpu: Whether the cluster has GPUs. A worker then needs one if the texts do not say.
            node_cpus: CPU cores of the smallest node. A worker without a GPU needs all of them, but no more
                than WORKER_CPUS, if the texts do not say.

        Raises:
            ValueError: A text has another form, or an amount is no positive number.
        """
        amounts: dict[str, float] = {}
        labels: dict[str, str] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not (equals and name.removeprefix("label:") and value):
                raise ValueError(
                    f"{text!r} is not valid; use NAME=AMOUNT, such as num_cpus=4, or label:KEY=VALUE"
                )
            if name.startswith("label:"):
                labels[name.removeprefix("label:")] = value
                continue
            try:
                amounts[name] = float(value)
            except ValueError as error:
                raise ValueError(f"the amount in {text!r} is not a number") from error
            if not 0 <= amounts[name] < float("inf"):
                raise ValueError(f"the amount in {text!r} must be 0 or more")
        gpus = amounts.pop("num_gpus", 1.0 if has_gpu else 0.0)
        cpus = 1.0 if gpus else min(float(WORKER_CPUS), node_cpus)
        return cls(amounts.pop("num_cpus", cpus), gpus, amounts, labels)

    def options(self) -> dict[str, Any]:
        """Return the options of an actor."""
        options: dict[str, Any] = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        if self.resources:
            options["resources"] = self.resources
        if self.labels:
            options["label_selector"] = self.labels
        return options

    def room(self, resources: dict[str, float]) -> int:
        """Return how many workers fit into a cluster with these resources in total, at least 1."""
        asked = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}
        counts = [int(resources.get(name, 0) / amount) for name, amount in asked.items() if amount]
        return max(1, min(counts, default=1))


class _Actor:
    """The process of one worker. Two threads: one draws, one answers."""

    def __init__(self, version: str) -> None:
        if version != __version__:
            raise EngineError(f"this node has streamtoon {__version__}, but the driver has {version}")
        self._drawer = Drawer()

    def work(self, method: str, *args: object) -> Any:
        """Run a method of the Drawer."""
        return getattr(self._drawer, method)(*args)

    def drawn(self) -> int:
        """Return the number of frames drawn in this process."""
        return self._drawer.drawn

    def stop(self) -> None:
        """End the present task with its current segment."""
        self._drawer.stop()


class RayWorker:
    """A worker that is an actor."""

    def __init__(self, ray: Any, needs: Needs) -> None:
        self._ray, self._needs = ray, needs
        self._actor = self._start()

    def call(self, method: str, *args: object) -> Future[Any]:
        """As in Worker."""
        policy = {"max_task_retries": MAX_RETRIES, "retry_exceptions": list(RETRIED)}
        reference = self._actor.work.options(**policy, concurrency_group="work").remote(method, *args)
        found: Future[Any] = reference.future()
        return found

    def drawn(self) -> Future[int]:
        """As in Worker."""
        found: Future[int] = self._actor.drawn.options(concurrency_group="answers").remote().future()
        return found

    def stop(self) -> None:
        """As in Worker."""
        self._actor.stop.options(concurrency_group="answers").remote()

    def replace(self) -> None:
        """End the actor and start another one, which Ray places as soon as there is room for it."""
        self.close()
        self._actor = self._start()

    def close(self) -> None:
        """End the actor."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    def _start(self) -> Any:
        # Restarts have no bound, because nodes come and go for as long as a run takes. Tasks have one.
        kind = self._ray.remote(concurrency_groups={"work": 1, "answers": 1}, max_restarts=-1)(_Actor)
        return kind.options(**self._needs.options()).remote(__version__)


class RayPool:
    """The workers of a Ray cluster. A context manager, which disconnects from the cluster at its end.

    Args:
        address: "local" for a cluster of this machine that is started here, "auto" for the one that runs on
            this machine, or ray://HOST:PORT.
        needs: What one worker needs, as `Needs.parse` reads it.
        count: Number of workers; None for as many as the cluster has room for now.

    Raises:
        AddressError: There is no cluster at the address.
        ValueError: A need has another form.
    """

    def __init__(self, address: str, needs: Sequence[str], count: int | None) -> None:
        Needs.parse(needs)  # before a cluster is started
        ray = self._ray = load_ray()
        options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        options |= {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # tips on Ray's own plans
                ray.init(address=address, **options)
        except (ray.exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise AddressError(f"no Ray cluster answers at {address}: {reason}") from error
        resources = ray.cluster_resources()
        cpus = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
        one = Needs.parse(
            needs, has_gpu=bool(resources.get("GPU")), node_cpus=min((n for n in cpus if n), default=1.0)
        )
        self.workers = [RayWorker(ray, one) for _ in range(count or one.room(resources))]

    def error_of(self, error: BaseException) -> BaseException:
        """As in Pool."""
        if isinstance(error, self._ray.exceptions.RayTaskError):
            cause: BaseException = error.cause
            return cause
        if isinstance(error, self._ray.exceptions.RayActorError):
            reason = str(error).partition("\n")[0].rstrip(".")
            return WorkerLostError(f"{1 + MAX_RETRIES} workers ended while they had this task: {reason}")
        return error

    def replace(self, number: int) -> None:
        """As in Pool."""
        self.workers[number].replace()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.close()
        self._ray.shutdown()
