"""What the commands of `score` share: options, the scorer and the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.common.extras import install_line
from streamtoon.cli.common import TALK_PANEL, say, say_warnings
from streamtoon.errors import StreamtoonError

if TYPE_CHECKING:
    from eval.report.model import SweepPoint
    from eval.scoring.candidates import Candidate
    from eval.scoring.results import Score
    from eval.scoring.scorer import Scored, Scorer

DATA_PANEL = "Data"
NETWORK_PANEL = "Feature networks"

PhotosOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of photos; best not from any training data.", rich_help_panel=DATA_PANEL
    ),
]
CartoonsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of drawings in the target style.", rich_help_panel=DATA_PANEL),
]
MetricsOption = Annotated[
    str,
    typer.Option(
        metavar="A,B,...",
        help="Metrics, such as fid,kid,lpips. Default: all but cost, which times every engine.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Random seed.", rich_help_panel=DATA_PANEL)]
InceptionOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Weights of Inception for FID, KID and IS. Default: the published ones, downloaded once.",
        rich_help_panel=NETWORK_PANEL,
        show_default=False,
    ),
]
Vgg16Option = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Weights of VGG-16 for LPIPS. Default: torchvision's, downloaded once.",
        rich_help_panel=NETWORK_PANEL,
        show_default=False,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.html",
        help="Write an HTML report with images, plots and tables.",
        rich_help_panel=TALK_PANEL,
        show_default=False,
    ),
]
StyleToScore = Annotated[
    str | None,
    typer.Option(
        "--style",
        metavar="NAME|DIR",
        help="A style, with quality and precision after colons, such as comic:fast:int8.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]


@contextmanager
def needing_eval(what: str = "scoring") -> Iterator[None]:
    """Turn a missing package into a StreamtoonError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"{what} needs the package {error.name}; install it with: {install_line('eval')}"
        ) from error


@contextmanager
def scorer_for(
    photos: Path | None,
    cartoons: Path | None,
    metrics: str,
    seed: int,
    inception: Path | None,
    vgg16: Path | None,
    *,
    fakes: Mapping[str, Path] | None = None,
    report: Path | None = None,
) -> Iterator[Scorer]:
    """Open the scorer; check the options first, before any image is read. `fakes` are folders of results."""
    if report:
        require_report(report)
    with needing_eval():
        from eval.scoring.image_set import find_images, require_different
        from eval.scoring.scorer import Scorer

        named = {"--photos": photos, "--cartoons": cartoons, **(fakes or {})}
        require_different({option: folder for option, folder in named.items() if folder})
        with Scorer(
            photos=find_images(photos) if photos else None,
            cartoons=find_images(cartoons) if cartoons else None,
            metrics=split_names(metrics),
            inception=inception,
            vgg16=vgg16,
            seed=seed,
        ) as scorer:
            yield scorer


def split_names(metrics: str) -> list[str] | None:
    """Split a list at its commas; None if it is empty."""
    return [name.strip().lower() for name in metrics.split(",") if name.strip()] or None


def require_report(report: Path) -> None:
    """Check that the report can be written, before minutes are spent on it."""
    if report.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"--report {report} must end in .html")
    if not report.parent.is_dir():
        raise typer.BadParameter(f"--report: the folder {report.parent} does not exist")
    if report.is_dir() or not os.access(report.parent, os.W_OK):
        raise typer.BadParameter(f"--report {report} cannot be written; name another file")
    with needing_eval("a report"):
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401


@contextmanager
def ticks(name: str, unit: str, total: int | None, quiet: bool) -> Iterator[Callable[[], object] | None]:
    """Yield a function that advances a progress bar by one; None with `quiet`."""
    from streamtoon.cli.file_progress import counting

    with counting(name, unit, quiet=quiet) as count:
        if count is None:
            yield None
            return
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            count(done, total, "")

        yield tick


def look_at_drawings(scorer: Scorer, quiet: bool) -> None:
    """Compute the features of the drawings, with a progress bar."""
    if scorer.cartoons and scorer.plan.wants("features"):
        with ticks("drawings", "images", len(scorer.cartoons), quiet) as tick:
            scorer.see_drawings(tick)


def score_one(scorer: Scorer, candidate: Candidate, quiet: bool) -> Scored:
    """Score one candidate, with a progress bar."""
    with ticks(candidate.name, "images", len(scorer.paths(candidate)), quiet) as tick:
        return scorer.score(candidate, tick)


def show_scores(scores: Sequence[Score], tied: Mapping[str, frozenset[str]], report: Path | None) -> None:
    """Print the tables of scores."""
    from eval.report.summary import small_set_warning
    from streamtoon.cli.common import console
    from streamtoon.cli.tables.score import cost_table, left_out, score_table

    screen = console(stderr=False)
    screen.print(score_table(scores, tied))
    if sentence := small_set_warning(scores):
        say(sentence, stderr=False)
    costs = cost_table(scores)
    if costs:
        screen.print(costs)
    for line in left_out(scores):
        say(line, stderr=False)
    tell_report(report)


def tell_report(report: Path | None) -> None:
    """Print where the report is."""
    if report:
        say(f"report: {report}", stderr=False)


def tell_skipped(*scores: Score, as_json: bool) -> None:
    """Warn of skipped files, each once; a JSON object lists them itself."""
    if not as_json:
        skipped = dict.fromkeys(one for score in scores for one in score.images.skipped)
        say_warnings(tuple(f"skipped {one.path}: {one.reason}" for one in skipped))


def write_scores(
    report: Path,
    title: str,
    scores: Sequence[Score],
    scorer: Scorer,
    candidates: Sequence[Candidate],
    tied: Mapping[str, frozenset[str]],
    sweep: Sequence[SweepPoint] | None = None,
) -> None:
    """Write the report as one HTML file, with a few photos as each candidate draws them."""
    from eval.report.model import ScoreReport
    from eval.report.page import write_report
    from eval.scoring.candidates import UNTOUCHED
    from eval.scoring.examples import picture_rows
    from streamtoon.cli.tables.score import made_with

    rows = picture_rows(candidates, scorer.photos) if scorer.photos else []
    write_report(
        report,
        ScoreReport(
            title,
            scores,
            rows,
            sweep=sweep,
            made_with=made_with(),
            tied=tied,
            untouched=UNTOUCHED,
            asked=scorer.asked,
        ),
    )
