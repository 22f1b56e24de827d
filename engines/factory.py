"""Opening an engine: choosing backend and quality, and handling a lack of memory."""

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
from engines.imaging.working_size import WorkingSize, field_scale, field_size, working_scale
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
    color: ColorInfo | None = None,
) -> Engine:
    """Open an engine for frames of one size. Other sizes work too, but each needs another compilation.

    `full` renders at the style's working height, `fast` at half of it, and `lite` at half of it with the
    style's lite form. For a style that is a look, `fast` is the small network at the working height, and
    `lite` is the small network at three quarters of it; `full` and `fast` enlarge smaller frames first, and
    `full` draws with smooth edges.
    `auto` is the first of these that keeps up with `rate`, measured in about a second. If none does, it is
    the best that is almost as fast as the fastest. Without a rate, and on a GPU, it is `full`.

    If memory is short, the engine renders one frame at a time, and then `fast` instead of `full` and `auto`.

    Args:
        settings: The style and how it is rendered.
        width: Width of the frames, pixels.
        height: Height of the frames, pixels.
        rate: Frames per second that `auto` must keep up with; None if there is no hurry.
        throughput: Whether frames per second matter more than the time of one frame. The engine then renders
            several frames concurrently if that is faster.
        color: Colour of the frames, if it is known. A GPU is then prepared for it (see `Engine.prepare`). If
            `auto` chose TensorRT and TensorRT cannot render such frames, torch does.

    Raises:
        StyleError: The style cannot be rendered as it is.
        EngineError: A backend, device or precision is not available here, the style has no lite form, or the
            size is not positive.
        OutOfMemoryError: There is not enough memory for any of these.
    """
    style = settings.style
    if width < 1 or height < 1:
        raise EngineError(f"cannot render frames of {width}x{height}: both sizes must be at least 1")
    if style.gives_fields and style.look is None:
        raise StyleError(f"{style.folder} is a network without a look; choose a style that uses it")
    if settings.quality == "lite" and style.lite is None:
        raise EngineError(_no_lite(style))
    if settings.detail is not None and settings.detail > 1 and not style.gives_fields:
        raise EngineError(f"style {style.name} cannot draw above the frame's size; use a detail of at most 1")
    open_as = partial(_open, width=width, height=height, rate=rate, color=color)
    # One block for each attempt, because an exception keeps the failed engine and its memory alive.
    for several in (True, False) if throughput else (False,):
        with suppress(OutOfMemoryError):
            return open_as(settings, throughput=several)
    if settings.quality not in ("auto", "full") or settings.detail is not None:
        raise OutOfMemoryError(_no_memory(width, height))
    with suppress(OutOfMemoryError):
        engine = open_as(settings.replace(quality="fast"), throughput=False)
        said = f"Not enough memory to render {width}x{height} in {settings.quality}; using fast instead."
        engine.facts = dataclasses.replace(engine.facts, fallback=f"{said} {engine.facts.fallback}".rstrip())
        return engine
    raise OutOfMemoryError(_no_memory(width, height))


def _open(
    settings: EngineSettings,
    *,
    width: int,
    height: int,
    rate: Fraction | None,
    throughput: bool,
    color: ColorInfo | None,
) -> Engine:
    """Open an engine in exactly one way."""
    style, detail = settings.style, settings.detail
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
        if form.gives_fields:
            return field_size(kind, detail, form.working_height, height, width, form.size_multiple)
        scale = working_scale(kind, detail, form.working_height, height, width)
        return WorkingSize.of(height, width, scale, form.size_multiple, margin_of(form.generator))

    def open_kind(kind: Quality) -> Runner:
        return open_form(forms[kind], *size_at(kind).given[:2])

    quality = cast(AskedQuality, settings.quality)
    asked: Quality | Literal["auto"] = "custom" if detail is not None else quality
    # A form without an int8 graph is no alternative if int8 was requested.
    has_lite = "lite" in forms and (settings.precision != "int8" or forms["lite"].int8_graph is not None)
    choice = choose_quality(asked, rate, size_at, open_kind, has_lite=has_lite)
    size, form = size_at(choice.quality), forms[choice.quality]
    scale_of = field_scale if form.gives_fields else working_scale
    facts = EngineFacts(
        backend=chosen_backend,
        device=choice.runner.device,
        precision=choice.runner.precision,
        generator=form.generator,
        style=style.name,
        quality=choice.quality,
        scale=scale_of(choice.quality, detail, form.working_height, height, width),
        working_width=size.working_width,
        working_height=size.working_height,
        reason=choice.reason,
        too_slow=choice.too_slow,
    )
    setup = Setup(
        style=form,
        facts=facts,
        detail=detail,
        clarity=settings.clarity,
        strength=settings.strength,
        open_at=partial(open_form, form),
        first={size.given[:2]: choice.runner},
        stabilizer=Stabilizer(settings.stabilize),
    )
    engine: Engine = FieldsEngine(setup) if form.gives_fields else RgbEngine(setup)
    if color is None:
        return engine
    try:
        engine.prepare(width, height, color)
    except EngineError as error:
        engine.close()
        is_auto = (settings.backend, chosen_backend) == ("auto", "tensorrt")
        torch_can = settings.precision in ("auto", "fp16", "fp32")
        if isinstance(error, OutOfMemoryError) or not (is_auto and torch_can):
            raise
        by_torch = settings.replace(backend="torch")
        engine = _open(by_torch, width=width, height=height, rate=rate, throughput=throughput, color=color)
        said = f"TensorRT cannot render this video: {str(error).rstrip('.')}. Using PyTorch instead."
        engine.facts = dataclasses.replace(engine.facts, fallback=said)
    except BaseException:  # Ctrl-C while TensorRT builds an engine, which takes minutes
        engine.close()
        raise
    return engine


def _no_memory(width: int, height: int) -> str:
    return f"not enough memory to render {width}x{height}; close other programs first"


def _no_lite(style: Style) -> str:
    """Return why `lite` is not available, and what is."""
    names = ", ".join(names_with_lite())
    others = f"use a style that has one ({names}) or quality fast" if names else "use quality fast"
    return f"style {style.name} has no lite network; {others}"
