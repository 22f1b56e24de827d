"""What was published of the generators that a benchmark times by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from eval.bench.results import Bench
from eval.report.published import published

WIDTH, HEIGHT = 1280, 720
NAMES = {"AnimeGAN": "animegan", "CartoonGAN": "cartoongan", "CycleGAN": "cyclegan", "Ours": "unet"}
"""As Le, Bui and Phan's Table 1 has them -> generators."""


def published_ms(bench: Bench) -> Mapping[str, float]:
    """Milliseconds of a picture by generator, where they were timed at the size of that table, else nothing.

    On what GPU is not said.
    """
    if {(row.width, row.height) for row in bench.networks} != {(WIDTH, HEIGHT)}:
        return {}
    (table,) = (one for one in published() if (one.short, one.where) == ("FPT", "Table 1"))
    return {NAMES[row.name]: float(row.values["milliseconds"]) for row in table.rows}
