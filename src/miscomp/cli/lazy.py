"""A group of commands that imports a command's module only when that command is used."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from miscomp.registry import Registry, load

_EXAMPLE = re.compile(r"^Example:\s*", re.MULTILINE)
_KEEP_LINES = "\b\n"
"""The mark behind which the help's formatter leaves line breaks alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A verb of the command line, listed without importing its code."""

    name: str
    target: str
    """`module:function`, or `module:app` for a group with verbs of its own."""
    help: str
    """The first line of its help."""


def build(row: CommandRow) -> TyperCommand | TyperGroup:
    """Import a verb's code and make it a command; its help ends with the docstring's `Example:`."""
    found = load(row.target)
    command: Any
    if isinstance(found, typer.Typer):
        command = get_group(found)
    else:
        app = typer.Typer(add_completion=False)
        app.command()(found)
        command = get_command(app)
    command.name = row.name
    _plain_help(command)
    result: TyperCommand | TyperGroup = command
    return result


def _plain_help(command: Any) -> None:
    """Show plain help, with the example behind the options, for a command and those below it."""
    command.rich_markup_mode = None
    text = inspect.cleandoc(command.help or "")
    if example := _EXAMPLE.search(text):
        lines = inspect.cleandoc(text[example.end() :]).splitlines()
        command.help = text[: example.start()].rstrip()
        command.epilog = _KEEP_LINES + "\n".join(["Example:", *(f"  {line}".rstrip() for line in lines)])
    for inner in getattr(command, "commands", {}).values():
        _plain_help(inner)
        command.epilog = command.epilog or inner.epilog


class LazyGroup(TyperGroup):
    """A group whose commands are the rows of a registry."""

    rows: Registry[CommandRow]

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the registry's order."""
        return list(self.rows.names)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup:
        """Import and return a command. Raises `UnknownName`."""
        return build(self.rows[cmd_name])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List names and help from the rows alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.help) for row in self.rows])
