"""`streamtoon dataset`: make and clean sets of training images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from engines.common.extras import install_line
from streamtoon.cli.commands import Commands
from streamtoon.cli.common import (
    FacesOption,
    JsonOption,
    QuietOption,
    print_json,
    require_use_of_faces,
    say,
    say_warnings,
)
from streamtoon.errors import StreamtoonError

dataset = Commands(no_args_is_help=True, help="Make training images from videos and folders, and clean them.")

TAKE_PANEL = "Selection"
WRITE_PANEL = "Output"

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
FIELDS_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset fields photos/
streamtoon dataset fields photos/ --recipe my-style.toml
streamtoon dataset fields photos/ --variant faces
streamtoon dataset fields photos/ --cache /shared/fields --ray auto
"""
COLLAGES_EXAMPLES = """\b
[bold]Examples[/bold]
streamtoon dataset collages crawled/ pairs/
streamtoon dataset collages crawled/ pairs/ --real top-left --cartoon bottom-right
"""

FolderArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", exists=True, file_okay=False, help="A folder of images, searched recursively."
    ),
]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", file_okay=False, help="The output folder.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Number of processes. Default: all cores.", show_default=False),
]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS = "top-left, top-right, bottom-left or bottom-right"


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _warn_of(sentences: tuple[str, ...], limit: int = 5) -> None:
    """Print the first few warnings, and how many more there are."""
    more = len(sentences) - limit
    say_warnings((*sentences[:limit], *([f"{more} more like this"] if more > 0 else [])))


def _parse_crop(text: str) -> str:
    """Check a crop and return it. Raises typer.BadParameter."""
    if text in ("auto", "none"):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", text)
    if not match or not 0.2 <= float(match[1]) / (float(match[2]) or 1e-9) <= 5:
        raise typer.BadParameter(f"{text!r} is not a crop; use auto, none, or an aspect ratio such as 16:9")
    return text


@contextmanager
def _image_progress(folder: Path, *, quiet: bool) -> Iterator[Callable[[int, int], object] | None]:
    """Yield a function that shows how many images of `folder` are done; None with `quiet`."""
    from streamtoon.cli.file_progress import counting

    with counting(folder.name or str(folder), "images", quiet=quiet) as count:
        yield None if count is None else lambda done, total: count(done, total, "")


@dataset.command(epilog=FRAMES_EXAMPLES)
def frames(
    film: Annotated[
        Path,
        typer.Argument(metavar="FILM", exists=True, dir_okay=False, help="A video that FFmpeg reads."),
    ],
    out: OutArgument,
    per_scene: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=8, help="Maximum number of frames per scene.", rich_help_panel=TAKE_PANEL
        ),
    ] = 3,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.25,
            help="Take one frame per SECONDS of a scene instead, and at least one per scene.",
            rich_help_panel=TAKE_PANEL,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Stop after N frames.", rich_help_panel=TAKE_PANEL),
    ] = None,
    near: Annotated[
        int,
        typer.Option(
            metavar="BITS",
            min=0,
            max=32,
            help="Frames whose perceptual hashes differ in at most this many bits are duplicates.",
            rich_help_panel=TAKE_PANEL,
        ),
    ] = 8,
    crop: Annotated[
        str,
        typer.Option(
            parser=_parse_crop,
            metavar="auto|none|W:H",
            help="[bold]auto[/bold] removes black bars; an aspect ratio such as 16:9 also crops to it.",
            rich_help_panel=WRITE_PANEL,
        ),
    ] = "auto",
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=64,
            help="Shrink larger frames to a short side of N pixels.",
            rich_help_panel=WRITE_PANEL,
        ),
    ] = None,
    form: Annotated[
        Literal["png", "webp"],
        typer.Option("--format", help="png is lossless, webp smaller.", rich_help_panel=WRITE_PANEL),
    ] = "png",
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Start over; remove an earlier run's images from OUT.",
            rich_help_panel=WRITE_PANEL,
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Extract sharp, distinct frames from a video, scene by scene.

    Black, empty, blurred and repeated frames and credits are skipped. Files are named by their timestamps.
    Contact sheets of the frames that were kept and skipped, with the reason, go to OUT.sheets. Run the same
    command again to continue an interrupted extraction.
    """
    from streamtoon.cli.file_progress import counting
    from streamtoon.tools.extract_frames import take_frames
    from training.curation.manifest import FrameChoice

    choice = FrameChoice(per_scene, every, crop, size, limit, form, near)
    with counting(film.name, "frames", quiet=quiet) as count:
        taken = take_frames(film, out, choice, restart=restart, on_progress=count)
    say_warnings(taken.warnings)
    if as_json:
        print_json(taken.as_dict())
    elif not quiet:
        say(
            f"{out}: {_some(taken.kept, 'frame')} of {_some(taken.scenes, 'scene')},"
            f" {taken.rejected} skipped{f' ({taken.why})' if taken.why else ''},"
            f" {taken.width}x{taken.height}"
            + ("; already done" if taken.was_done else f" in {taken.seconds:.1f} s"),
            stderr=False,
        )
        for sheet in taken.sheets:
            say(f"  {sheet}", style="dim", stderr=False)


@dataset.command(epilog=CHECK_EXAMPLES)
def check(
    folder: FolderArgument,
    smallest: Annotated[int, typer.Option(metavar="N", min=1, help="Minimum side in pixels.")] = 256,
    near: Annotated[
        int,
        typer.Option(
            metavar="BITS",
            min=-1,
            max=32,
            help="Images whose perceptual hashes differ in at most this many bits are duplicates; -1: exact "
            "copies only.",
        ),
    ] = 4,
    keep_grey: Annotated[
        bool, typer.Option("--keep-grey", help="Keep grey images, such as ink drawings.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be set aside.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Move everything that was set aside back.")] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Set aside images that are unfit for training: unreadable, tiny, grey and duplicate ones.

    Nothing is deleted: the images are moved to DIR.set-aside, into a folder for each reason, with a report.
    """
    from training.curation import clean

    if undo and dry_run:
        raise typer.BadParameter("--undo and --dry-run cannot be combined")
    if undo:
        moved, stuck = clean.undo(folder)
        say_warnings(tuple(f"{path} was not moved back: another file has its name" for path in stuck))
        if as_json:
            print_json({"folder": str(folder), "brought_back": moved, "stuck": stuck})
        elif not quiet:
            say(f"{folder}: {_some(moved, 'image')} moved back", stderr=False)
        return
    with _image_progress(folder, quiet=quiet) as count:
        found, total = clean.check(
            folder, smallest=smallest, near=near, keep_grey=keep_grey, workers=workers, on_progress=count
        )
    report = clean.set_aside(folder, found) if found and not dry_run else None
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
        where = "" if report is None else f"; see {report}; --undo moves them back"
        say(f"{folder}: {len(found)} of {_some(total, 'image')} {verb}{where}", stderr=False)


