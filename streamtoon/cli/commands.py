"""The base of every command: plain help and error messages, and defaults from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from engines.common.spelling import did_you_mean

UsageError: Any = typer.BadParameter.__base__
"""The usage error of Click, or of Typer's own copy of it."""
ENVIRONMENT = "STREAMTOON"
"""Prefix of the environment variables with defaults."""
SHARED = frozenset(
    "style look strength stabilize clarity detail quality engine device precision quiet".split()
)
"""Options with the same meaning in all of `DRAWING`; one default can serve all of them."""
DRAWING = frozenset(("video", "image", "webcam", "stream", "serve"))
RENAMED = {"--engine-device": "--device"}
"""Options of earlier versions, and what replaced them."""


class _Plain:
    """The common part of groups and commands; a mixin, placed before Typer's own class."""

    params: list[Any]
    help: str | None
    options_metavar: str | None

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.help = unbroken(self.help)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments. Raises a usage error in plain words."""
        try:
            _require_two_dashes(args, self.params)
            _require_one_style(args, self.params)
            return super().make_context(info_name, args, parent, **extra)  # type: ignore[misc]
        except UsageError as error:
            put_plainly(error, self.params)
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, simplified for help, with their environment variables."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        path = _path(ctx)
        for param in params:
            if isinstance(param, TyperOption):
                _show_plainly(param)
                param.envvar = variables(path, param) or None
                param.show_envvar = False
            elif isinstance(param, TyperArgument):
                _show_no_type(param)
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line: arguments by name only."""
        names = [param for param in self.params if isinstance(param, TyperArgument) and not param.hidden]
        pieces = [param.metavar or param.name.upper() for param in names]
        return [self.options_metavar or "", *pieces]


class Command(_Plain, TyperCommand):
    """One command."""


class Group(_Plain, TyperGroup):
    """A command with subcommands, whose names may be typed in any case."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return [*super().collect_usage_pieces(ctx), self.subcommand_metavar]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that `args` begin with, and the remaining arguments."""
        if args and args[0] not in self.commands and args[0].lower() in self.commands:
            args = [args[0].lower(), *args[1:]]
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            near = did_you_mean(args[0], self.commands)
            ctx.fail(f"No such command: {args[0]}.{near}")
        return super().resolve_command(ctx, args)


class Commands(typer.Typer):
    """A Typer app whose commands and groups are of this file's classes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Add a command."""
        return super().command(name, **{"cls": Command, **settings})


# --- help ----------------------------------------------------------------------------------------


def unbroken(text: str | None) -> str | None:
    """Join the lines of each paragraph of a docstring, so that a terminal wraps them at its own width.

    Paragraphs after a backspace character keep their lines.
    """
    if not text:
        return text
    paragraphs = re.split(r"\n\s*\n", text.strip())
    kept = (each if each.startswith("\b") else " ".join(each.split()) for each in paragraphs)
    return "\n\n".join(kept)


def _show_plainly(option: TyperOption) -> None:
    """Remove the type from a flag, and the parentheses from a default that is a phrase."""
    if option.is_flag or option.count:
        option.metavar = ""
    if isinstance(option.show_default, str):
        option.help = f"{option.help or ''} [dim]\\[default: {option.show_default}][/dim]"
        option.show_default = False


def _show_no_type(argument: TyperArgument) -> None:
    """Remove the type behind an argument's name: its help says what it is."""
    vars(argument)["display_type_rich"] = lambda ctx: None


# --- the environment -----------------------------------------------------------------------------


def long_name(option: TyperOption) -> str:
    """Return an option's first long name, without its dashes."""
    names = [name.lstrip("-") for name in option.opts if name.startswith("--")]
    return names[0] if names else option.name


def variables(path: Sequence[str], option: TyperOption) -> list[str]:
    """Return the environment variables that set the default of an option of the command at `path`.

    The first one that is set counts. STREAMTOON_VIDEO_STYLE is for one command, STREAMTOON_STYLE for all
    commands that draw.
    """
    name = long_name(option)
    if name in ("help", "version", "install-completion", "show-completion"):
        return []
    own = "_".join([ENVIRONMENT, *path, name])
    shared = [f"{ENVIRONMENT}_{name}"] if path and path[0] in DRAWING and name in SHARED else []
    return [each.upper().replace("-", "_") for each in (own, *shared)]


