"""Example photographs with the results of all candidates, for a report."""

from __future__ import annotations

from collections.abc import Sequence

from engines.common.image_files import read_image
from eval.report.model import PictureRow
from eval.scoring.candidates import Candidate
from eval.scoring.image_set import ImageSet, sample_evenly

MAX_ROWS = 10


def picture_rows(candidates: Sequence[Candidate], photos: ImageSet) -> list[PictureRow]:
    """Return evenly spaced photographs of the set, each with the result of every candidate."""
    paths = sample_evenly(photos.paths, MAX_ROWS)
    results = {candidate.name: candidate.pictures(paths) for candidate in candidates}
    return [
        PictureRow(path.name, read_image(path), {name: next(drawn).copy() for name, drawn in results.items()})
        for path in paths
    ]
