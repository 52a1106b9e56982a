"""The command line as a whole: what it lists, what it costs, how it leaves. The oracle is the documented contract."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miscomp.cli import app as app_module
from miscomp.cli.app import COMMANDS, app, main
from miscomp.cli.lazy import CommandRow, build
from miscomp.errors import ImageError, UsageError
from miscomp.registry import Registry

PROJECT = Path(__file__).parents[2]

HELP_SECONDS = 0.5


def help_of(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    return result.stdout


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "miscomp", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A command that raises what its argument says."""

    def fall(how: str) -> None:
        """Fall."""
        raise {
            "usage": UsageError("no such quality"),
            "input": ImageError("a.png", "is no picture"),
            "interrupt": KeyboardInterrupt(),
            "pipe": BrokenPipeError(32, "Broken pipe"),
            "disk": OSError(28, "No space left on device", "full\n/report.html"),
            "bug": ZeroDivisionError("a fault in the program"),
        }[how]

    monkeypatch.setattr(sys.modules[__name__], "fall", fall, raising=False)
    rows = Registry("command", [CommandRow(name="fall", target=f"{__name__}:fall", help="Fall.")])
    monkeypatch.setattr(app_module._Commands, "rows", rows)
    yield "fall"


def leave(*arguments: str) -> object:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_every_row_resolves_and_is_listed_with_its_own_first_line() -> None:
    listed = " ".join(help_of().split())
    for row in COMMANDS:
        assert str(build(row).help).splitlines()[0] == row.help
        assert f"{row.name} {row.help}" in listed


@pytest.mark.parametrize("name", COMMANDS.names)
def test_every_help_ends_with_an_example_of_its_command(name: str) -> None:
    inner = getattr(build(COMMANDS[name]), "commands", {})
    for words in [(name,), *((name, verb) for verb, one in inner.items() if not one.hidden)]:
        _, _, example = help_of(*words).rpartition("\n\n")
        lines = [line.strip() for line in example.strip().splitlines()]
        assert lines[0] == "Example:"
        assert lines[1].startswith(" ".join(["miscomp", *words]))


def test_the_program_s_own_help_ends_with_an_example() -> None:
    assert "Example:\n    miscomp audit " in help_of().rpartition("\n\n")[2]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom miscomp.cli.app import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "cv2", "PIL", "jinja2", "rapidocr", "accelerate"}


def test_help_answers_in_half_a_second() -> None:
    """Processor time, which other programs on the machine do not lengthen much; the best of several runs."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(4)) < HELP_SECONDS


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"miscomp {project['version']}\n")


def test_a_misspelt_command_is_told_and_leaves_with_2() -> None:
    done = run("compres", "a.png")
    assert done.returncode == 2 and done.stdout == ""
    assert "Did you mean 'compress'?" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("how", "code", "message"), [("usage", 2, "no such quality"), ("input", 1, "a.png: is no picture")]
)
def test_an_error_of_the_family_is_one_line_on_stderr(
    verb: str, capsys: pytest.CaptureFixture[str], how: str, code: int, message: str
) -> None:
    assert leave(verb, how) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"miscomp: {message}\n")


def test_what_the_system_refuses_is_one_line_and_no_traceback(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(verb, "disk") == 1
    told = capsys.readouterr().err
    assert told.startswith("miscomp: [Errno 28] No space left on device: ") and "report.html" in told
    assert told.count("\n") == 1 and "Traceback" not in told


@pytest.mark.parametrize(("how", "code"), [("interrupt", 130), ("pipe", 1)])
def test_an_interrupt_and_a_closed_pipe_are_silent(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str, code: int
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # a closed pipe makes typer replace both
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    assert leave(verb, how) == code
    assert capsys.readouterr().err.strip() == ""


def test_a_fault_of_the_program_is_not_hidden(verb: str) -> None:
    with pytest.raises(ZeroDivisionError):
        main([verb, "bug"])


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "miscomp", "codecs", "--json"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1 and done.stderr == b""


@pytest.mark.parametrize(("flags", "level"), [([], 30), (["-v"], 20), (["-vv"], 10), (["-vvv"], 10)])
def test_verbosity_sets_the_level_of_the_log(
    verb: str, monkeypatch: pytest.MonkeyPatch, flags: list[str], level: int
) -> None:
    told: dict[str, object] = {}
    monkeypatch.setattr("logging.basicConfig", lambda **settings: told.update(settings))
    leave(*flags, verb, "usage")
    assert told["level"] == level and told["stream"] is sys.stderr
