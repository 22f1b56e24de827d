"""Optimizers, their learning rates over a run, and gradients averaged over processes."""

from __future__ import annotations

import math
from typing import TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import nn

from training.recipe import Optimizer

WARMUP_STEPS = 100
"""Steps in which the cosine schedule reaches its rate."""

Network = TypeVar("Network", bound=nn.Module)


def to_device(network: Network, device: torch.device) -> Network:
    """Move the network to the device in channels-last layout, the fastest for convolutions on CPUs and
    GPUs.
    """
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def make_optimizer(
    settings: Optimizer, network: nn.Module, rate: float, fabric: Fabric
) -> torch.optim.Optimizer:
    """Return Adam or stochastic gradient descent for the network's weights, set up for fabric's precision."""
    optimizer: torch.optim.Optimizer
    if settings.name == "adam":
        optimizer = torch.optim.Adam(network.parameters(), lr=rate, betas=settings.betas)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    return cast(torch.optim.Optimizer, fabric.setup_optimizers(optimizer))


def rate_share(settings: Optimizer, step: int, steps: int) -> float:
    """Return the share of the learning rate at `step` of `steps`, counted from 0.

    The warm-up of the cosine is for Adam, whose first steps have the length of the rate however small the
    gradient is. They would disturb a generator that starts as the identity.
    """
    if settings.schedule == "linear":
        return min(1.0, 2 * (1 - step / steps))
    if settings.schedule == "cosine":
        return (0.55 + 0.45 * math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / WARMUP_STEPS)
    return 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all weights."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def average_gradients(fabric: Fabric, network: nn.Module) -> None:
    """Replace the gradients of every process by their mean over all processes, in one exchange.

    DistributedDataParallel does this for a network with one forward and one backward pass per step. Here, a
    network may run several times before its step, or without one.
    """
    if fabric.world_size == 1:
        return
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    shared = cast(torch.Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    parts = torch.split(shared, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
