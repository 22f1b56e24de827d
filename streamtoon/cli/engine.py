"""`streamtoon engine`: the engines built for an NVIDIA GPU, built ahead, listed, tried, removed."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streamtoon.cli.common import JsonOption, StyleOption, console, print_json, printable, say

if TYPE_CHECKING:
    from rich.table import Table

    from engines.plan_cache import PlanEntry

engine = typer.Typer(
    no_args_is_help=True,
    help="Build TensorRT engines ahead of time; list, verify and remove those that are kept.",
)
GpuOption = Annotated[int, typer.Option("--gpu", metavar="N", min=0, help="Which GPU, counted from 0.")]
LARGEST = 16384


@engine.command()
def build(
    style: StyleOption = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Of the videos; may be given several times.",
            show_default="1280x720",
        ),
    ] = None,
    quality: Annotated[
        Literal["full", "fast", "lite"], typer.Option(help="Of the drawing, as for videos.")
    ] = "full",
    precision: Annotated[Literal["fp16", "fp32", "int8", "fp8"], typer.Option(help="Arithmetic.")] = "fp16",
    matrix: Annotated[
        Literal["bt601", "bt709", "bt2020"], typer.Option(help="Of the videos' colour: part of an engine.")
    ] = "bt709",
    full_range: Annotated[bool, typer.Option("--full-range", help="Of the videos' colour.")] = False,
    live: Annotated[bool, typer.Option("--live", help="For live pictures: one at a time.")] = False,
    via: Annotated[
        Literal["onnx", "torch2trt"], typer.Option(help="How the network comes to TensorRT.")
    ] = "onnx",
    level: Annotated[
        int,
        typer.Option(
            metavar="0..5", min=0, max=5, help="TensorRT's optimisation level: higher builds longer."
        ),
    ] = 3,
    workspace: Annotated[
        int, typer.Option(metavar="MIB", min=16, help="GPU memory that one layer may take for itself.")
    ] = 4096,
    gpu: GpuOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Build engines, where they are not kept yet, so that no video waits for them: minutes each."""
    from engines.backends import load_backend
    from engines.picture import Colour
    from engines.plan_cache import PlanCache
    from engines.style import DEFAULT_STYLE, load_style

    wanted_sizes = [_size(text) for text in sizes or ["1280x720"]]
    found = load_style(style or DEFAULT_STYLE)
    load_backend("tensorrt")
    from engines.backends.tensorrt.ahead import build_ahead
    from engines.backends.tensorrt.settings import Settings
    from engines.backends.tensorrt.wanted import wanted_for

    cache, rows = PlanCache.of_user(), []
    for width, height in wanted_sizes:
        wanted = wanted_for(
            found,
            width,
            height,
            quality=quality,
            colour=Colour(matrix, full_range=full_range),
            precision=precision,
            gpu=gpu,
            live=live,
            via=via,
            settings=Settings(level, workspace),
        )
        entry = build_ahead(wanted, cache)
        if entry is not None:
            rows.append(entry)
            if not as_json:
                say(f"{wanted}: kept, {entry.size / 2**20:.1f} MB", stderr=False)
    if as_json:
        print_json({"engines": [_plain(entry) for entry in rows]})


@engine.command("list")
def list_engines(as_json: JsonOption = False) -> None:
    """List the engines that are kept, the last used first."""
    from engines.plan_cache import PlanCache

    cache = PlanCache.of_user()
    entries = cache.entries()
    if as_json:
        folder = str(cache.folder) if cache.folder else None
        print_json({"folder": folder, "engines": [_plain(entry) for entry in entries]})
    elif entries:
        console(stderr=False).print(_table(entries))
        say(f"{sum(entry.size for entry in entries) / 2**20:.1f} MB in {cache.folder}", stderr=False)
    else:
        say("No engine is kept: the first video drawn by TensorRT brings one.", stderr=False)


@engine.command()
def verify(gpu: GpuOption = 0, as_json: JsonOption = False) -> None:
    """Hold every kept engine to its style's pictures again; ends with 1 where one fails."""
    from engines.backends import load_backend
    from engines.errors import EngineError
    from engines.plan_cache import PlanCache

    cache = PlanCache.of_user()
    load_backend("tensorrt").devices()
    from engines.backends.tensorrt.ahead import verify as hold

    rows: list[dict[str, Any]] = []
    for entry in cache.entries():
        try:
            rows.append({**_plain(entry), "psnr_now": hold(entry, cache, gpu), "problem": ""})
        except EngineError as error:
            rows.append({**_plain(entry), "psnr_now": None, "problem": str(error)})
    if as_json:
        print_json({"engines": rows})
    elif not rows:
        say("No engine is kept: there is nothing to verify.", stderr=False)
    for row in [] if as_json else rows:
        told = row["problem"] or f"{row['psnr_now']:.1f} dB, as it should be"
        say(f"{row['file'][:12]}  {_what(row['facts'])}: {told}", stderr=False)
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


@engine.command()
def clear() -> None:
    """Remove every engine that is kept, but none that is being built just now."""
    from engines.plan_cache import PlanCache

    plans, size = PlanCache.of_user().clear()
    say(f"{plans} engine{'' if plans == 1 else 's'} removed, {size / 2**20:.1f} MB.", stderr=False)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= min(width, height) <= max(width, height) <= LARGEST:
        raise typer.BadParameter(f"{text!r} is no size; write WIDTHxHEIGHT in pixels, such as 1280x720")
    return width, height


def _plain(entry: PlanEntry) -> dict[str, Any]:
    return {
        "file": entry.key.digest,
        "key": asdict(entry.key),
        "facts": dict(entry.facts),
        "bytes": entry.size,
        "built": entry.built.isoformat(),
        "used": entry.used.isoformat(timespec="seconds"),
    }


def _what(facts: dict[str, Any]) -> str:
    known = {"style": "?", "width": "?", "height": "?", "batch": "?"} | facts
    return printable(f"{known['style']} {known['width']}x{known['height']}, {known['batch']} at a time")


def _table(entries: list[PlanEntry]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("engine", "precision", "dB", "MB", "GPU", "TensorRT", "last used"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(
            _what(dict(entry.facts)),
            printable(f"{entry.key.precision} via {entry.key.via}"),
            printable(str(entry.facts.get("psnr", "?"))),
            f"{entry.size / 2**20:.1f}",
            printable(f"{entry.key.gpu}, driver {entry.key.driver}"),
            printable(entry.key.tensorrt),
            entry.used.astimezone().strftime("%Y-%m-%d %H:%M"),
        )
    return table
