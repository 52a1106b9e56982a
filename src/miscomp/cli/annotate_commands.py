"""The verb `annotate`: the labelers' tool in the browser, and the accounts of a lab."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from miscomp.cli.annotate_serve import serve
from miscomp.cli.annotate_suggest import suggest
from miscomp.cli.annotate_training import training
from miscomp.cli.annotate_user import app as user

_SERVE = "serve"
_HELP = "Serve a corpus to labelers in the browser, for one person or a lab."


class _Annotate(TyperGroup):
    """`annotate CORPUS` serves it; a corpus whose folder is called as a command is given as ./user."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what is no command and no call for help as the serving of a corpus."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [_SERVE, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Both ways to call it."""
        formatter.write_usage(ctx.command_path, "CORPUS [OPTIONS]")
        for other in ("user COMMAND CORPUS ...", "training CORPUS [OPTIONS]", "suggest CORPUS REPORT... [OPTIONS]"):
            formatter.write_usage(ctx.command_path, other, prefix="       ")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of serving, then the commands."""
        serving = self.commands[_SERVE]
        rows = [row for one in serving.get_params(ctx) if (row := one.get_help_record(ctx)) is not None]
        with formatter.section("Options"):
            formatter.write_dl(rows)
        self.format_commands(ctx, formatter)


_MORE = """

Original and reconstruction are flipped in place, boxes are drawn, questions answered. The address is printed and
opened. Without accounts it is for one person on this computer, whom the key in the address lets in; once there are
accounts (user add) everybody logs in. A corpus whose folder is called as one of the commands
is given as ./user.
"""

app = typer.Typer(help=_HELP + _MORE, no_args_is_help=True, cls=_Annotate)


@app.callback(help=_HELP + _MORE)
def _annotate() -> None: ...


app.command(_SERVE, hidden=True)(serve)
app.command()(training)
app.command()(suggest)
app.add_typer(user, name="user")
