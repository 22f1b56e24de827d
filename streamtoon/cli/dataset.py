"""`streamtoon dataset`: pictures to train on, out of films and folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtoon.cli.common import JsonOption, QuietOption, print_json, say, say_warnings
from streamtoon.errors import StreamtoonError

dataset = typer.Typer(
    no_args_is_help=True, help="Make pictures to train on out of films and folders, and clean them."
)

TAKE_PANEL = "Which pictures"
WRITE_PANEL = "How they are written"

# Backspace: keep the line breaks of these paragraphs.
FRAMES_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset frames film.mkv frames/
streamtoon dataset frames film.mkv frames/ --every 5 --size 512 --format webp
streamtoon dataset frames film.mkv frames/ --crop 16:9 --limit 2000
"""
CHECK_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset check photos/ --dry-run
streamtoon dataset check photos/ --smallest 512
streamtoon dataset check photos/ --undo
"""
SMOOTH_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset smooth cartoons/ cartoons-smooth/
"""
SUPERPIXELS_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset superpixels photos/
streamtoon dataset superpixels photos/ --recipe my-style.toml
"""
COLLAGES_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset collages crawled/ pairs/
streamtoon dataset collages crawled/ pairs/ --real top-left --cartoon bottom-right
"""

FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", exists=True, file_okay=False, help="A folder of pictures, and all below."),
]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", file_okay=False, help="The folder to write to.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Processes at work; all cores by default.", show_default=False),
]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS = "top-left, top-right, bottom-left or bottom-right"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _warn_of(sentences: tuple[str, ...], most: int = 5) -> None:
    """The first few, and how many more there are."""
    more = len(sentences) - most
    say_warnings((*sentences[:most], *([f"{more} more like that"] if more > 0 else [])))


def _parse_crop(text: str) -> str:
    """Raises typer.BadParameter, which ends as wrong usage."""
    if text in ("auto", "none"):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text)
    if not match or not 0.2 <= float(match[1]) / (float(match[2]) or 1e-9) <= 5:
        raise typer.BadParameter(f"{text!r} is no crop; write auto, none, or a shape such as 16:9")
    return text


@contextmanager
def _pictures(folder: Path, *, quiet: bool) -> Iterator[Callable[[int, int], object] | None]:
    """Within this block, what it gives shows how many pictures of `folder` are done."""
    from streamtoon.cli.counting import counting

    with counting(folder.name or str(folder), "pictures", quiet=quiet) as count:
        yield None if count is None else lambda done, total: count(done, total, "")


@dataset.command(epilog=FRAMES_EXAMPLES)
def frames(
    film: Annotated[
        Path,
        typer.Argument(metavar="FILM", exists=True, dir_okay=False, help="Any video that FFmpeg reads."),
    ],
    out: OutArgument,
    per_scene: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=8, help="Pictures of a scene at most.", rich_help_panel=TAKE_PANEL
        ),
    ] = 3,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.25,
            help="One picture for so many seconds of a scene instead, and one at least.",
            rich_help_panel=TAKE_PANEL,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Stop at so many pictures.", rich_help_panel=TAKE_PANEL),
    ] = None,
    near: Annotated[
        int,
        typer.Option(
            metavar="BITS",
            min=0,
            max=32,
            help="Bits of their perceptual hash up to which two pictures are one.",
            rich_help_panel=TAKE_PANEL,
        ),
    ] = 8,
    crop: Annotated[
        str,
        typer.Option(
            parser=_parse_crop,
            metavar="auto|none|W:H",
            help="[bold]auto[/bold] cuts black bars off; a shape such as 16:9 cuts the picture to it, too.",
            rich_help_panel=WRITE_PANEL,
        ),
    ] = "auto",
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=64,
            help="Shrink larger pictures to a short side of N pixels.",
            rich_help_panel=WRITE_PANEL,
        ),
    ] = None,
    form: Annotated[
        Literal["png", "webp"],
        typer.Option("--format", help="Lossless, or smaller.", rich_help_panel=WRITE_PANEL),
    ] = "png",
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Remove what an earlier run wrote to OUT.", rich_help_panel=WRITE_PANEL
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take sharp, different pictures out of a film, scene by scene.

    Black, empty, blurred and repeated pictures and credits are left out. Pictures are named by their time.
    Contact sheets of what was kept, and of what was not and why, go to OUT.sheets. Run again, an interrupted
    extraction goes on.
    """
    from streamtoon.cli.counting import counting
    from streamtoon.dataset import take_frames
    from training.data.manifest import Choice

    choice = Choice(per_scene, every, crop, size, limit, form, near)
    with counting(film.name, "frames", quiet=quiet) as count:
        taken = take_frames(film, out, choice, restart=restart, on_progress=count)
    say_warnings(taken.warnings)
    if as_json:
        print_json(taken.as_dict())
    elif not quiet:
        say(
            f"{out}: {_some(taken.kept, 'picture')} of {_some(taken.scenes, 'scene')},"
            f" {taken.rejected} left out{f' ({taken.why})' if taken.why else ''},"
            f" {taken.width}x{taken.height}"
            + ("; it was done already" if taken.was_done else f" in {taken.seconds:.1f} s"),
            stderr=False,
        )
        for sheet in taken.sheets:
            say(f"  {sheet}", style="dim", stderr=False)


@dataset.command(epilog=CHECK_EXAMPLES)
def check(
    folder: FolderArgument,
    smallest: Annotated[int, typer.Option(metavar="N", min=1, help="Least side in pixels.")] = 256,
    near: Annotated[
        int,
        typer.Option(
            metavar="BITS",
            min=-1,
            max=32,
            help="Bits of the perceptual hash up to which two pictures are one; -1 for exact copies alone.",
        ),
    ] = 4,
    keep_grey: Annotated[
        bool, typer.Option("--keep-grey", help="Grey pictures are wanted, such as ink drawings.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be set aside.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Bring back all that was set aside.")] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Set aside what cannot be trained on: unopenable, tiny, grey and repeated pictures.

    Nothing is deleted: they are moved to DIR.set-aside, into a folder for each reason, with a report.
    """
    from training.data import checking

    if undo and dry_run:
        raise typer.BadParameter("--undo and --dry-run do not go together")
    if undo:
        moved, stuck = checking.undo(folder)
        say_warnings(tuple(f"{path} stays aside: another file has its place" for path in stuck))
        if as_json:
            print_json({"folder": str(folder), "brought_back": moved, "stuck": stuck})
        elif not quiet:
            say(f"{folder}: {_some(moved, 'picture')} brought back", stderr=False)
        return
    with _pictures(folder, quiet=quiet) as count:
        found, total = checking.check(
            folder, smallest=smallest, near=near, keep_grey=keep_grey, workers=workers, on_progress=count
        )
    report = checking.set_aside(folder, found) if found and not dry_run else None
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "pictures": total,
                "report": str(report) if report else None,
                "found": [
                    {"path": each.path, "reason": each.reason, "detail": each.detail} for each in found
                ],
            }
        )
        return
    if not quiet:
        for each in found:
            say(f"{each.reason:>14}  {each.path}: {each.detail}", stderr=False)
        verb = "would be set aside" if dry_run else "set aside"
        where = "" if report is None else f"; {report} says which, --undo brings them back"
        say(f"{folder}: {len(found)} of {_some(total, 'picture')} {verb}{where}", stderr=False)


