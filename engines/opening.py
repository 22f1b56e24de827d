"""How an engine is opened: by which backend, in which quality, and where memory does not suffice."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

from engines.backends import Runner, open_runner
from engines.engine import Engine, EngineFacts
from engines.errors import EngineError, OutOfMemoryError
from engines.picture import Colour
from engines.quality import choose_quality
from engines.style import DEFAULT_STYLE, Style, load_style, names_with_lite
from engines.working_size import Quality, WorkingSize, working_scale

QUALITIES = ("auto", "full", "fast", "lite")
"""What can be asked for."""


def open_engine(
    style: Style | str | Path = DEFAULT_STYLE,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    quality: Literal["auto", "full", "fast", "lite"] = "auto",
    detail: float | None = None,
    strength: float = 1.0,
    width: int,
    height: int,
    rate: Fraction | None = None,
    throughput: bool = False,
    colour: Colour | None = None,
) -> Engine:
    """An engine for pictures of width x height (others are taken too, and cost a compilation).

    `quality`: the generator sees pictures at the style's working height (`full`), at half of it (`fast`),
    at half of it and in its lite form, where the style has one (`lite`), or, `auto`, the first of these that
    holds `rate` (pictures a second; None: no hurry), measured in about a second; on a GPU always `full`.
    `detail`, above 0 and at most 1, overrides the size by a fraction of the picture's. `strength` runs from
    0, the source, to 1, the cartoon. `throughput`: what counts is pictures a second, not how long one takes;
    the engine then draws several `at_a_time` where that is faster. `colour`, where it is known: a GPU is made
    ready for such pictures too (see `Engine.prepare`), and where "auto" took TensorRT and that cannot draw
    them, torch does.

    Where memory does not suffice, one is drawn at a time, and then `full` and `auto` are drawn in `fast`.

    Raises StyleError for the style, EngineError for a backend, device or precision that is not here, a
    style without a lite form, or a value out of range, each in one sentence; OutOfMemoryError where nothing
    of that fits.
    """
    if quality not in QUALITIES:
        raise EngineError(f"unknown quality {quality!r}: known are {', '.join(QUALITIES)}")
    if detail is not None and not 0 < detail <= 1:
        raise EngineError(f"detail is {detail}: allowed is above 0 and at most 1")
    if not 0 <= strength <= 1:
        raise EngineError(f"strength is {strength}: allowed is 0 to 1")
    if width < 1 or height < 1:
        raise EngineError(f"pictures of {width}x{height} cannot be drawn: both sizes must be at least 1")
    if not isinstance(style, Style):
        style = load_style(style)
    if quality == "lite" and style.lite is None:
        raise EngineError(_no_lite(style))
    open_as = partial(
        _open,
        style,
        backend=backend,
        device=device,
        precision=precision,
        detail=detail,
        strength=strength,
        width=width,
        height=height,
        rate=rate,
        colour=colour,
    )
    # Each try in a block of its own: what failed holds its memory for as long as its error is at hand.
    for several in (True, False) if throughput else (False,):
        with suppress(OutOfMemoryError):
            return open_as(quality=quality, throughput=several)
    if quality not in ("auto", "full") or detail is not None:
        raise OutOfMemoryError(_no_memory(width, height))
    with suppress(OutOfMemoryError):
        engine = open_as(quality="fast", throughput=False)
        said = f"There is not enough memory to draw {width}x{height} in {quality}: it is drawn in fast."
        engine.facts = dataclasses.replace(engine.facts, given_up=f"{said} {engine.facts.given_up}".rstrip())
        return engine
    raise OutOfMemoryError(_no_memory(width, height))


def _open(
    style: Style,
    *,
    backend: str,
    device: str,
    precision: str,
    quality: Literal["auto", "full", "fast", "lite"],
    detail: float | None,
    strength: float,
    width: int,
    height: int,
    rate: Fraction | None,
    throughput: bool,
    colour: Colour | None,
) -> Engine:
    """`open_engine`, its arguments checked, in one way."""
    forms: dict[Quality, Style] = {"full": style, "fast": style, "custom": style}
    if style.lite is not None:
        forms["lite"] = style.lite
        forms["custom"] = style.lite if quality == "lite" else style
    chosen_backend = backend

    def open_form(form: Style, padded_height: int, padded_width: int) -> Runner:
        nonlocal chosen_backend
        chosen_backend, runner = open_runner(
            form,
            backend=chosen_backend,
            device=device,
            precision=precision,
            height=padded_height,
            width=padded_width,
            throughput=throughput,
        )
        return runner

    def size_at(kind: Quality) -> WorkingSize:
        form = forms[kind]
        scale = working_scale(kind, detail, form.working_height, height, width)
        return WorkingSize.of(height, width, scale, form.size_multiple)

    def open_kind(kind: Quality) -> Runner:
        size = size_at(kind)
        return open_form(forms[kind], size.padded_height, size.padded_width)

    asked: Quality | Literal["auto"] = "custom" if detail is not None else quality
    # A form without an int8 graph is none to fall back on where int8 was asked for.
    has_lite = "lite" in forms and (precision != "int8" or forms["lite"].int8_graph is not None)
    choice = choose_quality(asked, rate, size_at, open_kind, has_lite=has_lite)
    size, form = size_at(choice.quality), forms[choice.quality]
    facts = EngineFacts(
        backend=chosen_backend,
        device=choice.runner.device,
        precision=choice.runner.precision,
        generator=form.generator,
        style=style.name,
        quality=choice.quality,
        scale=working_scale(choice.quality, detail, form.working_height, height, width),
        working_width=size.small_width,
        working_height=size.small_height,
        reason=choice.reason,
    )
    first = {(size.padded_height, size.padded_width): choice.runner}
    engine = Engine(form, facts, detail, strength, partial(open_form, form), first)
    if colour is None:
        return engine
    try:
        engine.prepare(width, height, colour)
    except EngineError as error:
        engine.close()
        is_auto = (backend, chosen_backend) == ("auto", "tensorrt")
        if isinstance(error, OutOfMemoryError) or not is_auto or precision not in ("auto", "fp16", "fp32"):
            raise
        engine = _open(
            style,
            backend="torch",
            device=device,
            precision=precision,
            quality=quality,
            detail=detail,
            strength=strength,
            width=width,
            height=height,
            rate=rate,
            throughput=throughput,
            colour=colour,
        )
        said = f"TensorRT cannot draw this: {str(error).rstrip('.')}. PyTorch does."
        engine.facts = dataclasses.replace(engine.facts, given_up=said)
    except BaseException:  # Ctrl-C, in the minutes that TensorRT may take
        engine.close()
        raise
    return engine


def _no_memory(width: int, height: int) -> str:
    return f"there is not enough memory to draw {width}x{height}: close other programs first"


def _no_lite(style: Style) -> str:
    """Why `lite` cannot be, and what can."""
    names = ", ".join(names_with_lite())
    others = f"take a style that has one ({names}) or quality fast" if names else "take quality fast"
    return f"style {style.name} has no lite network: {others}"
