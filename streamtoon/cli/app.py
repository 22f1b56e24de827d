"""The application: its commands, --version and --config, and its exit codes.

0: done. 1: a StreamtoonError, printed as one red sentence on standard error. 2: wrong usage. 130:
interrupted.
Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

from streamtoon.cli.bench import EXAMPLES as BENCH_EXAMPLES
from streamtoon.cli.bench import bench
from streamtoon.cli.build_log import build_messages
from streamtoon.cli.commands import Commands, Group, UsageError
from streamtoon.cli.common import interrupted, say_error
from streamtoon.cli.dataset import dataset
from streamtoon.cli.default_command import implied_command
from streamtoon.cli.doctor import doctor
from streamtoon.cli.engine import engine
from streamtoon.cli.image import EXAMPLES as IMAGE_EXAMPLES
from streamtoon.cli.image import image
from streamtoon.cli.preview import EXAMPLES as PREVIEW_EXAMPLES
from streamtoon.cli.preview import preview
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
from streamtoon.cli.web import web
from streamtoon.cli.webcam import EXAMPLES as WEBCAM_EXAMPLES
from streamtoon.cli.webcam import webcam
from streamtoon.errors import StreamtoonError

CONFIG = "--config"
CONVERT_PANEL = "Convert"
LIVE_PANEL = "Live"
STYLES_PANEL = "Styles and training"
MEASURE_PANEL = "Measure"


class _Group(Group):
    """Turns exceptions of every command into exit codes, and accepts lines that name only files."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [
            "video",
            "image",
            "preview",
            "webcam",
            "stream",
            "serve",
            "web",
            "styles",
            "train",
            "dataset",
            "score",
            "vote",
            "bench",
            "engine",
            "doctor",
        ]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        before, args = _split_config(args)
        options = {
            name
            for param in self.commands["video"].params
            if isinstance(param, TyperOption)
            for name in param.opts
        }
        # The group's own options come first: -h and --version are not the command's.
        own = {name for param in self.get_params(ctx) for name in param.opts}
        implied = None
        if args and args[0].lower() not in self.commands and args[0] not in own:
            implied = implied_command(args, options)
        return super().parse_args(ctx, [*before, *([implied] if implied else []), *args])

    def invoke(self, ctx: Any) -> Any:
        try:
            with build_messages():
                return super().invoke(ctx)
        except typer.BadParameter as error:
            if error.param is not None or error.param_hint is not None:
                raise
            # It concerns no single parameter: drop Click's "Invalid value" in front.
            raise UsageError(error.message, error.ctx) from error
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


def _split_config(args: list[str]) -> tuple[list[str], list[str]]:
    """Split off `--config` and its value, which may stand anywhere; return both parts."""
    end = args.index("--") if "--" in args else len(args)
    for at, arg in enumerate(args[:end]):
        if arg == CONFIG:
            return args[at : at + 2], args[:at] + args[at + 2 :]
        if arg.startswith(f"{CONFIG}="):
            return [arg], args[:at] + args[at + 1 :]
    return [], args


def _hush() -> None:
    """Redirect standard output, whose reader has gone, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = Commands(
    cls=_Group,
    name="streamtoon",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
[bold]Examples[/bold]
streamtoon video in.mp4
streamtoon image photo.jpg cartoon.png
streamtoon video --help
""",
)
app.command(epilog=VIDEO_EXAMPLES, rich_help_panel=CONVERT_PANEL)(video)
app.command(epilog=IMAGE_EXAMPLES, rich_help_panel=CONVERT_PANEL)(image)
app.command(epilog=PREVIEW_EXAMPLES, rich_help_panel=CONVERT_PANEL)(preview)
app.command(epilog=WEBCAM_EXAMPLES, rich_help_panel=LIVE_PANEL)(webcam)
app.command(epilog=STREAM_EXAMPLES, rich_help_panel=LIVE_PANEL)(stream)
app.command(epilog=SERVE_EXAMPLES, rich_help_panel=LIVE_PANEL)(serve)
app.add_typer(web, name="web", rich_help_panel=LIVE_PANEL)
app.add_typer(styles, name="styles", rich_help_panel=STYLES_PANEL)
app.command(epilog=TRAIN_EXAMPLES, rich_help_panel=STYLES_PANEL)(train)
app.add_typer(dataset, name="dataset", rich_help_panel=STYLES_PANEL)
app.add_typer(score, name="score", rich_help_panel=MEASURE_PANEL)
app.command(epilog=VOTE_EXAMPLES, rich_help_panel=MEASURE_PANEL)(vote)
app.command(epilog=BENCH_EXAMPLES, rich_help_panel=MEASURE_PANEL)(bench)
app.add_typer(engine, name="engine", rich_help_panel=MEASURE_PANEL)
app.command(rich_help_panel=MEASURE_PANEL)(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from streamtoon import __version__

        typer.echo(f"streamtoon {__version__}")
        raise typer.Exit


def _config(ctx: typer.Context, file: Path | None) -> None:
    if file is not None and not ctx.resilient_parsing:
        from streamtoon.cli.config import ConfigError, read_config

        group = ctx.command
        assert isinstance(group, Group), "the option is the group's"
        try:
            ctx.default_map = read_config(file, group)
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from error


@app.callback(no_args_is_help=True)
def streamtoon(
    config: Annotated[
        Path | None,
        typer.Option(
            CONFIG,
            metavar="FILE",
            callback=_config,
            help="TOML file with defaults of options; may stand anywhere on the line. Environment variables "
            "such as STREAMTOON_STYLE and STREAMTOON_VIDEO_CODEC set defaults, too.",
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Turn video into a cartoon in real time on an ordinary computer."""


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        app()
    finally:
        # The command is done: another Ctrl-C must not print a traceback while the interpreter exits.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
