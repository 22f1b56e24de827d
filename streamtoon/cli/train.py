"""`streamtoon train`: train a style on a folder of photos and a folder of drawings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtoon.cli.common import FacesOption, OverwriteOption, QuietOption, require_use_of_faces
from streamtoon.errors import OutputError

DATA_PANEL = "Data"
RUN_PANEL = "Run"

EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon train fpt-unet --source photos/ --target drawings/
streamtoon train fpt-unet --source photos/ --target drawings/ --variant more-texture
streamtoon train my-style.toml --set batch=4 --set weights.texture=2
streamtoon train my-style.toml --resume
streamtoon train my-style.toml --ray auto --devices 8
streamtoon train --explain weights.texture
streamtoon video in.mp4 out.mp4 --style my-style
"""


def _complete_recipe(incomplete: str) -> list[str]:
    from training.recipe_loader import bundled_recipes

    return [name for name in bundled_recipes() if name.startswith(incomplete.lower())]


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            autocompletion=_complete_recipe,
            help="A recipe file (TOML), or the name of a bundled recipe.",
            show_default=False,
        ),
    ] = "",
    source: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of photos to learn from.", rich_help_panel=DATA_PANEL),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of drawings that set the style.", rich_help_panel=DATA_PANEL
        ),
    ] = None,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images for samples during training; best not from the training data.",
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
            help="Override a key of the recipe; may be repeated.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for the finished style. Default: the recipe's name.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for checkpoints, curves and samples. Default: runs/NAME.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run.", rich_help_panel=RUN_PANEL)
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(
            metavar="MINUTES", min=0.01, help="Minutes between checkpoints.", rich_help_panel=RUN_PANEL
        ),
    ] = 10.0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on.", rich_help_panel=RUN_PANEL)
    ] = "auto",
    devices: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of GPUs, or of processes on a CPU. They share each batch of the recipe.",
            rich_help_panel=RUN_PANEL,
        ),
    ] = 1,
    ray: Annotated[
        str,
        typer.Option(
            metavar="local|auto|ray://HOST:PORT",
            help="Train on N devices of a Ray cluster. All folders must be on storage that its nodes share.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = "",
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of computed fields (streamtoon dataset fields). Default: the user's cache.",
            rich_help_panel=DATA_PANEL,
            show_default=False,
        ),
    ] = None,
    vgg16: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of VGG-16. Default: torchvision's, downloaded once.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    vgg19: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of VGG-19. Default: torchvision's, downloaded once.",
            rich_help_panel=RUN_PANEL,
            show_default=False,
        ),
    ] = None,
    faces: FacesOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Explain a recipe key or table, named in place of RECIPE. Without a name: list all keys.",
            rich_help_panel=DATA_PANEL,
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a style on a folder of photos and a folder of drawings.

    Use at least 500 of each. The estimated time is printed after the first steps; on a CPU a long recipe can
    take days. Add --set steps=500 for a first try.
    """
    if explain:
        from streamtoon.cli.train_explain import explain as explain_key

        explain_key(recipe)
        return
    if not recipe:
        raise typer.BadParameter("name a recipe: a TOML file, or a bundled one such as fpt-unet")
    # Read the recipe before torch, which takes seconds to import.
    from training.recipe_loader import find_recipe, read_recipe

    folders = {"source": source, "target": target, "show": watch}
    given = [f"data.{key}={json.dumps(str(path))}" for key, path in folders.items() if path]
    read = read_recipe(find_recipe(recipe), variant, [*given, *(settings or ())])
    require_use_of_faces(faces, found=read.fields.faces)
    folder, style_folder = run or Path("runs") / read.name, out or Path(read.name)
    resume = resume or _goes_on_after_failure(folder)
    _require_new_run(folder, resume)
    _require_free_place(style_folder, overwrite)
    from streamtoon.cli.train_run import TrainJob, train_here, train_on_ray

    files = {name: path for name, path in {"vgg16": vgg16, "vgg19": vgg19, "faces": faces}.items() if path}
    job = TrainJob(
        read, folder, style_folder, Path.cwd(), device, devices, files, cache, resume, save_every, quiet
    )
    if ray:
        train_on_ray(job, ray)
    else:
        train_here(job)


def _goes_on_after_failure(run: Path) -> bool:
    """Return whether torchrun started this process again, and the run has a saved state."""
    restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    return restarted and (run / "state.safetensors").exists()


def _require_new_run(run: Path, resume: bool) -> None:
    """Refuse to start over in a folder that holds a run."""
    if not resume and (run / "state.safetensors").exists():
        raise OutputError(
            f"{run} already holds a run; add --resume to continue it, or --run DIR to start another"
        )


def _require_free_place(out: Path, overwrite: bool) -> None:
    """Check the style's folder before a training of days."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the style with --out")
    if (out / "card.toml").exists() and not overwrite:
        raise OutputError(
            f"{out} already holds a style; add --overwrite to replace it, or choose another folder with --out"
        )
