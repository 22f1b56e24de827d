"""A Ray cluster of several nodes on this machine, as Ray's own tests make it, in a process of its own.

python tests/support/ray_nodes.py NODES prints the address, then obeys the lines "lose" and "add".
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CPUS = 2
"""Of every node, as Ray counts them."""
PATIENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_gcs_server_port_wait_time_s": "300",
    "RAY_gcs_rpc_server_connect_timeout_s": "60",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    # Nodes that are lost are noticed within half a minute.
    "RAY_health_check_initial_delay_ms": "60000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "20000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray's settings, for machines on which other things run."""


class Nodes:
    """The nodes, seen from the test."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process, self.address = process, address

    def tell(self, command: str) -> None:
        """Obey one line, and return when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self.answer(self._process) == command

    @staticmethod
    def answer(process: subprocess.Popen[str]) -> str:
        """Return the next answer; Ray prints other lines, too."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("nodes: "):
                return line.removeprefix("nodes: ").strip()
        raise AssertionError("the cluster has ended")


@contextmanager
def ray_cluster(nodes: int) -> Iterator[Nodes]:
    """Start a cluster whose head runs no tasks."""
    os.environ.update(PATIENCE)
    line = [sys.executable, __file__, str(nodes)]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Nodes(process, Nodes.answer(process))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _serve(nodes: int) -> None:
    from ray.cluster_utils import Cluster

    settings: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **settings})
    running = [cluster.add_node(num_cpus=CPUS, **settings) for _ in range(nodes)]
    _say(cluster.address)
    for command in map(str.strip, sys.stdin):
        if command == "lose":
            cluster.remove_node(running.pop(), allow_graceful=False)
        else:
            running.append(cluster.add_node(num_cpus=CPUS, **settings))
        _say(command)
    cluster.shutdown()


def _say(text: str) -> None:
    sys.stdout.write(f"nodes: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
