"""Opening an engine: which backend, which quality, and what happens where memory is short."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Literal, cast

from engines.auto_quality import choose_quality
from engines.backends.base import Runner
from engines.backends.selection import open_runner
from engines.engine import Engine, EngineFacts, Setup
from engines.errors import EngineError, OutOfMemoryError, StyleError
from engines.fields_engine import FieldsEngine
from engines.frame import ColorInfo
from engines.generators import margin_of
from engines.imaging.temporal_filter import Stabilizer
from engines.imaging.working_size import FIELD_SHARES, SHARES, BlockSize, WorkingSize, working_scale
from engines.registry.style import Style, names_with_lite
from engines.rgb_engine import RgbEngine
from engines.settings import EngineSettings
from engines.spec import NAMED_QUALITIES, AskedQuality, Quality


def open_engine(
    settings: EngineSettings,
    *,
    width: int,
    height: int,
    rate: Fraction | None = None,
    throughput: bool = False,
    colour: ColorInfo | None = None,
) -> Engine:
    """Open an engine for frames of one size. It takes other sizes too; each costs a compilation.

    `full` shows the generator the frame at the style's working height, `fast` at half of it, `lite` at half
    of it in the style's lite form. In a style that is a look, `fast` is the small network at the working
    height, and `lite` the small network at three quarters of it. `auto` is the first of these that keeps up
    with `rate`, measured in about a second; the best that is nearly as quick as the quickest where none keeps
    up; `full` without a rate and on a GPU.

    Where memory is short, the engine renders one frame at a time, and then `fast` in place of `full` and
    `auto`.

    Args:
        settings: The style and how it is rendered.
        width: Of the frames, pixels.
        height: Of the frames, pixels.
        rate: Frames per second that `auto` has to keep up with; None for no hurry.
        throughput: Whether frames per second count more than the time of one frame. The engine then renders
            several frames concurrently where that is faster.
        colour: Of the frames, where it is known. A GPU is then prepared for it (see `Engine.prepare`), and
            where `auto` took TensorRT and that cannot render such frames, torch does.

    Raises:
        StyleError: The style cannot be rendered as it is.
        EngineError: A backend, device or precision is not available here, the style has no lite form, or the
            size is not positive.
        OutOfMemoryError: There is not enough memory for any of these.
    """
    style = settings.style
    if width < 1 or height < 1:
        raise EngineError(f"frames of {width}x{height} cannot be drawn: both sizes must be at least 1")
    if style.gives_fields and style.look is None:
        raise StyleError(f"{style.folder} is a network without a look: name a style that draws with it")
    if settings.quality == "lite" and style.lite is None:
        raise EngineError(_no_lite(style))
    open_as = partial(_open, width=width, height=height, rate=rate, colour=colour)
    # Each try in a block of its own: an error keeps alive what it failed with, and its memory.
    for several in (True, False) if throughput else (False,):
        with suppress(OutOfMemoryError):
            return open_as(settings, throughput=several)
    if settings.quality not in ("auto", "full") or settings.detail is not None:
        raise OutOfMemoryError(_no_memory(width, height))
    with suppress(OutOfMemoryError):
        engine = open_as(settings.replace(quality="fast"), throughput=False)
        said = (
            f"There is not enough memory to draw {width}x{height} in {settings.quality}: it is drawn in fast."
        )
        engine.facts = dataclasses.replace(engine.facts, given_up=f"{said} {engine.facts.given_up}".rstrip())
        return engine
    raise OutOfMemoryError(_no_memory(width, height))


def _open(
    settings: EngineSettings,
    *,
    width: int,
    height: int,
    rate: Fraction | None,
    throughput: bool,
    colour: ColorInfo | None,
) -> Engine:
    """Open an engine in exactly one way."""
    style, detail = settings.style, settings.detail
    shares = FIELD_SHARES if style.gives_fields else SHARES
    kinds: tuple[Quality, ...] = NAMED_QUALITIES if style.lite is not None else ("full", "fast")
    forms: dict[Quality, Style] = {kind: style.form(kind) for kind in kinds}
    forms["custom"] = style.form(settings.quality)
    chosen_backend = settings.backend

    def open_form(form: Style, padded_height: int, padded_width: int) -> Runner:
        nonlocal chosen_backend
        chosen_backend, runner = open_runner(
            form,
            backend=chosen_backend,
            device=settings.device,
            precision=settings.precision,
            height=padded_height,
            width=padded_width,
            throughput=throughput,
        )
        return runner

    def size_at(kind: Quality) -> WorkingSize:
        form = forms[kind]
        scale = working_scale(kind, detail, form.working_height, height, width, shares)
        kind_of_size = BlockSize if form.gives_fields else WorkingSize
        return kind_of_size.of(height, width, scale, form.size_multiple, margin_of(form.generator))

    def open_kind(kind: Quality) -> Runner:
        return open_form(forms[kind], *size_at(kind).given[:2])

    quality = cast(AskedQuality, settings.quality)
    asked: Quality | Literal["auto"] = "custom" if detail is not None else quality
    # A form without an int8 graph is no alternative where int8 was asked for.
    has_lite = "lite" in forms and (settings.precision != "int8" or forms["lite"].int8_graph is not None)
    choice = choose_quality(asked, rate, size_at, open_kind, has_lite=has_lite)
    size, form = size_at(choice.quality), forms[choice.quality]
    facts = EngineFacts(
        backend=chosen_backend,
        device=choice.runner.device,
        precision=choice.runner.precision,
        generator=form.generator,
        style=style.name,
        quality=choice.quality,
        scale=working_scale(choice.quality, detail, form.working_height, height, width, shares),
        working_width=size.small_width,
        working_height=size.small_height,
        reason=choice.reason,
        too_slow=choice.too_slow,
    )
    setup = Setup(
        style=form,
        facts=facts,
        detail=detail,
        strength=settings.strength,
        open_at=partial(open_form, form),
        first={size.given[:2]: choice.runner},
        stabilizer=Stabilizer(settings.stabilize),
    )
    engine: Engine = FieldsEngine(setup) if form.gives_fields else RgbEngine(setup)
    if colour is None:
        return engine
    try:
        engine.prepare(width, height, colour)
    except EngineError as error:
        engine.close()
        is_auto = (settings.backend, chosen_backend) == ("auto", "tensorrt")
        torch_can = settings.precision in ("auto", "fp16", "fp32")
        if isinstance(error, OutOfMemoryError) or not (is_auto and torch_can):
            raise
        by_torch = settings.replace(backend="torch")
        engine = _open(by_torch, width=width, height=height, rate=rate, throughput=throughput, colour=colour)
        said = f"TensorRT cannot draw this: {str(error).rstrip('.')}. PyTorch does."
        engine.facts = dataclasses.replace(engine.facts, given_up=said)
    except BaseException:  # Ctrl-C, in the minutes that TensorRT may take
        engine.close()
        raise
    return engine


def _no_memory(width: int, height: int) -> str:
    return f"there is not enough memory to draw {width}x{height}: close other programs first"


def _no_lite(style: Style) -> str:
    """Return why `lite` is not possible, and what is."""
    names = ", ".join(names_with_lite())
    others = f"take a style that has one ({names}) or quality fast" if names else "take quality fast"
    return f"style {style.name} has no lite network: {others}"