def _path(ctx: Any) -> list[str]:
    """Return the names of a command and its parents, without the program's."""
    names: list[str] = []
    while ctx is not None and ctx.parent is not None:
        names.insert(0, ctx.info_name or "")
        ctx = ctx.parent
    return names


# --- messages ------------------------------------------------------------------------------------


def put_plainly(error: Any, params: Iterable[Any]) -> None:
    """Rewrite the message of a usage error in plain words."""
    if type(error).__name__ == "NoSuchOption":
        known = list(_long_options(params))
        new = RENAMED.get(error.option_name)
        near = f" It is now called {new}." if new in known else did_you_mean(error.option_name, known)
        error.message, error.possibilities = f"No such option: {error.option_name}.{near}", None
        return
    param = getattr(error, "param", None)
    if param is not None and error.message:
        error.message = _sentence(error, param)
        if place := _where_from(error, param):
            error.message = f"{error.message.rstrip('.')} ({place})"


def _long_options(params: Iterable[Any]) -> Iterator[str]:
    for param in params:
        if isinstance(param, TyperOption) and not param.hidden:
            yield from (name for name in param.opts if name.startswith("--"))


def _require_two_dashes(args: Sequence[str], params: Iterable[Any]) -> None:
    """Raise a usage error for "-crf", which would be read as -c, -r and -f."""
    known = set(_long_options(params))
    for arg in args:
        if arg == "--":
            return
        name = arg.partition("=")[0]
        if len(name) > 2 and name[1] != "-" and f"-{name}" in known:
            raise UsageError(f"No such option: {name}. Did you mean -{name}?")


def _require_one_style(args: Sequence[str], params: Iterable[Any]) -> None:
    """Raise a usage error for a repeated --style: otherwise the last one would win silently."""
    names = [name for param in params if param.name == "style" and not param.multiple for name in param.opts]
    given: list[str] = []
    for arg, following in zip(args, [*args[1:], ""], strict=False):
        if arg == "--":
            break
        if arg in names:
            given.append(following)
        elif arg.startswith("--style=") and names:
            given.append(arg.partition("=")[2])
    if len(given) > 1:
        both = " ".join(f"--style {name}" for name in given)
        raise UsageError(
            f"--style was given more than once. To compare styles, run: streamtoon preview IN {both}"
        )


def _sentence(error: Any, param: Any) -> str:
    """Say what is wrong with a value, whatever checks values in this version of Typer."""
    said = str(error.message).removeprefix("Value error, ")
    cause = error.__cause__
    details: list[dict[str, Any]] = cause.errors() if hasattr(cause, "errors") else []
    if not details:
        return said
    kind, given = str(details[0]["type"]), details[0]["input"]
    limits = [str(f"{limit:g}") for limit in (param.min, param.max) if limit is not None]
    span = f", {limits[0]} to {limits[1]}" if len(limits) == 2 else ""
    if kind.startswith(("int_", "float_")):
        what = "whole number" if kind.startswith("int_") else "number"
        return f"{given!r} is not a {what}; use one{span}"
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        if span:
            return f"{given} is out of range; use a number{span}"
        return f"{given} is too {'small' if kind.startswith('greater') else 'large'}; {_limit(param)}"
    if kind.startswith("bool_"):
        return f"{given!r} is not true or false"
    return f"{said.rstrip('.')}.{did_you_mean(str(given), _choices(param))}" if _choices(param) else said


def _limit(param: Any) -> str:
    return f"the minimum is {param.min:g}" if param.min is not None else f"the maximum is {param.max:g}"


def _choices(param: Any) -> list[str]:
    choices = getattr(getattr(param, "type_descriptor", None), "choices", None)
    return [str(choice) for choice in choices or ()]


def _where_from(error: Any, param: Any) -> str:
    """Say where a value comes from if it was not typed; empty if it was."""
    source = error.ctx.get_parameter_source(param.name) if error.ctx is not None else None
    name = getattr(source, "name", "")
    if name == "ENVIRONMENT":
        return f"from the environment: {' or '.join(param.envvar or ())}"
    return "from the --config file" if name == "DEFAULT_MAP" else ""
