"""`streamtoon train`: a style out of a folder of photos and a folder of drawings."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtoon.cli.common import OverwriteOption, QuietOption, say
from streamtoon.errors import OutputError, StreamtoonError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.style import Style
    from training.recipe import Recipe
    from training.trainer import Trainer

DATA_PANEL = "What is learned from"
RUN_PANEL = "The run"

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon train fpt-unet --source photos/ --target drawings/
streamtoon train fpt-unet --source photos/ --target drawings/ --variant more-texture
streamtoon train my-style.toml --set batch=4 --set weights.texture=2
streamtoon train my-style.toml --resume
streamtoon video in.mp4 out.mp4 --style my-style
"""


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe, TOML, or the name of a bundled one.")
    ],
    source: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures to translate: photos.", rich_help_panel=DATA_PANEL),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="What they are to look like: drawings.", rich_help_panel=DATA_PANEL),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Pictures to watch it on, best ones that are not learned from.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None,
    variant: Annotated[
        str, typer.Option(metavar="NAME", help="One of the recipe's variants.", rich_help_panel=DATA_PANEL)
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another value for one of the recipe's keys.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the finished style goes; else a folder of the recipe's name.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the run keeps its state, curves and samples; else runs/NAME.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run.", rich_help_panel=RUN_PANEL)
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(metavar="MINUTES", min=0.01, help="Time between saves.", rich_help_panel=RUN_PANEL),
    ] = 10.0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train.", rich_help_panel=RUN_PANEL)
    ] = "auto",
    devices: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many of them.", rich_help_panel=RUN_PANEL)
    ] = 1,
    vgg16: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="VGG-16's weights; else torchvision's are fetched once.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    vgg19: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="VGG-19's weights, likewise.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Make a style out of a folder of photos and a folder of drawings."""
    # torch takes seconds to import: a wrong recipe is told before.
    from training.recipe_file import find_recipe, read_recipe

    folders = {"source": source, "target": target, "show": watch}
    given = [f"data.{key}={json.dumps(str(path))}" for key, path in folders.items() if path]
    read = read_recipe(find_recipe(recipe), variant, [*given, *(settings or ())])
    folder, style_folder = run or Path("runs") / read.name, out or Path(read.name)
    _demand_run(folder, resume)
    _demand_place(style_folder, overwrite)
    files = {name: path for name, path in (("vgg16", vgg16), ("vgg19", vgg19)) if path}
    trainer, finish = _tools(read, folder, device, devices, files)
    if resume:
        trainer.resume()
    _train(trainer, save_every, quiet)
    if trainer.fabric.is_global_zero:
        if not quiet:
            say("trained; writing the style: its graph, checked against torch, and a before/after picture")
        style = finish(trainer, style_folder)
        if not quiet:
            say(f"{style.folder}: style {style.name}, {trainer.step} steps, licence {style.licence}")
            say(f"try it: streamtoon video in.mp4 out.mp4 --style {style.folder}")


def _demand_run(run: Path, resume: bool) -> None:
    """Neither a run nor a resumption by mistake."""
    if not resume and (run / "state.safetensors").exists():
        raise OutputError(f"{run} holds a run; add --resume to go on with it, or --run DIR to start another")


def _demand_place(out: Path, overwrite: bool) -> None:
    """The style must have a place before days are spent on it."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the style with --out")
    if (out / "card.toml").exists() and not overwrite:
        raise OutputError(f"{out} holds a style; add --overwrite to replace it, or name another with --out")


def _tools(
    recipe: Recipe, run: Path, device: str, devices: int, files: dict[str, Path]
) -> tuple[Trainer, Callable[[Trainer, Path], Style]]:
    """The trainer, and what finishes a style: what the end needs is missed at the beginning."""
    try:
        from training.finish import finish
        from training.start import open_fabric
        from training.trainer import Trainer
    except ModuleNotFoundError as error:
        raise StreamtoonError(
            f"training needs the package {error.name}; install it with: pip install 'streamtoon[train]'"
        ) from error
    return Trainer(recipe, run, open_fabric(recipe, device, devices), files), finish


def _train(trainer: Trainer, save_every: float, quiet: bool) -> None:
    """Runs to the end. The first Ctrl-C saves after the step at hand; a second one stops at once."""
    from streamtoon.cli.training_progress import shown

    told = signal.SIGINT

    def stop(number: int, _: object) -> None:
        nonlocal told
        told = signal.Signals(number)
        signal.signal(number, before[signal.Signals(number)])
        trainer.stop()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        with shown(trainer, quiet=quiet or not trainer.fabric.is_global_zero) as show:
            trainer.train(show, save_every=save_every * 60)
    except KeyboardInterrupt:
        if trainer.fabric.is_global_zero:
            kept = (trainer.run / "state.safetensors").exists()
            what = f"saved in {trainer.run}; the same line with --resume goes on after the last saved step"
            say(f"interrupted: {what if kept else 'nothing had been saved yet'}.", style="bold red")
        sys.exit(128 + told)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
