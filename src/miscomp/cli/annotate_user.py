"""`miscomp annotate user`: who may log in to the labelers' tool."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, tell
from miscomp.errors import MissingExtra, UsageError

_HELP = "Add and change the accounts of a lab; the first one makes everybody log in."

app = typer.Typer(help=_HELP, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Of the account: as labeler in every table.")]
StdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input: its first line.")
]
RolesText = "labeler, screener, reviewer, supervisor; several as in labeler,reviewer."


@app.callback(help=_HELP)
def _user() -> None: ...


@app.command("add")
def add(
    corpus: CorpusArgument,
    name: NameArgument,
    *,
    roles: Annotated[str, typer.Option(metavar="ROLES", help=RolesText)] = "labeler",
    password_stdin: StdinOption = False,
) -> None:
    """Add an account. Its password is asked for twice; it is never an argument, which others could see.

    A labeler's account has the name under which batches were given. A server that runs without accounts must be
    started anew.

    Example: miscomp annotate user add street ann --roles labeler,reviewer
    """
    _need_argon2()
    from miscomp.annotate.accounts import add_account
    from miscomp.annotate.people import join_roles, split_roles
    from miscomp.corpus.batches.planning import shares
    from miscomp.corpus.corpus import open_corpus

    opened = open_corpus(corpus)
    given = split_roles(roles.replace(",", "+"))
    add_account(opened, name, roles=given, password=_password(name, password_stdin))
    tell(f"{name} may log in as {join_roles(given)}")
    with opened.reading() as connection:
        known = {one.labeler for one in shares(connection)}
    if "labeler" in given and name not in known:
        tell(f"{name} has no batches; give some with: miscomp corpus batch {corpus} --labelers {name}")


@app.command("list")
def list_(corpus: CorpusArgument, *, json_lines: JsonOption = False) -> None:
    """List the accounts with their roles."""
    from miscomp.annotate.accounts import list_accounts
    from miscomp.annotate.people import join_roles
    from miscomp.corpus.corpus import open_corpus

    with open_corpus(corpus).reading() as connection:
        found = list_accounts(connection)
    for one in found:
        roles = join_roles(one.roles)
        if json_lines:
            row = {"name": one.name, "roles": roles.split("+"), "added": one.added, "disabled": one.disabled}
            typer.echo(json.dumps(row))
        else:
            typer.echo(f"{one.name}: {roles}, added {one.added}{', disabled' if one.disabled else ''}")
    if not found:
        tell("there are no accounts: miscomp annotate serves one person on this computer")


@app.command("password")
def password(corpus: CorpusArgument, name: NameArgument, *, password_stdin: StdinOption = False) -> None:
    """Give an account another password; it is logged out everywhere."""
    _need_argon2()
    from miscomp.annotate.accounts import set_password
    from miscomp.corpus.corpus import open_corpus

    opened = open_corpus(corpus)
    set_password(opened, name, _password(name, password_stdin))
    tell(f"{name} has another password, and is logged out everywhere")


@app.command("roles")
def roles(
    corpus: CorpusArgument,
    name: NameArgument,
    given: Annotated[str, typer.Argument(metavar="ROLES", help=RolesText)],
) -> None:
    """Give an account other roles than it had; they hold from its next request on."""
    from miscomp.annotate.accounts import set_roles
    from miscomp.annotate.people import join_roles, split_roles
    from miscomp.corpus.corpus import open_corpus

    wanted = split_roles(given.replace(",", "+"))
    set_roles(open_corpus(corpus), name, wanted)
    tell(f"{name} is now {join_roles(wanted)}")


@app.command("disable")
def disable(
    corpus: CorpusArgument,
    name: NameArgument,
    *,
    again: Annotated[bool, typer.Option("--undo", help="Let a disabled account in again.")] = False,
) -> None:
    """Shut an account out at once, wherever it is logged in. What it drew stays; names are never used again."""
    from miscomp.annotate.accounts import disable as shut
    from miscomp.corpus.corpus import open_corpus

    shut(open_corpus(corpus), name, disabled=not again)
    tell(f"{name} may log in again" if again else f"{name} is shut out")


def _need_argon2() -> None:
    """Before a password is asked for in vain."""
    import importlib.util

    if importlib.util.find_spec("argon2") is None:
        raise MissingExtra("argon2-cffi", "web", "accounts with passwords")


def _password(name: str, from_stdin: bool) -> str:
    """From standard input, or asked for twice without showing it."""
    import getpass

    if from_stdin:
        try:
            return sys.stdin.readline(4096).rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageError("the password on standard input is not UTF-8") from error
    if not _has_terminal():
        raise UsageError("there is no terminal to ask for the password on; give --password-stdin")
    first = getpass.getpass(f"Password for {name}: ")
    if getpass.getpass("The same again: ") != first:
        raise UsageError("the two passwords differ; nothing was changed")
    return first


def _has_terminal() -> bool:
    return sys.stdin.isatty()
