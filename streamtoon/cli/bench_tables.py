"""A benchmark in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from eval.bench.against import Moved
from eval.bench.published import published_ms
from eval.bench.results import Bench, Row
from streamtoon.cli.common import printable

STAGES = {"decode": "decode", "run": "draw", "encode": "encode"}
"""The pipeline's words and people's."""


def tables(bench: Bench) -> list[Table]:
    """Speed, where the time goes, and what was run beside it."""
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
    for heading in (
        "ms",
        "p95",
        "fps",
        "file fps",
        *(f"x {letter}" for letter in peers.values()),
        "of limit",
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
            limit,
        )
    said = "ms, fps: one picture after the other through the engine; file fps: from file to file"
    if peers:
        said += f"; x {', '.join(peers.values())}: file fps over that network's alone"
    if any(row.noisy for row in bench.results):
        said += "; ?: too noisy"
    return _captioned(table, said)


def _costs(bench: Bench) -> Table:
    names = _names(bench)
    table = _table("One picture from file to file, in ms, and the process that did it", names)
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
    said = "CPU: of all threads; overlap: file fps over the rate of the slowest stage by itself"
    return _captioned(table, said)


def _peers(bench: Bench) -> Table:
    letters = _letters(bench)
    table = _table("Networks of others, alone, through ONNX Runtime", ("", "name", "size"))
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
    return _captioned(table, "ours: the file fps of the fastest row at that size")


def _networks(bench: Bench) -> Table:
    first = bench.networks[0]
    named = published_ms(bench)
    table = _table(f"Networks at {first.width}x{first.height}, weights drawn by lot", ("network", "by"))
    on_gpu = any(row.hidden is not None for row in bench.networks)
    extra = [*(["GPU", "hidden"] if on_gpu else []), *(["published"] if named else [])]
    for heading in ("M", "GMAC", "ms", "in a row", *extra):
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
    said = "ms: one picture after the other; in a row: several under way; layer by layer: torch as it comes"
    said += "; GPU: by its own clock; hidden: of the time of copies, while it drew" if on_gpu else ""
    said += "; published: by the thesis behind unet, on a GPU that is not named" if named else ""
    return _captioned(table, said)


def _looks(bench: Bench) -> Table:
    table = _table("What speed costs", ("style", "engine", "quality"))
    for heading in ("SSIM", "least"):
        table.add_column(heading, justify="right", no_wrap=True)
    for look in bench.looks:
        device = "" if look.device == "cpu" else f" {look.device}"
        engine = f"{look.engine}{device} {look.precision}"
        ssim = (f"{look.ssim.mean:.4f}", f"{look.ssim.least:.4f}")
        table.add_row(printable(look.style), engine, look.quality, *ssim)
    said = f"SSIM: of luma, beside each style's first line; over {bench.looks[0].photos} pictures"
    return _captioned(table, said)


def moved_table(moved: Sequence[Moved]) -> Table:
    """What moved since the earlier run; what fell too far is red and marked."""
    table = _table("Against the earlier run", ("row", "figure"))
    for heading in ("then", "now", "ratio"):
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


def _facts(row: Row) -> dict[str, str]:
    """What a row is, by heading."""
    device = "" if row.device == "cpu" else f" {row.device}"
    quality = row.quality if row.chosen == row.quality else f"{row.quality} ({row.chosen})"
    engine = f"{row.engine}{device} {row.precision}"
    return {"style": printable(row.style), "engine": engine, "size": row.size, "quality": quality}


def _names(bench: Bench) -> list[str]:
    """The facts that differ between rows, and always size and quality; what all share stands above."""
    facts = [_facts(row) for row in bench.results]
    return [name for name in facts[0] if name in ("size", "quality") or len({one[name] for one in facts}) > 1]


def _shared(bench: Bench) -> str:
    names = _names(bench)
    return "".join(f"; {fact}" for name, fact in _facts(bench.results[0]).items() if name not in names)


def _letters(bench: Bench) -> dict[str, str]:
    """A letter for each peer's name, which may be long."""
    names = dict.fromkeys(peer.name for peer in bench.peers)
    return {name: chr(ord("A") + n) if n < 26 else str(n) for n, name in enumerate(names)}
