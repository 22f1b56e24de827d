"""A Ray cluster of two nodes on this machine, one of which is killed while tasks run: OUT-FOLDER JOBS.

Prints the results as JSON, in the order in which they came.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from training.ray_cluster import ray_cluster, ray_map

AFTER_RESULTS = 3
"""When the second node is killed."""


class Square:
    """A slow square; every try leaves a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, job: int) -> int:
        (self._folder / f"{job}-{time.time_ns()}").touch()
        time.sleep(2)
        return job * job


def main(folder: Path, jobs: int) -> None:
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    results = []
    with ray_cluster("auto"):
        for job, result in ray_map(Square(folder), range(jobs)):
            results.append((job, result))
            if len(results) == AFTER_RESULTS:
                cluster.remove_node(second, allow_graceful=False)
    sys.stdout.write(json.dumps(results) + "\n")
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
