"""Trains a style: `python -m training recipe.toml --vgg vgg16.safetensors --show photos --out my-style`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from engines.errors import StreamtoonError


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe, TOML; training/recipes has some.")],
    vgg: Annotated[Path, typer.Option(help="VGG-16's features, safetensors with torchvision's key names.")],
    show: Annotated[Path, typer.Option(help="Folder of photographs to watch the training on.")],
    out: Annotated[Path, typer.Option(help="Where the finished style goes.")],
    run: Annotated[Path, typer.Option(help="Where weights and pictures on the way go.")] = Path(
        "runs/latest"
    ),
    start: Annotated[Path | None, typer.Option(help="A run's state.safetensors to set out from.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Makes a style out of a folder of photographs and a folder of drawings."""
    console = Console(stderr=True)
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=console, show_path=False)])
    logging.getLogger("training").setLevel(logging.INFO)  # ours alone: exporters tell their own story too
    # torch takes seconds to import: a wrong recipe is told before.
    from training.recipe import read_recipe

    try:
        read = read_recipe(recipe)
        from training.finish import finish
        from training.trainer import Trainer

        trainer = Trainer(read, run, vgg, device)
        if start:
            trainer.start_from(start)
        trainer.train(show)
        style = finish(read, trainer.average, show, out)
    except StreamtoonError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(f"{style.folder}: style {style.name}, {style.parameters} parameters")


if __name__ == "__main__":
    typer.run(main)
