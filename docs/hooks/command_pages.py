"""The reference of commands, read from the command tree that Typer runs: options, defaults, examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

BACKSPACE = "\b"  # Click keeps the lines of a paragraph that begins with it


def command_reference() -> str:
    """Return every command and subcommand of `streamtoon` as Markdown."""
    from typer.main import get_command

    from streamtoon.cli.app import app

    root: Any = get_command(app)
    context = root.context_class(root, info_name="streamtoon")
    lines = [*_options(root, context)]
    for name in root.list_commands(context):
        lines += _command(root.commands[name], name, context, 2)
    return "\n".join(lines)


def _command(command: Any, name: str, parent: Any, level: int) -> Iterator[str]:
    context = command.context_class(command, info_name=name, parent=parent)
    yield from ("", f"{'#' * level} streamtoon {_path(context)}", "")
    yield from _prose(command.help)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```text", f"streamtoon {_path(context)} {usage}", "```", "")
    yield from _options(command, context)
    if examples := _examples(command.epilog):
        yield from ("```sh", *examples, "```", "")
    inner = getattr(command, "commands", {})
    for each in inner:
        if not inner[each].hidden:
            yield from _command(inner[each], each, context, level + 1)


def _path(context: Any) -> str:
    above = _path(context.parent) if context.parent.parent is not None else ""
    return f"{above} {context.info_name}".strip()


def _prose(text: str | None) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text or ""):
        if paragraph.strip() and not paragraph.startswith(BACKSPACE):
            yield from (_plain(" ".join(paragraph.split())), "")


def _options(command: Any, context: Any) -> Iterator[str]:
    shown = [param for param in command.get_params(context) if not param.hidden and param.name != "help"]
    if not shown:
        return
    yield from ("| option | what it does |", "|---|---|")
    for param in shown:
        text = _plain(param.help or "")
        if choices := _choices(param):
            text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        text += _range(param)
        if default := _default(param):
            text += f" Default: {default}."
        if param.required:
            text += " Required."
        yield f"| {_cell(_names(param))} | {_cell(text)} |"
    yield ""


def _names(param: Any) -> str:
    """Return how an option is written, with its value; for an argument, its name."""
    if not param.opts[0].startswith("-"):
        return f"`{param.metavar or param.name.upper()}`"
    first, *others = (f"`{name}`" for name in sorted(param.opts, key=len, reverse=True))
    if param.is_flag or param.count or _choices(param):
        return ", ".join([first, *others])
    kind = getattr(param.type_descriptor.annotation, "__name__", "value")
    return ", ".join([f"{first[:-1]} {param.metavar or kind.upper()}`", *others])


def _range(param: Any) -> str:
    if param.min is not None and param.max is not None:
        return f" {param.min:g} to {param.max:g}."
    return "" if param.min is None else f" At least {param.min:g}."


def _choices(param: Any) -> tuple[Any, ...]:
    """Return what may be given: from the type, or from a metavar such as `<full|fast|lite>`."""
    kind = param.type_descriptor.annotation
    if get_origin(kind) is Literal:
        return get_args(kind)
    listed = re.fullmatch(r"<(.+\|.+)>", param.metavar or "")
    return tuple(listed[1].split("|")) if listed else ()


def _default(param: Any) -> str:
    if not param.show_default or getattr(param, "is_flag", False):
        return ""
    if param.default is None or param.default in ((), [], ""):
        return ""
    return f"`{param.default:g}`" if isinstance(param.default, float) else f"`{param.default}`"


def _plain(text: str) -> str:
    """Turn Rich's markup into Markdown: bold text is code, and a default in the text becomes a sentence."""
    text = re.sub(r"\s*\[dim\]\\?\[default: (.*?)\]\[/dim\]", r" Default: \1.", text)
    text = re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", text)
    return re.sub(r"\[/?[a-z ]+\]", "", text).replace("\\[", "[").replace("..", ".").replace("<", "&lt;")


def _examples(text: str | None) -> list[str]:
    lines = [_bare(line) for line in (text or "").replace(BACKSPACE, "").splitlines()]
    return [line for line in lines if line and line != "Examples"]


def _bare(line: str) -> str:
    return re.sub(r"\[/?[a-z ]+\]", "", line).strip().replace("\\[", "[")


def _cell(text: str) -> str:
    """Put `text` into a table's cell: a bar that is not part of code would end the cell."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if at % 2 else part.replace("|", "&#124;") for at, part in enumerate(parts))
