"""`streamtoon vote`: a blind vote on cartoons, in the browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamtoon.cli.common import console, printable, say, say_warnings
from streamtoon.cli.event_loop import until_signal

if TYPE_CHECKING:
    from rich.table import Table

    from eval.voting.ballot import Ballot
    from eval.voting.ranking import Ranking
    from eval.voting.vote_log import VoteLog

PAGE_PANEL = "Server"
MAX_REVIEWER_COLUMNS = 4
"""Up to this many reviewers have a column in the printed table; more have a line each below it."""

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon vote comic ink my-style/ --photos photos/
streamtoon vote comic ink finished-by-another-tool/ --photos photos/ --pictures 20 --out mine.csv
streamtoon vote --results --out mine.csv
"""


def vote(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B ...",
            help="Two to nine styles, folders of styles, or folders of finished images.",
            show_default=False,
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of photos.", show_default=False),
    ] = None,
    pictures: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many photos each reviewer sees.")
    ] = 50,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the photos and their order.")] = 0,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV file of the votes. An existing file is continued.")
    ] = Path("votes.csv"),
    results: Annotated[
        bool, typer.Option("--results", help="Only print the ranking of the votes so far.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 lets other machines vote.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=65535,
            help="Port to listen on; 0 chooses a free one.",
            rich_help_panel=PAGE_PANEL,
        ),
    ] = 8770,
) -> None:
    """Let people vote blind, in the browser, for the most convincing cartoon."""
    if results:
        _print_results(out)
        return
    if not candidates or photos is None:
        raise typer.BadParameter("name candidates and --photos DIR, or use --results")
    from eval.voting.vote_log import VoteLog, read_votes

    if not out.name or out.is_dir():
        raise typer.BadParameter(f"--out {out} is a folder; name a file")
    if out.exists():
        read_votes(out)  # refuse a file that is not a table of votes before drawing for minutes
    ballot = _prepared(candidates, photos, pictures, out, seed)
    with VoteLog(out, ballot) as box:
        try:
            asyncio.run(until_signal(_serve(box, host, port)))
        except KeyboardInterrupt:
            say("stopped; the same command continues the vote")
        finally:
            _print_ranking(box, out)


def _prepared(names: list[str], folder: Path, count: int, out: Path, seed: int) -> Ballot:
    from engines.common.image_files import require_separate
    from eval.scoring.candidates import open_candidate
    from eval.voting.gallery import choose, prepare, require_candidates
    from streamtoon.cli.file_progress import counting

    require_candidates(names)
    work = out.with_suffix(".pictures")
    require_separate(folder, work)
    photos, skipped = choose(folder, count, seed)
    say_warnings(tuple(f"skipped {one.path}: {one.reason}" for one in skipped))
    opened = [open_candidate(name) for name in names]
    try:
        with counting("drawing cartoons", "images", quiet=False) as count_up:
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


async def _serve(box: VoteLog, host: str, port: int) -> None:
    from streamtoon.cli.page_address import print_qr_code
    from streamtoon.web.address import is_loopback, lan_host, page_address
    from streamtoon.web.listen import listen
    from streamtoon.web.vote.server import VoteServer
    from streamtoon.wording import counted

    def ready(real_port: int) -> None:
        photo_count, candidates = len(box.ballot.items), len(box.ballot.candidates)
        address = page_address("http", lan_host(host), real_port)
        say(f"vote at {address} on {counted(photo_count, 'photo')}, drawn by {candidates} candidates")
        if not is_loopback(host):
            print_qr_code(address)
            say("anyone who can reach this machine over the network can vote", style="yellow")
        say(f"votes are saved in {box.path}; Ctrl-C ends the vote and prints the ranking")

    station = VoteServer(box, lambda reviewer: say(f"{reviewer} has finished"))
    await listen(station.app(host), host, port, ready)


def _print_results(out: Path) -> None:
    from eval.voting.ranking import rank
    from eval.voting.vote_log import VoteCounts, read_votes

    tally = VoteCounts()
    for row in read_votes(out):
        tally.add(row)
    _show(rank(tally))


def _print_ranking(box: VoteLog, out: Path) -> None:
    from eval.voting.ranking import rank

    _show(rank(box.tally))
    say(f"votes: {out}")


def _show(ranking: Ranking) -> None:
    if ranking.votes:
        few = len(ranking.reviewers) <= MAX_REVIEWER_COLUMNS
        console(stderr=False).print(_table(ranking, list(ranking.reviewers) if few else []))
        for name, count in ranking.reviewers.items() if not few else ():
            picks = ", ".join(f"{one.name} {one.by_reviewer[name]}" for one in ranking.standings)
            say(f"{name}, {count} votes: {picks}", stderr=False)
    say(ranking.answer, stderr=False)


def _table(ranking: Ranking, reviewers: list[str]) -> Table:
    """Make the table of the ranking, with a column for each of `reviewers`."""
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
