"""`streamtoon engine`: build, list, verify and remove TensorRT engines."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streamtoon.cli.commands import Commands
from streamtoon.cli.common import JsonOption, StyleOption, console, print_json, printable, say

if TYPE_CHECKING:
    from rich.table import Table

    from engines.backends.tensorrt.engine_cache import PlanEntry

engine = Commands(
    no_args_is_help=True,
    help="Build TensorRT engines ahead of time; list, verify and remove cached ones.",
)
GpuOption = Annotated[int, typer.Option("--gpu", metavar="N", min=0, help="Index of the GPU, from 0.")]
MAX_SIDE_PIXELS = 16384


@engine.command()
def build(
    style: StyleOption = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Frame size of the videos; may be repeated.",
            show_default="1280x720",
        ),
    ] = None,
    quality: Annotated[Literal["full", "fast", "lite"], typer.Option(help="Quality, as for video.")] = "full",
    precision: Annotated[
        Literal["fp16", "fp32", "int8", "fp8"], typer.Option(help="Numeric precision.")
    ] = "fp16",
    live: Annotated[
        bool, typer.Option("--live", help="For the live commands: batches of one frame.")
    ] = False,
    via: Annotated[
        Literal["onnx", "torch2trt"],
        typer.Option(help="How the network is converted for TensorRT.", hidden=True),
    ] = "onnx",
    gpu: GpuOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Build engines that are not in the cache yet, so that no video waits for them.

    Takes minutes per engine. Engines are built for HD video (BT.709, limited range).
    """
    from engines.backends.selection import load_backend
    from engines.backends.tensorrt.engine_cache import PlanCache
    from engines.registry.style import DEFAULT_STYLE, load_style

    wanted_sizes = [_size(text) for text in sizes or ["1280x720"]]
    found = load_style(style or DEFAULT_STYLE)
    load_backend("tensorrt")
    from engines.backends.tensorrt.engine_spec import spec_for
    from engines.backends.tensorrt.prebuild import prebuild

    cache, rows = PlanCache.of_user(), []
    for width, height in wanted_sizes:
        wanted = spec_for(
            found,
            width,
            height,
            quality=quality,
            precision=precision,
            gpu=gpu,
            live=live,
            via=via,
        )
        entry = prebuild(wanted, cache)
        if entry is not None:
            rows.append(entry)
            if not as_json:
                say(f"{wanted}: cached, {entry.size / 2**20:.1f} MB", stderr=False)
    if as_json:
        print_json({"engines": [_plain(entry) for entry in rows]})


@engine.command("list")
def list_engines(as_json: JsonOption = False) -> None:
    """List the cached engines, the last used first."""
    from engines.backends.tensorrt.engine_cache import PlanCache

    cache = PlanCache.of_user()
    entries = cache.entries()
    if as_json:
        folder = str(cache.folder) if cache.folder else None
        print_json({"folder": folder, "engines": [_plain(entry) for entry in entries]})
    elif entries:
        console(stderr=False).print(_table(entries))
        say(f"{sum(entry.size for entry in entries) / 2**20:.1f} MB in {cache.folder}", stderr=False)
    else:
        say("The cache is empty. The first video that TensorRT draws adds an engine.", stderr=False)


@engine.command()
def verify(gpu: GpuOption = 0, as_json: JsonOption = False) -> None:
    """Re-verify every cached engine against its style's reference output.

    Exits with 1 if any check fails.
    """
    from engines.backends.selection import load_backend
    from engines.backends.tensorrt.engine_cache import PlanCache
    from engines.errors import EngineError

    cache = PlanCache.of_user()
    load_backend("tensorrt").devices()
    from engines.backends.tensorrt.prebuild import verify as hold

    rows: list[dict[str, Any]] = []
    for entry in cache.entries():
        try:
            rows.append({**_plain(entry), "psnr_now": hold(entry, cache, gpu), "problem": ""})
        except EngineError as error:
            rows.append({**_plain(entry), "psnr_now": None, "problem": str(error)})
    if as_json:
        print_json({"engines": rows})
    elif not rows:
        say("The cache is empty: nothing to verify.", stderr=False)
    for row in [] if as_json else rows:
        result = row["problem"] or f"{row['psnr_now']:.1f} dB, ok"
        say(f"{row['file'][:12]}  {_what(row['facts'])}: {result}", stderr=False)
    if any(row["problem"] for row in rows):
        raise typer.Exit(1)


@engine.command()
def clear() -> None:
    """Remove every cached engine, except those being built right now."""
    from engines.backends.tensorrt.engine_cache import PlanCache

    plans, size = PlanCache.of_user().clear()
    say(f"{plans} engine{'' if plans == 1 else 's'} removed, {size / 2**20:.1f} MB.", stderr=False)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= min(width, height) <= max(width, height) <= MAX_SIDE_PIXELS:
        raise typer.BadParameter(f"{text!r} is not a size; use WIDTHxHEIGHT in pixels, such as 1280x720")
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
