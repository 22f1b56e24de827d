"""What the commands of `score` share: their options, and the way from options to a scorer and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import TALK_PANEL, say, say_warnings
from streamtoon.errors import StreamtoonError

if TYPE_CHECKING:
    from eval.candidates import Candidate
    from eval.report.model import SweepPoint
    from eval.results import Score
    from eval.scoring import Scored, Scorer

DATA_PANEL = "What is compared"
NETWORK_PANEL = "The networks that look"

PhotosOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Photos that nothing was trained on.", rich_help_panel=DATA_PANEL),
]
CartoonsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Drawings to be near to.", rich_help_panel=DATA_PANEL),
]
MetricsOption = Annotated[
    str,
    typer.Option(
        metavar="A,B,...",
        help="Only these, such as fid,kid,lpips,cost; else all that can be had.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]
SeedOption = Annotated[
    int, typer.Option(metavar="N", min=0, help="Of everything drawn by lot.", rich_help_panel=DATA_PANEL)
]
InceptionOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Inception's weights for FID, KID and IS; else the published ones are fetched once.",
        rich_help_panel=NETWORK_PANEL,
        show_default=False,
    ),
]
Vgg16Option = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="VGG-16's weights for LPIPS; else torchvision's are fetched once.",
        rich_help_panel=NETWORK_PANEL,
        show_default=False,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.html",
        help="Write one HTML file with pictures, plots and tables.",
        rich_help_panel=TALK_PANEL,
        show_default=False,
    ),
]
StyleToScore = Annotated[
    str | None,
    typer.Option(
        "--style",
        metavar="NAME|DIR",
        help="A style; behind a colon what it runs on, such as comic:fast:int8.",
        rich_help_panel=DATA_PANEL,
        show_default=False,
    ),
]


@contextmanager
def needing_eval() -> Iterator[None]:
    """A missing package is one sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"scoring needs the package {error.name}; install it with: pip install 'streamtoon[eval]'"
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
    """The scorer, after what can be told before any picture is read: `fakes` are folders of results."""
    if report:
        demand_report(report)
    with needing_eval():
        from eval.pictures import demand_different, find_pictures
        from eval.scoring import Scorer

        named = {"--photos": photos, "--cartoons": cartoons, **(fakes or {})}
        demand_different({option: folder for option, folder in named.items() if folder})
        with Scorer(
            photos=find_pictures(photos) if photos else None,
            cartoons=find_pictures(cartoons) if cartoons else None,
            metrics=split_names(metrics),
            inception=inception,
            vgg16=vgg16,
            seed=seed,
        ) as scorer:
            yield scorer


def split_names(metrics: str) -> list[str] | None:
    """The names in a list with commas; None where it is empty."""
    return [name.strip().lower() for name in metrics.split(",") if name.strip()] or None


def demand_report(report: Path) -> None:
    """The report must have a place, and what writes it, before minutes are spent on it."""
    if report.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"{report} is no name for a report; let it end in .html")
    if not report.parent.is_dir():
        raise typer.BadParameter(f"the report's folder {report.parent} is not there")
    if report.is_dir() or not os.access(report.parent, os.W_OK):
        raise typer.BadParameter(f"{report} cannot be written; name another file")
    with needing_eval():
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401


@contextmanager
def ticks(name: str, unit: str, total: int | None, quiet: bool) -> Iterator[Callable[[], object] | None]:
    """A progress bar to be ticked."""
    from streamtoon.cli.counting import counting

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
    """Their features, with a progress bar of their own."""
    if scorer.cartoons and scorer.plan.wants("features"):
        with ticks("drawings", "pictures", len(scorer.cartoons), quiet) as tick:
            scorer.look(tick)


def score_one(scorer: Scorer, candidate: Candidate, quiet: bool) -> Scored:
    """One candidate's score, with a progress bar."""
    with ticks(candidate.name, "pictures", len(scorer.paths(candidate)), quiet) as tick:
        return scorer.score(candidate, tick)


def show_scores(scores: Sequence[Score], tied: Mapping[str, frozenset[str]], report: Path | None) -> None:
    """The tables in the terminal."""
    from streamtoon.cli.common import console
    from streamtoon.cli.score_tables import cost_table, left_out, score_table

    screen = console(stderr=False)
    screen.print(score_table(scores, tied))
    costs = cost_table(scores)
    if costs:
        screen.print(costs)
    for line in left_out(scores):
        say(line, stderr=False)
    tell_report(report)


def tell_report(report: Path | None) -> None:
    """Where the report is."""
    if report:
        say(f"report: {report}", stderr=False)


def tell_skipped(*scores: Score, as_json: bool) -> None:
    """Which files were left out, each once; a JSON object says so itself."""
    if not as_json:
        skipped = dict.fromkeys(one for score in scores for one in score.images.skipped)
        say_warnings(tuple(f"{one.path} is left out: {one.reason}" for one in skipped))


def write_scores(
    report: Path,
    title: str,
    scores: Sequence[Score],
    scorer: Scorer,
    candidates: Sequence[Candidate],
    tied: Mapping[str, frozenset[str]],
    sweep: Sequence[SweepPoint] | None = None,
) -> None:
    """The report as one HTML file, with a few of the photos as the candidates draw them."""
    from eval.candidates import UNTOUCHED
    from eval.report.model import Report
    from eval.report.page import write_report
    from eval.showing import picture_rows
    from streamtoon.cli.score_tables import made_with

    rows = picture_rows(candidates, scorer.photos) if scorer.photos else []
    write_report(
        report,
        Report(
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
