"""Tables of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from eval.bench.published import published_ms
from eval.bench.regression import Change
from eval.bench.results import Bench, BenchRow
from streamtoon.cli.common import printable
from streamtoon.wording import counted

STAGES = {"decode": "decode", "run": "draw", "encode": "encode"}
"""Heading of each stage of the pipeline."""


def tables(bench: Bench) -> list[Table]:
    """Return the tables of speed and stages, and of baselines, networks and qualities if measured."""
    found = [_speed(bench), _costs(bench)]
    if bench.peers:
        found.append(_peers(bench))
    if bench.networks:
        found.append(_networks(bench))
    if bench.looks:
        found.append(_looks(bench))
    return found


def _speed(bench: Bench) -> Table:
    machine, names = bench.machine, _names(bench)
    table = _table(
        f"{machine['cores']} cores of {machine['cpu']}; {bench.clip['name']}{_shared(bench)}", names
    )
    peers = _letters(bench)
    # No row has a limit without torch or a measured machine rate; the notes below say why.
    limited = any(row.limit_fraction is not None for row in bench.results)
    for heading in (
        "ms",
        "p95",
        "fps",
        "file fps",
        *(f"x {letter}" for letter in peers.values()),
        *(["of limit"] if limited else []),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in bench.results:
        limit = "" if row.limit_fraction is None else f"{100 * row.limit_fraction:.0f} %"
        table.add_row(
            *(_facts(row)[name] for name in names),
            f"{row.latency_ms.median:.1f}",
            f"{row.latency_ms.p95:.1f}",
            f"{row.fps:.4g}",
            Text(f"{row.file_fps:.4g}{' ?' if row.noisy else ''}", "bold"),
            *(f"{row.ratios[name]:.3g}" if name in row.ratios else "" for name in peers),
            *([limit] if limited else []),
        )
    said = "ms, fps: one frame at a time through the engine; file fps: from file to file"
    if peers:
        said += f"; x {', '.join(peers.values())}: file fps divided by the fps of that network alone"
    if any(row.noisy for row in bench.results):
        said += "; ?: noisy measurement"
    return _captioned(table, said)


def _costs(bench: Bench) -> Table:
    names = _names(bench)
    table = _table("One frame from file to file, in ms, and the process", names)
    powered = any(row.watts for row in bench.results)
    for heading in (*STAGES.values(), "CPU", "overlap", "MB", "start s", *(["W"] if powered else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in bench.results:
        cells = [f"{row.stages[stage]:.1f}" if stage in row.stages else "" for stage in STAGES]
        cells.append("" if row.cpu_ms is None else f"{row.cpu_ms:.1f}")
        cells.append("" if row.efficiency is None else f"{100 * row.efficiency:.0f} %")
        cells.append("" if row.peak_rss_mb is None else f"{row.peak_rss_mb:.0f}")
        cells.append(f"{row.start_s:.2f}")
        if powered:
            cells.append(" + ".join(f"{watts:.0f} {name}" for name, watts in (row.watts or {}).items()))
        table.add_row(*(_facts(row)[name] for name in names), *cells)
    said = "CPU: all threads; overlap: file fps divided by the rate of the slowest stage alone"
    return _captioned(table, said)


def _peers(bench: Bench) -> Table:
    letters = _letters(bench)
    table = _table("Other projects' networks, alone, in ONNX Runtime", ("", "name", "size"))
    for heading in ("ms", "fps", "ours / theirs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for peer in bench.peers:
        table.add_row(
            letters[peer.name],
            printable(peer.name),
            f"{peer.width}x{peer.height}",
            f"{peer.latency_ms.median:.1f}",
            f"{peer.fps:.4g}{' ?' if peer.noisy else ''}",
            f"{peer.ratio:.3g}",
        )
    return _captioned(table, "ours: file fps of the fastest row at that size")


def _networks(bench: Bench) -> Table:
    first = bench.networks[0]
    named = published_ms(bench)
    table = _table(f"Networks at {first.width}x{first.height}, randomly initialised", ("network", "engine"))
    on_gpu = any(row.hidden is not None for row in bench.networks)
    extra = [*(["GPU", "hidden"] if on_gpu else []), *(["published"] if named else [])]
    for heading in ("M", "GMAC", "ms", "batched", *extra):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for row in bench.networks:
        new = row.generator != before
        before = row.generator
        cells = [f"{row.parameters / 1e6:.2f}", f"{row.gmacs:.4g}"] if new else ["", ""]
        cells += [f"{row.ms.median:.4g}{' ?' if row.noisy else ''}"]
        cells += ["" if row.in_a_row_ms is None else f"{row.in_a_row_ms:.4g}"]
        if on_gpu:
            cells.append("" if row.device_ms is None else f"{row.device_ms:.4g}")
            cells.append("" if row.hidden is None else f"{100 * row.hidden:.0f} %")
        if named:
            cells.append(f"{named[row.generator]:g}" if new and row.generator in named else "")
        device = "" if row.device == "cpu" else f" {row.device}"
        table.add_row(row.generator if new else "", f"{row.engine}{device} {row.precision}", *cells)
    said = "ms: one frame at a time; batched: several in flight; layer by layer: eager torch"
    said += "; GPU: by its own clock; hidden: share of copies that overlaps with drawing" if on_gpu else ""
    said += "; published: in the thesis behind unet, on an unnamed GPU" if named else ""
    return _captioned(table, said)


def _looks(bench: Bench) -> Table:
    table = _table("Quality", ("style", "engine", "quality"))
    for heading in ("SSIM", "lowest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for look in bench.looks:
        device = "" if look.device == "cpu" else f" {look.device}"
        engine = f"{look.engine}{device} {look.precision}"
        ssim = (f"{look.ssim.mean:.4f}", f"{look.ssim.least:.4f}")
        table.add_row(printable(look.style), engine, look.quality, *ssim)
    said = f"SSIM: of luma, against each style's first row; over {counted(bench.looks[0].photos, 'image')}"
    return _captioned(table, said)


def moved_table(moved: Sequence[Change]) -> Table:
    """Make the table of changes since the earlier run; what became too slow is red and marked."""
    table = _table("Comparison with the earlier run", ("row", "figure"))
    for heading in ("before", "now", "ratio"):
        table.add_column(heading, justify="right")
    for one in moved:
        mark = " fell" if one.fell else ""
        table.add_row(
            printable(one.row),
            printable(one.figure.replace("_", " ")),
            f"{one.old:.4g}",
            f"{one.new:.4g}",
            f"{one.ratio:.2f}{mark}{' ?' if one.noisy else ''}",
            style="bold red" if one.fell else "",
        )
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=printable(title), title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _captioned(table: Table, said: str) -> Table:
    table.caption, table.caption_justify = said, "left"
    return table


def _facts(row: BenchRow) -> dict[str, str]:
    """Return what identifies a row, by heading."""
    device = "" if row.device == "cpu" else f" {row.device}"
    quality = row.quality if row.chosen == row.quality else f"{row.quality} ({row.chosen})"
    engine = f"{row.engine}{device} {row.precision}"
    return {"style": printable(row.style), "engine": engine, "size": row.size, "quality": quality}


def _names(bench: Bench) -> list[str]:
    """Return the headings that differ between rows, and always size and quality."""
    facts = [_facts(row) for row in bench.results]
    return [name for name in facts[0] if name in ("size", "quality") or len({one[name] for one in facts}) > 1]


def _shared(bench: Bench) -> str:
    names = _names(bench)
    return "".join(f"; {fact}" for name, fact in _facts(bench.results[0]).items() if name not in names)


def _letters(bench: Bench) -> dict[str, str]:
    """Assign a letter to each baseline, as its name may be long."""
    names = dict.fromkeys(peer.name for peer in bench.peers)
    return {name: chr(ord("A") + n) if n < 26 else str(n) for n, name in enumerate(names)}
