"""`streamtoon score`: metrics of styles, checkpoints, engines and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtoon.cli.commands import Commands
from streamtoon.cli.common import JsonOption, QuietOption, print_json, say
from streamtoon.cli.score_fields import score_fields
from streamtoon.cli.score_shared import (
    DATA_PANEL,
    CartoonsOption,
    InceptionOption,
    MetricsOption,
    PhotosOption,
    ReportOption,
    SeedOption,
    StyleToScore,
    Vgg16Option,
    look_at_drawings,
    needing_eval,
    require_report,
    score_one,
    scorer_for,
    show_scores,
    tell_report,
    tell_skipped,
    ticks,
    write_scores,
)
from streamtoon.errors import StreamtoonError

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon score images --style comic --photos photos/ --cartoons drawings/
streamtoon score images --fake results/ --photos photos/ --cartoons drawings/ --metrics kid,lpips
streamtoon score compare comic comic:int8 results/ --photos photos/ --cartoons drawings/ --report report.html
streamtoon score sweep runs/my-style --photos photos/ --cartoons drawings/ --report sweep.html
streamtoon score video --fake cartoon.mp4 --source film.mp4
streamtoon score fields --style comic --photos photos/
"""


def _examples(command: str) -> str:
    """Return the examples of one command."""
    heading, lines = EXAMPLES.splitlines()[:2], EXAMPLES.splitlines()[2:]
    return "\n".join([*heading, *(line for line in lines if line.split()[2:3] == [command])])


score = Commands(no_args_is_help=True, help="Score a style, the checkpoints of a run, or a finished video.",
                    epilog=EXAMPLES)  # fmt: skip


