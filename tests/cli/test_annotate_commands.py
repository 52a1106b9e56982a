"""`miscomp annotate`: the command line of the labelers' tool, in processes of its own where signals matter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from annotating import batched
from corpora import small_corpus
from typer.testing import CliRunner

from miscomp.annotate.accounts import check_password
from miscomp.cli import annotate_serve
from miscomp.cli.annotate_commands import app
from miscomp.cli.app import COMMANDS
from miscomp.cli.lazy import build
from miscomp.corpus.corpus import Corpus, open_corpus
from miscomp.errors import InputError, MiscompError, UsageError

pytestmark = pytest.mark.loopback

PASSWORD = "correct horse battery"


def run(*arguments: object, said: str | None = None) -> Any:
    result = CliRunner().invoke(app, [str(one) for one in arguments], input=said)
    if isinstance(result.exception, MiscompError):
        raise result.exception
    return result


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the address that it printed."""
    command = [sys.executable, "-m", "miscomp", "annotate", *map(str, arguments), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, process.communicate(timeout=10)[1]
            assert httpx.get(address, timeout=30).status_code == 200  # it waits for what stops it
            yield process, address
        finally:
            if process.poll() is None:
                process.kill()


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    build(COMMANDS["annotate"]).main([*words, "--help"], prog_name="miscomp annotate", standalone_mode=False)
    return capsys.readouterr().out


def test_help_shows_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    said = help_of(capsys)
    assert "CORPUS [OPTIONS]" in said and "user COMMAND CORPUS" in said
    for option in ("--host", "--port", "--labeler", "--no-browser", "--cert", "--key", "--behind-proxy", "--insecure"):
        assert option in said
    # A password is never an argument: others see those.
    assert "--password " not in help_of(capsys, "user", "add")


def test_accounts_are_made_listed_changed_and_shut(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1)
    made = run(
        "user", "add", corpus.folder, "labeler-1", "--roles", "labeler,reviewer", "--password-stdin", said=PASSWORD
    )
    assert "labeler+reviewer" in made.stderr and PASSWORD not in made.output
    assert "no batches" in run("user", "add", corpus.folder, "zoe", "--password-stdin", said=PASSWORD + "\r\n").stderr
    rows = [json.loads(one) for one in run("user", "list", corpus.folder, "--json").stdout.splitlines()]
    assert [(one["name"], one["roles"], one["disabled"]) for one in rows] == [
        ("labeler-1", ["labeler", "reviewer"], False),
        ("zoe", ["labeler"], False),
    ]
    run("user", "password", corpus.folder, "zoe", "--password-stdin", said="another one, longer\n")
    assert check_password(corpus, "zoe", "another one, longer") is not None
    assert check_password(corpus, "zoe", PASSWORD) is None
    run("user", "roles", corpus.folder, "zoe", "supervisor")
    run("user", "disable", corpus.folder, "zoe")
    assert "zoe: supervisor" in (listed := run("user", "list", corpus.folder).stdout) and "disabled" in listed
    assert "argon2" not in listed
    run("user", "disable", corpus.folder, "zoe", "--undo")
    assert "disabled" not in run("user", "list", corpus.folder).stdout


def test_accounts_that_cannot_be_are_refused(tmp_path: Path) -> None:
    folder = small_corpus(tmp_path / "corpus", images=1, labels=False).folder
    for name, options, word in (
        ("ann", ["--roles", "king"], "king"),
        ("../ann", [], "called"),
        ("=ann", [], "called"),
        ("ann", [], "characters"),
    ):
        with pytest.raises(UsageError, match=word):
            run("user", "add", folder, name, *options, "--password-stdin", said="short\n")
    with pytest.raises(UsageError, match="--password-stdin"):
        run("user", "add", folder, "ann", said=f"{PASSWORD}\n{PASSWORD}\n")
    with pytest.raises(UsageError, match="no account"):
        run("user", "disable", folder, "ann")
    assert run("user", "list", folder).stdout == ""


def test_a_password_is_asked_for_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_corpus(tmp_path / "corpus", images=1, labels=False).folder
    answers = [PASSWORD, PASSWORD + "x", PASSWORD, PASSWORD]
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
    monkeypatch.setattr("miscomp.cli.annotate_user._has_terminal", lambda: True)
    with pytest.raises(UsageError, match="differ"):
        run("user", "add", folder, "ann")
    run("user", "add", folder, "ann")
    assert check_password(open_corpus(folder), "ann", PASSWORD) is not None


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    folder = batched(tmp_path / "corpus", images=1).folder
    with pytest.raises(InputError, match="is no corpus"):
        run(tmp_path / "nothing")
    with pytest.raises(UsageError, match="--labeler"):
        run(folder)
    with pytest.raises(UsageError, match="--cert"):
        run(folder, "--labeler", "labeler-1", "--key", "x.pem")
    with pytest.raises(UsageError, match="accounts"):
        run(folder, "--labeler", "labeler-1", "--host", "0.0.0.0")
    with pytest.raises(UsageError, match="--public-name"):
        run(folder, "--labeler", "labeler-1", "--behind-proxy", "127.0.0.1")


def test_a_read_only_corpus_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = batched(tmp_path / "corpus", images=1).folder
    monkeypatch.setattr(os, "access", lambda *_: False)  # as rights do not hold for the superuser
    with pytest.raises(InputError, match="read-only"):
        annotate_serve._open_writable(folder)


def test_a_corpus_called_as_a_command_is_given_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batched(tmp_path / "user", images=1)
    monkeypatch.chdir(tmp_path)
    served: list[Path] = []

    def opened(folder: Path) -> Corpus:
        served.append(folder)
        return open_corpus(folder)

    monkeypatch.setattr(annotate_serve, "_open_writable", opened)
    with pytest.raises(UsageError, match="--labeler"):
        run("./user")
    assert served == [Path("user")]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, sent: signal.Signals) -> None:
    folder = batched(tmp_path / "corpus", images=1).folder
    with serving(folder, "--labeler", "labeler-1") as (process, address):
        assert address.startswith("http://127.0.0.1:") and "key=" in address
        assert not (folder / "manifest.json").exists()
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "everything is stored" in said and "Traceback" not in said
    assert (folder / "manifest.json").exists()


def test_the_manifest_is_left_to_a_command_that_is_at_work(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1)
    with serving(corpus.folder, "--labeler", "labeler-1") as (process, _), corpus.owned():
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0 and "manifest.json is left" in said
    assert not (corpus.folder / "manifest.json").exists()


def test_who_has_no_batches_is_told(tmp_path: Path) -> None:
    folder = small_corpus(tmp_path / "corpus", images=1, labels=False).folder
    with serving(folder, "--labeler", "labeler-1") as (process, _):
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert f"miscomp corpus batch {folder}" in said
        assert time.monotonic() - begun < 15
