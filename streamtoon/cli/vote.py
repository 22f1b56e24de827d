"""`streamtoon vote`: which cartoons people find most convincing, asked blind in the browser."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import console, printable, say, say_warnings
from streamtoon.errors import StreamtoonError

if TYPE_CHECKING:
    from rich.table import Table

    from eval.votes.ballot import Ballot
    from eval.votes.box import VoteBox
    from eval.votes.ranking import Ranking

PAGE_PANEL = "The page"
COLUMNS = 4
"""Reviewers that have one each in the printed table; more of them have a line each below it."""

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon vote comic scroll my-style/ --photos photos/
streamtoon vote comic scroll finished-by-another-tool/ --photos photos/ --pictures 20 --out mine.csv
streamtoon vote --results --out mine.csv
"""


def vote(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B ...",
            help="Two to nine styles, folders of styles, or folders of finished pictures.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The photos to draw from.", show_default=False),
    ] = None,
    pictures: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many of them each reviewer sees.")
    ] = 50,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Another number draws other photos, in other orders.")
    ] = 0,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The table of votes; what is there is added to.")
    ] = Path("votes.csv"),
    results: Annotated[
        bool, typer.Option("--results", help="Print the ranking of what was cast so far, and no more.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the page is served; 0.0.0.0 lets other machines vote too.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.", rich_help_panel=PAGE_PANEL),
    ] = 8770,
) -> None:
    """Let people vote blind, in the browser, for the most convincing cartoons."""
    if results:
        _print_results(out)
        return
    if not candidates or photos is None:
        raise typer.BadParameter("a vote needs candidates and --photos DIR; --results alone needs neither")
    try:
        import aiohttp  # noqa: F401 - missed before minutes go into pictures
        import jinja2  # noqa: F401 - likewise
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"voting needs the package {error.name}; install it with: pip install 'streamtoon[eval]'"
        ) from error
    from eval.votes.box import VoteBox, read_votes

    if not out.name or out.is_dir():
        raise typer.BadParameter(f"{out} is a folder; let --out name a file")
    if out.exists():
        read_votes(out)  # another file of that name is told before minutes go into pictures
    ballot = _prepared(candidates, photos, pictures, out, seed)
    with VoteBox(out, ballot) as box:
        try:
            asyncio.run(_serve(box, host, port))
        except KeyboardInterrupt:
            say("stopped; the same line goes on")
        finally:
            _print_ranking(box, out)


def _prepared(names: list[str], folder: Path, count: int, out: Path, seed: int) -> Ballot:
    from engines.picture_files import demand_apart
    from eval.candidates import open_candidate
    from eval.votes.gallery import choose, demand_candidates, prepare
    from streamtoon.cli.counting import counting

    demand_candidates(names)
    work = out.with_suffix(".pictures")
    demand_apart(folder, work)
    photos, skipped = choose(folder, count, seed)
    say_warnings(tuple(f"{one.path} is left out: {one.reason}" for one in skipped))
    opened = [open_candidate(name) for name in names]
    try:
        with counting("making cartoons", "pictures", quiet=False) as count_up:
            return prepare(
                opened,
                photos,
                work,
                seed=seed,
                tick=None if count_up is None else lambda done, total: count_up(done, total, ""),
            )
    finally:
        for candidate in opened:
            candidate.close()


async def _serve(box: VoteBox, host: str, port: int) -> None:
    from eval.votes.server import Station, serve

    def ready(real_port: int) -> None:
        plates, candidates = len(box.ballot.plates), len(box.ballot.candidates)
        say(f"vote at http://{_spoken(host)}:{real_port} on {plates} pictures by {candidates} candidates")
        if not _is_at_home(host):
            say("whoever reaches this machine over the network can vote", style="yellow")
        say(f"votes are kept in {box.path}; Ctrl-C ends the vote and prints the ranking")

    station = Station(box, lambda reviewer: say(f"{reviewer} has finished"))
    await serve(station.app(host), host, port, ready)


def _spoken(host: str) -> str:
    """The host as it stands in an address that others can open."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - read, not bound to
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _is_at_home(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _print_results(out: Path) -> None:
    from eval.votes.box import Tally, read_votes
    from eval.votes.ranking import rank

    tally = Tally()
    for row in read_votes(out):
        tally.add(row)
    _show(rank(tally))


def _print_ranking(box: VoteBox, out: Path) -> None:
    from eval.votes.ranking import rank

    _show(rank(box.tally))
    say(f"votes: {out}")


def _show(ranking: Ranking) -> None:
    if ranking.votes:
        few = len(ranking.reviewers) <= COLUMNS
        console(stderr=False).print(_table(ranking, list(ranking.reviewers) if few else []))
        for name, count in ranking.reviewers.items() if not few else ():
            picks = ", ".join(f"{one.name} {one.by_reviewer[name]}" for one in ranking.standings)
            say(f"{name}, {count} votes: {picks}", stderr=False)
    say(ranking.answer, stderr=False)


def _table(ranking: Ranking, reviewers: list[str]) -> Table:
    """The ranking, with a column for each of `reviewers`."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("candidate", "votes", overflow="fold")
    table.add_column("chance of a pick", "", justify="right")
    table.add_column("95 % interval", "", justify="right", no_wrap=True)
    for name in reviewers:
        table.add_column(printable(name), str(ranking.reviewers[name]), justify="right", overflow="fold")
    table.add_column("all", str(ranking.votes), justify="right")
    for one in ranking.standings:
        table.add_row(
            printable(one.name),
            f"{one.strength:.1%}",
            f"{one.interval.low:.1%} to {one.interval.high:.1%}",
            *(str(one.by_reviewer[name]) for name in reviewers),
            str(one.picks),
        )
    return table