@dataset.command(epilog=SMOOTH_EXAMPLES)
def smooth(
    folder: FolderArgument,
    out: OutArgument,
    width: Annotated[
        int, typer.Option(metavar="N", min=3, max=31, help="Width of the smoothing in pixels; odd.")
    ] = 5,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write edge-smoothed copies of drawings, which CartoonGAN and AnimeGAN use as negative examples.

    Copies have the names of their originals. Up-to-date copies are not made again.
    """
    from training.curation.smooth import smooth_folder

    if width % 2 == 0:
        raise typer.BadParameter(f"--width is {width}; use an odd number")
    with _image_progress(folder, quiet=quiet) as count:
        done = smooth_folder(folder, out, width=width, workers=workers, on_progress=count)
    _warn_of(done.failed)
    if as_json:
        print_json({"written": done.written, "present": done.present, "failed": list(done.failed)})
    elif not quiet:
        say(f"{out}: {_some(done.written, 'image')} written, {done.present} up to date", stderr=False)


@dataset.command(epilog=FIELDS_EXAMPLES)
def fields(
    folder: FolderArgument,
    recipe: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="Name or file of the recipe that will learn from them."),
    ] = "paint-and-ink",
    variant: Annotated[str, typer.Option(metavar="NAME", help="One of the recipe's variants.")] = "",
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="CACHE",
            file_okay=False,
            help="Folder for the results; name it to train as well. Default: the user's cache.",
            show_default=False,
        ),
    ] = None,
    workers: WorkersOption = None,
    faces: FacesOption = None,
    ray: Annotated[
        str,
        typer.Option(
            metavar="local|auto|ray://HOST:PORT",
            help="Compute on all CPUs of a Ray cluster, whose nodes must share DIR and CACHE.",
            show_default=False,
        ),
    ] = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compute paint and ink fields of photos before a training that learns from them.

    A photo of 1280 x 720 takes about 3 s on one core. Results are cached by the photos' contents, and a
    training finds them there.
    """
    if ray and workers is not None:
        raise typer.BadParameter("--workers counts processes of this machine; leave it out with --ray")
    from importlib.util import find_spec

    if find_spec("numba") is None:
        raise StreamtoonError(f"fields need numba; run: {install_line('train')}")
    from training.data.field_pairs import make_pairs, pair_cache
    from training.recipe_loader import find_recipe, read_recipe

    read = read_recipe(find_recipe(recipe), variant)
    if not read.learns_from_fields:
        raise StreamtoonError(f"recipe {recipe} does not use fields: nothing to compute")
    require_use_of_faces(faces, found=read.fields.faces)
    place = pair_cache(cache)
    with ExitStack() as stack:
        if ray:
            from training.ray_cluster import ray_cluster, ray_map

            stack.enter_context(ray_cluster(ray))
        count = stack.enter_context(_image_progress(folder, quiet=quiet))
        pairs = make_pairs(
            folder.resolve(),
            place,
            read.fields,
            read.data.scales,
            workers,
            count,
            ray_map if ray else None,
            faces,
        )
    if as_json:
        print_json({"cache": str(place), "pairs": len(pairs)})
    elif not quiet:
        say(f"{place}: {_some(len(pairs), 'pair')} of photo and fields", stderr=False)


@dataset.command(epilog=COLLAGES_EXAMPLES)
def collages(
    folder: FolderArgument,
    out: OutArgument,
    real: Annotated[
        Corner, typer.Option(metavar="CORNER", help=f"Corner of the photo: {CORNERS}.")
    ] = "top-left",
    cartoon: Annotated[Corner, typer.Option(metavar="CORNER", help="Corner of the cartoon.")] = "top-right",
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cut two-by-two collages into pairs: OUT/real/NAME.png and OUT/cartoon/NAME.png.

    Images without a seam in the middle, both ways, are listed and skipped.
    """
    from training.curation.collages import cut_folder

    if real == cartoon:
        raise typer.BadParameter(f"--real and --cartoon are both {real}; choose two corners")
    with _image_progress(folder, quiet=quiet) as count:
        done = cut_folder(folder, out, real=real, cartoon=cartoon, workers=workers, on_progress=count)
    if as_json:
        print_json({"pairs": done.pairs, "left_out": list(done.left_out)})
        return
    if not quiet:
        for sentence in done.left_out:
            say(f"skipped {sentence}", stderr=False)
        say(
            f"{out}: {_some(done.pairs, 'pair')}, {_some(len(done.left_out), 'image')} skipped",
            stderr=False,
        )
