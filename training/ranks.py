"""The processes (ranks) that train one recipe together: who started them, and what each draws and shares.

The batch of a recipe is that of all ranks together, and item i of it belongs to rank i modulo the number of
ranks. All random numbers of a step are drawn for the whole batch by every rank, so n ranks see exactly the
numbers that one process would have drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore, init_process_group  # type: ignore[attr-defined]

LAUNCHER_VARIABLES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"}
"""What torchrun and Ray Train set in each process that they start."""


class LaunchedEnvironment(TorchElasticEnvironment):
    """The environment of processes that torchrun or Ray Train started."""

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Accept any distribution: Ray may start different numbers of processes on different nodes."""


def is_launched() -> bool:
    """Return whether torchrun or Ray Train started this process."""
    return os.environ.keys() >= LAUNCHER_VARIABLES


def join_restarted(backend: str) -> None:
    """Connect the processes that torchrun has started again on one machine.

    torchrun keeps its store of addresses when it restarts processes
    (https://github.com/pytorch/pytorch/issues/135712). A process could read the address of one that has
    ended, so each attempt gets keys of its own. Several machines may count attempts differently: torchrun
    has to make a new store there.

    Args:
        backend: gloo or nccl.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    keeps_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if attempt == "0" or not keeps_store or os.environ["GROUP_WORLD_SIZE"] != "1":
        return
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    init_process_group(
        backend,
        store=PrefixStore(f"attempt-{attempt}", store),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )


def local_ranks(fabric: Fabric) -> tuple[int, int]:
    """Return this process's number on its machine, from 0, and how many processes the machine has."""
    count = int(os.environ["LOCAL_WORLD_SIZE"]) if is_launched() else fabric.world_size
    return fabric.local_rank, count


class StepRandom:
    """The random numbers of one step, the same in every rank.

    Numbers that all items share come from `generator`. Numbers of single items come from `of_items`.
    """

    def __init__(self, seed: int, step: int, rank: int = 0, ranks: int = 1) -> None:
        self.generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        self._rank, self._ranks = rank, ranks

    def of_items(self, draw: Callable[[int, torch.Generator], Tensor], count: int) -> Tensor:
        """Return the rows of this rank's `count` items.

        `draw(n, generator)` makes n rows, and is called for the whole batch.
        """
        return self.own(draw(count * self._ranks, self.generator))

    def own(self, batch: Tensor) -> Tensor:
        """Return the rows of the whole batch that belong to this rank."""
        return batch[self._rank :: self._ranks]


def gather_batch(fabric: Fabric, items: Tensor) -> Tensor:
    """Return the whole batch, in its order, from the items of every rank; without gradient."""
    if fabric.world_size == 1:
        return items
    parts = cast(Tensor, fabric.all_gather(items))
    return parts.transpose(0, 1).flatten(0, 1)


def mean_of_ranks(fabric: Fabric, value: Tensor) -> Tensor:
    """Return the mean of a value over all ranks; without gradient."""
    if fabric.world_size == 1:
        return value
    return cast(Tensor, fabric.all_reduce(value, reduce_op="mean"))
