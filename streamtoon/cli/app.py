"""The application: its commands, its --version, and how each kind of end becomes an exit code.

0 done; 1 a StreamtoonError, as one red sentence on standard error; 2 wrong usage; 130 interrupted.
Any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from streamtoon.cli.bench import EXAMPLES as BENCH_EXAMPLES
from streamtoon.cli.bench import bench
from streamtoon.cli.building import building_told
from streamtoon.cli.common import interrupted, say_error
from streamtoon.cli.dataset import dataset
from streamtoon.cli.doctor import doctor
from streamtoon.cli.engine import engine
from streamtoon.cli.image import EXAMPLES as IMAGE_EXAMPLES
from streamtoon.cli.image import image
from streamtoon.cli.score import score
from streamtoon.cli.serve import EXAMPLES as SERVE_EXAMPLES
from streamtoon.cli.serve import serve
from streamtoon.cli.stream import EXAMPLES as STREAM_EXAMPLES
from streamtoon.cli.stream import stream
from streamtoon.cli.styles import styles
from streamtoon.cli.train import EXAMPLES as TRAIN_EXAMPLES
from streamtoon.cli.train import train
from streamtoon.cli.video import EXAMPLES as VIDEO_EXAMPLES
from streamtoon.cli.video import video
from streamtoon.cli.vote import EXAMPLES as VOTE_EXAMPLES
from streamtoon.cli.vote import vote
from streamtoon.cli.webcam import EXAMPLES as WEBCAM_EXAMPLES
from streamtoon.cli.webcam import webcam
from streamtoon.errors import StreamtoonError


class _Group(TyperGroup):
    """Gives every command the same ends."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [
            "video",
            "image",
            "webcam",
            "stream",
            "serve",
            "styles",
            "train",
            "dataset",
            "score",
            "vote",
            "bench",
            "engine",
            "doctor",
        ]

    def invoke(self, ctx: Any) -> Any:
        try:
            with building_told():
                return super().invoke(ctx)
        except StreamtoonError as error:
            if isinstance(error.__cause__, BrokenPipeError):
                _hush()
            else:
                say_error(str(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            interrupted()
            raise typer.Exit(130) from error
        except BrokenPipeError as error:
            _hush()
            raise typer.Exit(1) from error


def _hush() -> None:
    """Whoever read our output has left: the interpreter's last flush must not complain about that either."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=_Group,
    name="streamtoon",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
[bold]Examples[/bold]
streamtoon video in.mp4 out.mp4
streamtoon image photo.jpg cartoon.png
streamtoon video --help
""",
)
app.command(epilog=VIDEO_EXAMPLES)(video)
app.command(epilog=IMAGE_EXAMPLES)(image)
app.command(epilog=WEBCAM_EXAMPLES)(webcam)
app.command(epilog=STREAM_EXAMPLES)(stream)
app.command(epilog=SERVE_EXAMPLES)(serve)
app.add_typer(styles, name="styles")
app.add_typer(dataset, name="dataset")
app.command(epilog=TRAIN_EXAMPLES)(train)
app.add_typer(score, name="score")
app.command(epilog=VOTE_EXAMPLES)(vote)
app.command(epilog=BENCH_EXAMPLES)(bench)
app.add_typer(engine, name="engine")
app.command()(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from streamtoon import __version__

        typer.echo(f"streamtoon {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def streamtoon(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn video into cartoon in real time on an ordinary computer."""


def main() -> None:
    """Run the command on this process's arguments and exit."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What is ignored stays ignored: that is how nohup keeps a run alive when its terminal closes.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            # As an exception it unwinds like any other end: no temporary file stays behind.
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        app()
    finally:
        # All is said and done: one more Ctrl-C must not make the interpreter complain of its own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
