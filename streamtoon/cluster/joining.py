"""Joining the segments of a video with its sound, while they arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from streamtoon.cluster.arrivals import Arrivals
from streamtoon.cluster.file_run import FileRun
from streamtoon.cluster.jobs import StretchResult
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.cluster.storage import local_target, size_of
from streamtoon.convert.reporting import report_of
from streamtoon.convert.video import Converted
from streamtoon.engine_holder import EngineHolder
from streamtoon.media.segments.segments import WARNINGS
from streamtoon.pipeline.run import STAGES, Outcome, Stage, StageTime
from streamtoon.reports import Report


def join_video(file: FileRun, arrivals: Arrivals) -> Report:
    """Write the output from the segments and the source's other streams, and remove the segments.

    Everything that costs time grows with the video, so it is done while later segments are drawn: at the end,
    only the last segments are left.

    Raises:
        MisfitError: Two segments do not fit together.
        UnfinishedError: The wait for segments was given up.
        InputError: The source cannot be read.
        OutputError: The output cannot be written.
        StorageError: Storage does not work.
    """
    job = file.job
    with local_target(job.target) as target:
        conversion = job.conversion(EngineHolder(), file.copies.path(job.source), target)
        with conversion.open_source() as source:
            trial = conversion.open_target(source)
            trial.abandon()
            written, said = conversion.join(arrivals, trial, None)
            info = source.original
    SegmentFolder(job.work).remove()
    warnings = (*trial.warnings, *json.loads(arrivals.facts()[WARNINGS]), *said)
    drawn = sum(result.drawn for result in file.results)
    assert file.engine is not None, "segments were drawn by an engine"
    done = Converted(
        info,
        written,
        Outcome(drawn, drawn, stage_times(file.results)),
        file.engine,
        sum(result.reused for result in file.results),
        sum(result.partly_reused for result in file.results),
        arrivals.frames - drawn,
        warnings,
    )
    return report_of(
        job.source,
        job.target,
        done,
        seconds=time.perf_counter() - file.began,
        chosen_fps=job.reading.fps,
        size_bytes=size_of(job.target),
    )


def stage_times(results: Sequence[StretchResult]) -> dict[Stage, StageTime]:
    """Return the mean time of each stage over all frames, and the largest 95th percentile of any task."""
    worked = [result for result in results if result.drawn]
    frames = sum(result.drawn for result in worked)
    return {
        stage: StageTime(
            round(sum(each.drawn * each.stage_ms[stage][0] for each in worked) / frames, 3),
            max(each.stage_ms[stage][1] for each in worked),
        )
        for stage in STAGES
        if worked
    }
