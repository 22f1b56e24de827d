"""What it costs to spread a video over workers, measured by hand; the tables of docs/scaling.md.

python tests/support/cluster_costs.py video IN    serial processor seconds of one video: plan, join
python tests/support/cluster_costs.py ray         what a task costs that does nothing

Processor seconds hardly change with what else a machine does; milliseconds do, so medians are printed.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster_runs import job
from ray_nodes import ray_cluster

from streamtoon.cluster.drawer import Drawer
from streamtoon.cluster.file_run import FileRun
from streamtoon.cluster.jobs import EngineChoice, Stretch, StretchResult
from streamtoon.cluster.joining import join_video
from streamtoon.cluster.planning import plan
from streamtoon.cluster.storage import LocalCopies

ROUNDS = 5
TASKS = 200


def processor_s(work: Callable[[], object]) -> float:
    """Processor seconds of this process, all threads together."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    before = spent()
    work()
    return spent() - before


def video(source: Path) -> dict[str, float]:
    """Costs of the driver for one video. Its frames are not drawn, only coded: strength 0."""
    engine = EngineChoice("comic", quality="lite", strength=0)
    plans, joins = [], []
    with tempfile.TemporaryDirectory() as folder:
        it = job(source, Path(folder, "out.mp4"), engine=engine)
        copies, drawer = LocalCopies(), Drawer()
        found = plan(it, copies)
        like = drawer.open(it)
        results: list[StretchResult] = []
        coding = processor_s(
            lambda: results.extend(drawer.draw(it, stretch, like) for stretch in found.stretches)
        )
        file = FileRun(it, 1, engine=like)
        file.begin(found)
        for result in results:
            file.add(result)
        assert file.arrivals is not None
        arrivals = file.arrivals
        kept = shutil.copytree(it.work, Path(folder, "kept"))
        coded = sum(path.stat().st_size for path in kept.iterdir())
        for _ in range(ROUNDS):
            plans.append(processor_s(lambda: plan(it, copies)))
            joins.append(processor_s(lambda: join_video(file, arrivals)))
            Path(it.target).unlink()
            shutil.copytree(kept, it.work)
        lead = _lead_in(source, found.stretches)
        drawer.close()
    assert found.frames is not None
    seconds = found.frames / _rate(source)
    return {
        "seconds of video": round(seconds, 1),
        "segments": found.segments,
        "decoding and coding, ms per frame": round(1000 * coding / found.frames, 2),
        "bytes per frame, coded": round(coded / found.frames),
        "plan, s": round(statistics.median(plans), 3),
        "join, s": round(statistics.median(joins), 3),
        "opening and seeking, s per stretch": round(lead, 3),
    }


def _lead_in(source: Path, stretches: Sequence[Stretch]) -> float:
    """Processor seconds to open the source and come to the first frame of a stretch; the median."""
    from streamtoon.media import VideoReader

    spent = []
    for stretch in stretches[1:]:

        def come(stretch: Stretch = stretch) -> None:
            with VideoReader(source) as reader:
                assert reader.skip_to(stretch.frames_before, stretch.pts, None)

        spent.append(processor_s(come))
    return statistics.median(spent)


def _rate(source: Path) -> float:
    from streamtoon.media import VideoReader

    with VideoReader(source) as reader:
        return float(reader.info.rate)


def ray() -> dict[str, float]:
    """The cost of a task that does nothing, on a node that is otherwise idle."""
    with ray_cluster(1) as cluster:
        from streamtoon.cluster.ray_pool import RayPool

        with RayPool(cluster.address, ["num_cpus=2"], 1) as pool:
            (worker,) = pool.workers
            worker.drawn().result()
            spent: list[float] = []

            def ask() -> None:
                for _ in range(TASKS):
                    began = time.perf_counter()
                    worker.drawn().result()
                    spent.append(1000 * (time.perf_counter() - began))

            busy = processor_s(ask)
    return {
        "driver's processor, ms per task": round(1000 * busy / TASKS, 2),
        "median of a task, ms": round(statistics.median(spent), 2),
        "fastest task, ms": round(min(spent), 2),
    }


if __name__ == "__main__":
    answer = video(Path(sys.argv[2])) if sys.argv[1] == "video" else ray()
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
