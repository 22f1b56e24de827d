"""`streamtoon bench`: how fast this machine draws, how near that is to its limit, and what became slower."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
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
from streamtoon.cli.score_shared import ReportOption, require_report, tell_report

if TYPE_CHECKING:
    from engines.common.arrays import Image
    from eval.bench.quality_cost import StyleLooks
    from eval.bench.regression import Change, Earlier
    from eval.bench.results import Bench
    from streamtoon.tools.benchmark.plan import BenchmarkPlan

MEASURE_PANEL = "Measurement"
COMPARE_PANEL = "Comparison"
THRESHOLD_PERCENT = 10.0
"""How much slower than an earlier run a result may be."""

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon bench
streamtoon bench --sizes 360p,720p,1080p,4k --report bench.html
streamtoon bench --engines openvino:int8,openvino:bf16,onnxruntime --quality fast
streamtoon bench --json > today.json
streamtoon bench --against yesterday.json
"""

StylesOption = Annotated[
    str,
    typer.Option(
        "--styles",
        metavar="A,B,...",
        help="Styles by name, or folders of styles. Default: the default style.",
        rich_help_panel=STYLE_PANEL,
        show_default=False,
    ),
]
EnginesOption = Annotated[
    str,
    typer.Option(
        "--engines",
        metavar="A,B,...",
        help="Such as openvino, openvino:int8 or torch:cuda:fp16. Default: the fastest on this machine.",
        rich_help_panel=ENGINE_PANEL,
        show_default=False,
    ),
]
SizesOption = Annotated[
    str,
    typer.Option(
        "--sizes",
        metavar="A,B,...",
        help="360p, 480p, 720p, 1080p, 1440p, 4k, or WIDTHxHEIGHT.",
        rich_help_panel=ENGINE_PANEL,
    ),
]
QualitiesOption = Annotated[
    str,
    typer.Option(
        "--quality",
        metavar="A,B,...",
        help="full, fast, lite, auto. Default: all that the styles have.",
        rich_help_panel=ENGINE_PANEL,
        show_default=False,
    ),
]
ClipOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The video to convert, scaled to each size. Default: a bundled clip.",
        rich_help_panel=MEASURE_PANEL,
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float,
    typer.Option(
        metavar="N",
        min=0.1,
        max=3600,
        help="Approximate time per measurement, in seconds.",
        rich_help_panel=MEASURE_PANEL,
    ),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OLD.json",
        help="Compare with an earlier run's --json output. Exits with 1 if something became slower by more "
        "than a tenth.",
        rich_help_panel=COMPARE_PANEL,
        show_default=False,
    ),
]
BenchQuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, only results.", rich_help_panel=TALK_PANEL)
]


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What a benchmark is asked for, as `benchmark_and_show` takes it; lists are words between commas."""

    styles: str = ""
    engines: str = ""
    sizes: str = "720p"
    quality: str = ""
    clip: Path | None = None
    seconds: float = 2.0
    """Per measurement."""
    against: Path | None = None
    threshold: float = THRESHOLD_PERCENT
    """Percent."""
    report: Path | None = None
    as_json: bool = False
    quiet: bool = False
    peers: Path | None = None
    """A folder of ONNX generators to time as well."""
    networks: str = ""
    """Generators to time by themselves."""
    photos: Path | None = None
    """Photos to compare the qualities on; None takes frames of the clip."""


def bench(
    styles: StylesOption = "",
    engines: EnginesOption = "",
    sizes: SizesOption = "720p",
    quality: QualitiesOption = "",
    clip: ClipOption = None,
    seconds: SecondsOption = 2.0,
    against: AgainstOption = None,
    as_json: JsonOption = False,
    report: ReportOption = None,
    quiet: BenchQuietOption = False,
) -> None:
    """Time styles on this machine: one frame, whole files, and the share of the machine's limit.

    Each file is converted by a process of its own, interleaved with the others, and medians are shown. With
    --report or --json, each quality is also compared with the style at full size in fp32.
    """
    benchmark_and_show(
        BenchRequest(
            styles=styles,
            engines=engines,
            sizes=sizes,
            quality=quality,
            clip=clip,
            seconds=seconds,
            against=against,
            report=report,
            as_json=as_json,
            quiet=quiet,
        )
    )


def benchmark_and_show(asked: BenchRequest) -> None:
    """Run a benchmark, print its results and write its report.

    Raises StreamtoonError for a request that cannot be measured, and typer.Exit(1) if a result fell by more
    than the threshold.
    """
    if asked.report:
        require_report(asked.report)
    from eval.bench.regression import compare, missing_row, read_earlier, require_comparable
    from streamtoon.tools.benchmark.plan import plan
    from streamtoon.tools.benchmark.run import benchmark, machine_facts

    wanted = plan(*map(split_list, (asked.styles, asked.engines, asked.sizes, asked.quality)))
    generators = _generators(asked.networks)
    earlier = read_earlier(asked.against) if asked.against else None
    compares = asked.report or asked.as_json or asked.photos
    pictures = _photographs(asked.photos, asked.clip) if compares else {}
    machine = machine_facts()
    times = True
    if earlier:
        names = sorted(path.stem for path in asked.peers.glob("*.onnx")) if asked.peers else []
        times = require_comparable(earlier, machine, names)
    with _progress("bench", asked.quiet) as tell:
        found = benchmark(
            wanted,
            machine,
            clip=asked.clip,
            seconds=asked.seconds,
            peers=asked.peers,
            lengths=bool(asked.report),
            networks=generators,
            tell=tell,
        )
    found, looks = _with_looks(wanted, found, pictures, asked.quiet)
    moved = compare(earlier, found, asked.threshold / 100, times=times) if earlier else []
    if asked.report:
        from eval.bench.report import write_report

        write_report(asked.report, found, moved, looks)
    _show(found, earlier, moved, asked.threshold, as_json=asked.as_json, times=times)
    if not asked.as_json:
        tell_report(asked.report)
    if earlier and not moved:
        raise missing_row(earlier)
    if any(one.fell for one in moved):
        raise typer.Exit(1)


def split_list(words: str) -> list[str]:
    """Split at commas; the case of words is kept, as a style may be a folder."""
    return [word.strip() for word in words.split(",") if word.strip()]


def _generators(words: str) -> list[str]:
    """Check the names of generators.

    Raises StreamtoonError for an unknown one, and if torch, which runs them, is missing.
    """
    names = split_list(words)
    if not names:
        return []
    from engines.backends.selection import load_backend
    from engines.errors import StyleError
    from engines.generators import GENERATORS

    for name in names:
        if name not in GENERATORS and names != ["all"]:
            known = ", ".join(sorted(GENERATORS))
            raise StyleError(f"unknown generator {name!r}: expected {known}, or all by itself")
    load_backend("torch")
    return names


def _photographs(folder: Path | None, clip: Path | None) -> dict[str, Image]:
    """Read the images to compare the qualities on, by name."""
    from eval.bench.quality_cost import MAX_COMPARED_PHOTOS, bundled_photos, read_photos
    from streamtoon.tools.benchmark.clips import DEFAULT, Clip

    if folder:
        return read_photos(folder)
    return bundled_photos(Clip(clip or DEFAULT).from_all_over(MAX_COMPARED_PHOTOS))


def _with_looks(
    wanted: BenchmarkPlan, found: Bench, pictures: dict[str, Image], quiet: bool
) -> tuple[Bench, list[StyleLooks]]:
    """Return the benchmark with the qualities compared, and what a report shows of that."""
    if not pictures:
        return found, []
    from eval.bench.quality_cost import compare_variants

    with _progress("comparison", quiet) as tell:
        looks, notes = compare_variants(wanted.styles, found.results, pictures, tell)
    every = [look for one in looks for look in one.looks]
    return replace(found, looks=every, notes=[*found.notes, *notes]), looks


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Callable[[float, str], object] | None]:
    """Show a progress bar in percent."""
    from streamtoon.cli.file_progress import counting

    with counting(name, "%", quiet=quiet) as count:
        yield (lambda share, doing: count(int(100 * share), 100, doing)) if count else None


def _show(
    found: Bench,
    earlier: Earlier | None,
    moved: Sequence[Change],
    threshold: float,
    *,
    as_json: bool,
    times: bool,
) -> None:
    """Print one JSON object, or tables and sentences."""
    if earlier:
        if not times:
            say_warnings(
                (f"{earlier.path} was measured on another machine: comparing ratios to peers, not times",)
            )
        if earlier.clip != found.clip:
            say_warnings((f"{earlier.path} was measured on another clip, {earlier.clip.get('name')}",))
    if as_json:
        value = found.as_dict()
        if earlier:
            value["moved"] = [asdict(one) for one in moved]
        print_json(value)
        return
    from streamtoon.cli.common import console
    from streamtoon.cli.tables.bench import moved_table, tables

    screen = console(stderr=False)
    for table in tables(found):
        screen.print(table)
    if moved:
        screen.print(moved_table(moved))
        fell = sum(one.fell for one in moved)
        unsure = sum(one.fell and one.noisy for one in moved)
        doubt = f", {unsure} of them too noisy to be sure" if unsure else ""
        say(f"{fell} of {len(moved)} figures fell by more than {threshold:g} %{doubt}", stderr=False)
    say_warnings(tuple(found.notes))
