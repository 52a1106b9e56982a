"""A PostgreSQL server that tests start for themselves: in a folder of its own, reached by a Unix socket alone."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROLE = "tester"
PASSWORD = "not-to-be-shown"
"""Stands in every URL; the server asks for none."""


def programs() -> Path | None:
    """The folder of the newest server's programs; none where none is installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda one: float(one.parent.parent.name), default=None)
    if newest is None and (on_path := shutil.which("initdb")):
        newest = Path(on_path).resolve()
    return newest.parent if newest and (newest.parent / "pg_ctl").exists() else None


def account() -> str:
    """Who runs the server: it refuses to be run by root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass(frozen=True)
class Server:
    """A server and its folder; the socket lies in the folder."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> None:
        """Run one of the server's programs as its account. Raises `CalledProcessError`."""
        rights: dict[str, Any] = {"user": account(), "extra_groups": []} if os.geteuid() == 0 else {}
        program, *arguments = command
        with (self.folder / "program.txt").open("w") as said:
            # A file, as the server keeps a pipe open for as long as it lives.
            subprocess.run(
                [self.bin / program, *arguments],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=60,
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                **rights,
            )

    def make(self) -> None:
        """Make the folder of data. Its default order is that of English, where `a` comes before `B`."""
        version = subprocess.run([self.bin / "initdb", "--version"], check=True, capture_output=True, text=True)
        found = re.search(r"(\d+)", version.stdout)
        icu = ["--locale-provider=icu", "--icu-locale=en-US"] if found and int(found[1]) >= 15 else []
        options = ["--username", ROLE, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        self.run("initdb", "--pgdata", "data", *options, *icu)

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "30",
            "shared_buffers": "16MB",
        }
        given = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.run("pg_ctl", "start", "-D", "data", "-l", "server.txt", "-w", "-o", given)

    def stop(self) -> None:
        """Stop it at once; who is connected is cut off."""
        self.run("pg_ctl", "stop", "-D", "data", "-m", "immediate", "-w")

    def database(self, name: str) -> str:
        """Make an empty database and give its URL."""
        self.run("createdb", "--host", str(self.folder), "--username", ROLE, name)
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://{ROLE}:{PASSWORD}@/{name}?host={self.folder}"


@contextmanager
def server(bin: Path) -> Iterator[Server]:
    """A server that runs for as long as the block lasts."""
    # The path of a socket has at most 107 bytes, and pytest's folders are closed to other accounts.
    folder = Path(tempfile.mkdtemp(prefix="miscomp-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, account())
        made = Server(bin, folder)
        made.make()
        made.start()
        try:
            yield made
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def needed() -> Iterator[Server]:
    """A server of one's own; where none is installed, the test is skipped with a message."""
    bin = programs()
    if bin is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    with server(bin) as made:
        yield made
