"""`streamtoon bench`: how fast this machine is, what is left of it, and what moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import (
    ENGINE_PANEL,
    STYLE_PANEL,
    TALK_PANEL,
    JsonOption,
    print_json,
    say,
    say_warnings,
)
from streamtoon.cli.score_shared import ReportOption, demand_report, needing_eval, tell_report

if TYPE_CHECKING:
    from engines.picture_files import Image
    from eval.bench.against import Earlier, Moved
    from eval.bench.looks import StyleLooks
    from eval.bench.results import Bench
    from streamtoon.benchmark_plan import Plan

BESIDE_PANEL = "Beside"

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon bench
streamtoon bench --sizes 360p,720p,1080p,4k --report bench.html
streamtoon bench --photos holiday/ --report bench.html
streamtoon bench --engines openvino:int8,openvino:bf16,onnxruntime --quality fast
streamtoon bench --networks unet,animegan,cartoongan,cyclegan
streamtoon bench --peers generators/ --json > today.json
streamtoon bench --against yesterday.json --threshold 15
"""


def bench(
    styles: Annotated[
        str,
        typer.Option(
            "--styles",
            metavar="A,B,...",
            help="Shipped styles or folders; else the default style.",
            rich_help_panel=STYLE_PANEL,
            show_default=False,
        ),
    ] = "",
    engines: Annotated[
        str,
        typer.Option(
            "--engines",
            metavar="A,B,...",
            help="Such as openvino, openvino:int8 or torch:cuda:fp16; else what this machine does best.",
            rich_help_panel=ENGINE_PANEL,
            show_default=False,
        ),
    ] = "",
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes",
            metavar="A,B,...",
            help="360p, 480p, 720p, 1080p, 1440p, 4k, or WIDTHxHEIGHT.",
            rich_help_panel=ENGINE_PANEL,
        ),
    ] = "720p",
    quality: Annotated[
        str,
        typer.Option(
            "--quality",
            metavar="A,B,...",
            help="Ways to draw; else all that the styles have.",
            rich_help_panel=ENGINE_PANEL,
            show_default=False,
        ),
    ] = "",
    clip: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The video that is converted, scaled to each size; else one that comes along.",
            rich_help_panel=BESIDE_PANEL,
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="N", min=0.1, max=3600, help="For each figure, about.", rich_help_panel=BESIDE_PANEL
        ),
    ] = 2.0,
    peers: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="ONNX generators of others, run by ONNX Runtime as it comes, in turns with ours.",
            rich_help_panel=BESIDE_PANEL,
            show_default=False,
        ),
    ] = None,
    networks: Annotated[
        str,
        typer.Option(
            "--networks",
            metavar="A,B,...",
            help="Generators by themselves, by every way to run them, at the first size; or all.",
            rich_help_panel=BESIDE_PANEL,
            show_default=False,
        ),
    ] = "",
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photos that nothing was trained on, to show what speed costs; else pictures of the clip.",
            rich_help_panel=BESIDE_PANEL,
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD.json",
            help="An earlier run of --json: say what moved, and end with 1 where something fell.",
            rich_help_panel=BESIDE_PANEL,
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=99,
            help="By how much a rate may fall with --against.",
            rich_help_panel=BESIDE_PANEL,
        ),
    ] = 10.0,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, only results.", rich_help_panel=TALK_PANEL)
    ] = False,
) -> None:
    """Time styles on this machine: one picture, whole files, and how near that comes to the machine's limit.

    Each file is converted by a process of its own, in turns with all others, and medians are shown. With
    --report, --json or --photos, each way to draw is also compared with the style at full size in fp32.
    """
    if report:
        demand_report(report)
    _demand_packages(report=report is not None)
    from eval.bench.against import compare, demand_comparable, no_row, read_earlier
    from streamtoon.benchmark import benchmark, machine_facts
    from streamtoon.benchmark_plan import plan

    wanted = plan(*(split_list(words) for words in (styles, engines, sizes, quality)))
    generators = _generators(networks)
    earlier = read_earlier(against) if against else None
    pictures = _photographs(photos, clip) if report or as_json or photos else {}
    machine = machine_facts()
    times = True
    if earlier:
        names = sorted(path.stem for path in peers.glob("*.onnx")) if peers else []
        times = demand_comparable(earlier, machine, names)
    with _counting("bench", quiet) as tell:
        found = benchmark(
            wanted,
            machine,
            clip=clip,
            seconds=seconds,
            peers=peers,
            lengths=bool(report),
            networks=generators,
            tell=tell,
        )
    found, looks = _looked(wanted, found, pictures, quiet)
    moved = compare(earlier, found, threshold / 100, times=times) if earlier else []
    if report:
        from eval.bench.report import write_report

        write_report(report, found, moved, looks)
    _show(found, earlier, moved, threshold, as_json=as_json, times=times)
    if not as_json:
        tell_report(report)
    if earlier and not moved:
        raise no_row(earlier)
    if any(one.fell for one in moved):
        raise typer.Exit(1)


