"""Published times of the generators that a benchmark times alone."""

from __future__ import annotations

from collections.abc import Mapping

from eval.bench.results import Bench
from eval.report.published import published

WIDTH, HEIGHT = 1280, 720
NAMES = {"AnimeGAN": "animegan", "CartoonGAN": "cartoongan", "CycleGAN": "cyclegan", "Ours": "unet"}
"""Name in Table 1 of Le, Bui and Phan -> generator."""


def published_ms(bench: Bench) -> Mapping[str, float]:
    """Return the published milliseconds per image by generator.

    It is empty unless the generators were timed at the size of that table. The table does not name its GPU.
    """
    if {(row.width, row.height) for row in bench.networks} != {(WIDTH, HEIGHT)}:
        return {}
    (table,) = (one for one in published() if (one.short, one.where) == ("FPT", "Table 1"))
    return {NAMES[row.name]: float(row.values["milliseconds"]) for row in table.rows}
