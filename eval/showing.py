"""A few photographs and what candidates make of them, for a report."""

from __future__ import annotations

from collections.abc import Sequence

from engines.picture_files import read_picture
from eval.candidates import Candidate
from eval.pictures import Pictures, evenly
from eval.report.model import PictureRow

ROWS = 10


def picture_rows(candidates: Sequence[Candidate], photos: Pictures) -> list[PictureRow]:
    """Photographs from all over the set, evenly, each with the result of every candidate."""
    paths = evenly(photos.paths, ROWS)
    results = {candidate.name: candidate.pictures(paths) for candidate in candidates}
    return [
        PictureRow(
            path.name, read_picture(path), {name: next(drawn).copy() for name, drawn in results.items()}
        )
        for path in paths
    ]
