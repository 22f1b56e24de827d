"""Defaults of options from the TOML file of `--config`.

    style = "ink"          # for every command that draws

    [video]                # for one command; names of options without the dashes
    codec = "hevc"
    crf = 22
    look = ["levels=4"]    # an option that may be repeated

    [score.images]         # for a subcommand

The command line overrides the environment, and the environment overrides the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperOption

from engines.common.spelling import did_you_mean
from streamtoon.cli.commands import DRAWING, SHARED, Group, long_name
from streamtoon.errors import StreamtoonError

NEVER = frozenset(("config", "help", "version", "install-completion", "show-completion"))
"""Options that a file cannot set."""


class ConfigError(StreamtoonError):
    """A file of defaults cannot be used."""


def read_config(path: Path, group: Group) -> dict[str, Any]:
    """Read the defaults for the commands of `group`, as Click's `default_map`.

    Raises ConfigError if the file cannot be read, is not TOML, or has a key that is not a command or option.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    shared = {key: value for key, value in table.items() if not isinstance(value, dict)}
    _refuse_unknown(path, "", shared, SHARED)
    own = _of_group(path, "", {key: table[key] for key in table.keys() - shared.keys()}, group)
    for name in DRAWING:
        command = group.commands[name]
        options = _options(command)
        common = {key: value for key, value in shared.items() if _dashed(key) in options}
        own[name] = {**_values(path, common, command), **own.get(name, {})}
    return own


def _of_group(path: Path, where: str, tables: Mapping[str, Any], group: Group) -> dict[str, Any]:
    """Read the defaults in `tables`, one table per command; `where` names the group in messages."""
    found: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in group.commands:
            near = did_you_mean(name, group.commands)
            raise ConfigError(f"{path}: unknown command {where}{name}.{near}")
        if not isinstance(table, dict):
            table_name = f"{where}{name}".replace(" ", ".")
            raise ConfigError(f"{path}: {where}{name} is a command; put its options under [{table_name}]")
        command = group.commands[name]
        if isinstance(command, Group):
            found[name] = _of_group(path, f"{where}{name} ", table, command)
            continue
        _refuse_unknown(path, f" of {where}{name}", table, _options(command))
        found[name] = _values(path, table, command)
    return found


def _refuse_unknown(path: Path, where: str, table: Mapping[str, Any], known: Any) -> None:
    for key in table:
        if _dashed(key) not in known:
            hint = did_you_mean(key, known)
            if not hint and not where:
                hint = (
                    " Keys before the first [table] apply to all commands that draw: "
                    f"{', '.join(sorted(known))}. Put others under a table such as [video]."
                )
            raise ConfigError(f"{path}: unknown option {key}{where}.{hint}")


def _options(command: Any) -> dict[str, TyperOption]:
    """Return the options of a command by their long names."""
    options = {long_name(param): param for param in command.params if isinstance(param, TyperOption)}
    return {name: option for name, option in options.items() if name not in NEVER}


def _values(path: Path, table: Mapping[str, Any], command: Any) -> dict[str, Any]:
    """Return values by parameter name, as text from a command line."""
    options = _options(command)
    found: dict[str, Any] = {}
    for key, value in table.items():
        option = options[_dashed(key)]
        if isinstance(value, dict):
            raise ConfigError(f"{path}: {key} is an option; give it a value, not a table")
        if option.multiple:
            found[option.name] = [str(each) for each in (value if isinstance(value, list) else [value])]
        elif isinstance(value, list):
            raise ConfigError(f"{path}: {key} takes one value, not a list")
        elif option.is_flag and not isinstance(value, bool):
            raise ConfigError(f"{path}: {key} must be true or false")
        else:
            found[option.name] = value if isinstance(value, bool) and option.is_flag else str(value)
    return found


def _dashed(key: str) -> str:
    return key.replace("_", "-")