@score.command("images", epilog=_examples("images"))
def score_images(
    style: StyleToScore = None,
    fake: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of finished images instead, with the names of their photos.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    photos: PhotosOption = None,
    cartoons: CartoonsOption = None,
    back: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Backward generator of a run (back-*.safetensors), for the round-trip metrics.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    metrics: MetricsOption = "",
    seed: SeedOption = 0,
    inception: InceptionOption = None,
    vgg16: Vgg16Option = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score a style, or a folder of finished images."""
    if (style is None) == (fake is None):
        raise typer.BadParameter("use either --style or --fake")
    fakes = {"--fake": fake} if fake else {}
    with scorer_for(photos, cartoons, metrics, seed, inception, vgg16, fakes=fakes, report=report) as scorer:
        from eval.scoring.candidates import Finished, open_candidate
        from eval.scoring.checkpoints import open_generator

        with Finished(str(fake), fake) if fake else open_candidate(str(style)) as candidate:
            if back:
                candidate.back = open_generator(back)
            if not scorer.plan.names and candidate.style is None:
                raise typer.BadParameter(f"{candidate.name} is not a style: there is no cost to measure")
            scorer.check_candidate(candidate)
            look_at_drawings(scorer, quiet)
            scored = score_one(scorer, candidate, quiet)
            tell_skipped(scored.score, as_json=as_json)
            if report:
                write_scores(report, f"Score of {candidate.name}", [scored.score], scorer, [candidate], {})
        if as_json:
            from streamtoon.cli.tables.score import as_dict

            print_json(as_dict(scored.score))
        else:
            show_scores([scored.score], {}, report)


@score.command("compare", epilog=_examples("compare"))
def score_compare(
    candidates: Annotated[
        list[str],
        typer.Argument(
            metavar="A B ...",
            help="Styles (comic, comic:int8, a folder), folders of finished images, opencv-stylization or "
            "opencv-edge-preserving.",
        ),
    ],
    photos: PhotosOption = None,
    cartoons: CartoonsOption = None,
    metrics: MetricsOption = "",
    seed: SeedOption = 0,
    inception: InceptionOption = None,
    vgg16: Vgg16Option = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare several styles or folders in one table, with 95 % intervals and the photos as a baseline."""
    if len(set(candidates)) < len(candidates):
        raise typer.BadParameter("the same candidate is named twice")
    if photos is None:
        raise typer.BadParameter("compare needs --photos")
    fakes = {name: Path(name) for name in candidates if Path(name).is_dir()}
    with scorer_for(photos, cartoons, metrics, seed, inception, vgg16, fakes=fakes, report=report) as scorer:
        from eval.scoring.candidates import open_candidate, untouched
        from eval.scoring.comparison import compare_scores

        if scorer.plan.strict and scorer.plan.wants("round trip"):
            raise typer.BadParameter("compare has no round-trip metrics; use score images or score sweep")

        opened = [untouched(), *map(open_candidate, candidates)]
        try:
            for candidate in opened:
                scorer.check_candidate(candidate)
            look_at_drawings(scorer, quiet)
            scored = [score_one(scorer, candidate, quiet) for candidate in opened]
            with ticks("intervals", "candidates", len(scored), quiet) as tick:
                compared = compare_scores(scored, scorer, tick)
            tell_skipped(*compared.scores, as_json=as_json)
            if report:
                title = ", ".join(candidates)
                write_scores(report, title, compared.scores, scorer, opened[1:], compared.tied)
        finally:
            for candidate in opened:
                candidate.close()
        if as_json:
            from streamtoon.cli.tables.score import as_dict

            tied = {name: sorted(names) for name, names in compared.tied.items()}
            print_json({"candidates": [as_dict(one, named=True) for one in compared.scores], "tied": tied})
        else:
            show_scores(compared.scores, compared.tied, report)


@score.command("sweep", epilog=_examples("sweep"))
def score_sweep(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    photos: PhotosOption = None,
    cartoons: CartoonsOption = None,
    metrics: MetricsOption = "",
    seed: SeedOption = 0,
    inception: InceptionOption = None,
    vgg16: Vgg16Option = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score every checkpoint of a training run, and name the best."""
    if photos is None:
        raise typer.BadParameter("sweep needs --photos")
    with scorer_for(photos, cartoons, metrics, seed, inception, vgg16, report=report) as scorer:
        from eval.report.summary import small_set_warning
        from eval.scoring.checkpoints import find_checkpoints
        from eval.scoring.metric_registry import deciding_metric
        from eval.scoring.sweep import sweep
        from streamtoon.cli.tables.score import as_dict, sweep_table

        checkpoints = find_checkpoints(run)
        if deciding_metric([scorer.plan.names], scorer.asked) is None:
            raise typer.BadParameter("sweep needs a metric that ranks checkpoints, such as kid or ssim")
        look_at_drawings(scorer, quiet)
        assert scorer.photos
        total = len(checkpoints) * len(scorer.photos)
        with ticks(f"{len(checkpoints)} checkpoints", "images", total, quiet) as tick:
            points, scores = sweep(checkpoints, scorer, tick)
        by = deciding_metric((one.metrics for one in scores), scorer.asked)
        if by is None:
            raise StreamtoonError("no metric could be computed to rank the checkpoints; add images")
        best = next(i for i, point in enumerate(points) if by in point.best_for)
        tell_skipped(*scores, as_json=as_json)
        if report:
            with checkpoints[best].open() as candidate:
                title = f"{run.name}: {len(points)} checkpoints"
                write_scores(report, title, [], scorer, [candidate], {}, points)
        if as_json:
            rows = [
                {"file": str(c.path), "step": c.step, "epoch": c.epoch, **as_dict(one)}
                for c, one in zip(checkpoints, scores, strict=True)
            ]
            print_json({"best": str(checkpoints[best].path), "by": by, "checkpoints": rows})
        else:
            from streamtoon.cli.common import console

            console(stderr=False).print(sweep_table(points))
            if sentence := small_set_warning(scores):
                say(sentence, stderr=False)
            say(f"best by {by}: {checkpoints[best].path}", stderr=False)
            tell_report(report)


@score.command("video", epilog=_examples("video"))
def score_video(
    source: Annotated[
        Path, typer.Option(metavar="FILE", help="The original video.", rich_help_panel=DATA_PANEL)
    ],
    style: StyleToScore = None,
    fake: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The finished video instead of a style.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score the flicker and sharpness of a video against its source."""
    if (style is None) == (fake is None):
        raise typer.BadParameter("use either --style or --fake")
    if fake and fake.resolve() == source.resolve():
        raise typer.BadParameter("--source and --fake are the same video")
    if report:
        require_report(report)
    from streamtoon.tools.score_video import score_video as run
    from streamtoon.tools.score_video import total_of

    with needing_eval(), ticks(str(fake or style), "images", total_of(source), quiet) as tick:
        film, pictures = run(source, fake=fake, style=style, keep=4 if report else 0, tick=tick)
    if report:
        from eval.report.model import ScoreReport
        from eval.report.page import write_report
        from streamtoon.cli.tables.score import made_with

        title = f"{fake or style} and {source}"
        facts = {**film.protocol, **made_with()}
        write_report(report, ScoreReport(title, pictures=pictures, film=film.metrics, made_with=facts))
    if as_json:
        images = {"used": film.frames, "pairs": film.pairs, "cuts": film.cuts, "skipped": []}
        print_json({"metrics": film.metrics, "protocol": film.protocol, "images": images})
    else:
        from streamtoon.cli.common import console
        from streamtoon.cli.tables.score import film_table

        console(stderr=False).print(film_table(film))
        tell_report(report)


score.command("fields", epilog=_examples("fields"))(score_fields)