def split_list(words: str) -> list[str]:
    """The words between commas, as they are written: a style may be a folder."""
    return [word.strip() for word in words.split(",") if word.strip()]


def _generators(words: str) -> list[str]:
    """Raises StreamtoonError for an unknown one, or where torch, which runs them, is missing."""
    names = split_list(words)
    if not names:
        return []
    from engines.backends import load_backend
    from engines.errors import StyleError
    from engines.generators import GENERATORS

    for name in names:
        if name not in GENERATORS and names != ["all"]:
            known = ", ".join(sorted(GENERATORS))
            raise StyleError(f"unknown generator {name!r}: known are {known}, and all by itself")
    load_backend("torch")
    return names


def _photographs(folder: Path | None, clip: Path | None) -> dict[str, Image]:
    """What is drawn to be looked at, by name."""
    from eval.bench.looks import COMPARED, photographs, read_photos
    from streamtoon.benchmark_clips import Clip, default_clip

    if folder:
        return read_photos(folder)
    return photographs(Clip(clip or default_clip()).from_all_over(COMPARED))


def _looked(
    wanted: Plan, found: Bench, pictures: dict[str, Image], quiet: bool
) -> tuple[Bench, list[StyleLooks]]:
    """The benchmark with how its styles look, and what a report shows of it."""
    if not pictures:
        return found, []
    from eval.bench.looks import look_at

    with _counting("looks", quiet) as tell:
        looks, notes = look_at(wanted.styles, found.results, pictures, tell)
    every = [look for one in looks for look in one.looks]
    return replace(found, looks=every, notes=[*found.notes, *notes]), looks


@contextmanager
def _counting(name: str, quiet: bool) -> Iterator[Callable[[float, str], object] | None]:
    """A progress bar in percent."""
    from streamtoon.cli.counting import counting

    with counting(name, "%", quiet=quiet) as count:
        yield (lambda share, doing: count(int(100 * share), 100, doing)) if count else None


def _demand_packages(*, report: bool) -> None:
    """What a report needs is missed before minutes are spent."""
    if report:
        with needing_eval():
            import jinja2  # noqa: F401
            import matplotlib  # noqa: F401


def _show(
    found: Bench,
    earlier: Earlier | None,
    moved: Sequence[Moved],
    threshold: float,
    *,
    as_json: bool,
    times: bool,
) -> None:
    """One JSON object, or tables and sentences."""
    if earlier:
        if not times:
            say_warnings((f"{earlier.path} is of another machine: ratios to peers are compared, not times",))
        if earlier.clip != found.clip:
            say_warnings((f"{earlier.path} was measured on another clip, {earlier.clip.get('name')}",))
    if as_json:
        value = found.as_dict()
        if earlier:
            value["moved"] = [asdict(one) for one in moved]
        print_json(value)
        return
    from streamtoon.cli.bench_tables import moved_table, tables
    from streamtoon.cli.common import console

    screen = console(stderr=False)
    for table in tables(found):
        screen.print(table)
    if moved:
        screen.print(moved_table(moved))
        fell = sum(one.fell for one in moved)
        unsure = sum(one.fell and one.noisy for one in moved)
        doubt = f", {unsure} of them too noisy to tell" if unsure else ""
        say(f"{fell} of {len(moved)} figures fell by more than {threshold:g} %{doubt}", stderr=False)
    say_warnings(tuple(found.notes))