@dataset.command(epilog=SMOOTH_EXAMPLES)
def smooth(
    folder: FolderArgument,
    out: OutArgument,
    width: Annotated[
        int, typer.Option(metavar="N", min=3, max=31, help="Pixels that an edge is smoothed over, odd.")
    ] = 5,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write edge-smoothed copies of drawings, as CartoonGAN and AnimeGAN train against.

    Copies have the names of their originals; those that are there and no older are not made again.
    """
    from training.data.smoothing import smooth_folder

    if width % 2 == 0:
        raise typer.BadParameter(f"--width is {width}, expected an odd number")
    with _pictures(folder, quiet=quiet) as count:
        done = smooth_folder(folder, out, width=width, workers=workers, on_progress=count)
    _warn_of(done.failed)
    if as_json:
        print_json({"written": done.written, "present": done.present, "failed": list(done.failed)})
    elif not quiet:
        say(f"{out}: {_some(done.written, 'picture')} written, {done.present} there before", stderr=False)


@dataset.command(epilog=SUPERPIXELS_EXAMPLES)
def superpixels(
    folder: FolderArgument,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE",
            help="The recipe that is to learn from them, by name or file: each may want its own.",
            show_default=False,
        ),
    ] = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compute the flat, inked abstractions of photographs ahead of a training that learns from them.

    What is there already is not computed again. A training finds them by the photographs' pixels.
    """
    from importlib.util import find_spec

    if find_spec("skimage") is None:
        raise StreamtoonError("superpixels need scikit-image; run: pip install 'streamtoon[train]'")
    from training.data.structure import default_cache, fill_folder
    from training.recipe import PLAIN
    from training.recipe_file import find_recipe, read_recipe

    read = read_recipe(find_recipe(recipe)) if recipe else None
    if read and "abstraction" not in read.terms():
        raise StreamtoonError(
            f"recipe {recipe} does not learn from abstractions: there is nothing to compute"
        )
    how = read.abstraction if read else PLAIN
    cache = default_cache()
    with _pictures(folder, quiet=quiet) as count:
        done = fill_folder(folder, cache, how, workers=workers, on_progress=count)
    _warn_of(done.failed)
    if as_json:
        print_json(
            {
                "cache": str(done.cache),
                "computed": done.computed,
                "present": done.present,
                "failed": list(done.failed),
            }
        )
    elif not quiet:
        say(
            f"{done.cache}: {_some(done.computed, 'abstraction')} computed, {done.present} there before",
            stderr=False,
        )


@dataset.command(epilog=COLLAGES_EXAMPLES)
def collages(
    folder: FolderArgument,
    out: OutArgument,
    real: Annotated[
        Corner, typer.Option(metavar="CORNER", help=f"Where the photograph lies: {CORNERS}.")
    ] = "top-left",
    cartoon: Annotated[Corner, typer.Option(metavar="CORNER", help="Where the cartoon lies.")] = "top-right",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cut collages of two by two into pairs: OUT/real/NAME.png and OUT/cartoon/NAME.png.

    Pictures without a seam in the middle both ways are listed and left out.
    """
    from training.data.collages import cut_folder

    if real == cartoon:
        raise typer.BadParameter(f"--real and --cartoon are both {real}")
    with _pictures(folder, quiet=quiet) as count:
        done = cut_folder(folder, out, real=real, cartoon=cartoon, workers=workers, on_progress=count)
    if as_json:
        print_json({"pairs": done.pairs, "left_out": list(done.left_out)})
        return
    if not quiet:
        for sentence in done.left_out:
            say(f"left out: {sentence}", stderr=False)
        say(
            f"{out}: {_some(done.pairs, 'pair')}, {_some(len(done.left_out), 'picture')} left out",
            stderr=False,
        )
