"""Small scripts stand in for programs; the oracles are what each was written to do wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miscomp.codecs.external import (
    DEFAULT_TIMEOUT_S,
    TIMEOUT,
    Program,
    ProgramError,
    ask,
    find_executable,
    git_commit,
    read_decoded,
    read_timeout_s,
)
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels, write_png

PIXELS: Pixels = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)


def program(script: str, timeout_s: float = 20.0) -> Program:
    """A Python script that is given the two paths; without the site's packages it starts in no time."""
    return Program(
        codec="made-up", command=(sys.executable, "-I", "-S", "-c", script), coded_suffix=".xyz", timeout_s=timeout_s
    )


def paths(source: str, target: str) -> list[str]:
    return [source, target]


COPY = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"
"""A codec that stores the PNG as it is."""


def test_what_a_program_copies_comes_back_as_it_was() -> None:
    codec = program(COPY)
    content = codec.encode(PIXELS, paths)
    assert content.startswith(b"\x89PNG")
    assert np.array_equal(codec.decode(content, paths, max_megapixels=1), PIXELS)


def test_nothing_of_a_run_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = "import sys, os; open(os.path.dirname(os.path.dirname(sys.argv[2])) + '/log', 'w').close(); sys.exit(1)"
    for codec in (program(COPY), program(script)):
        try:
            codec.encode(PIXELS, paths)
        except UsageError:
            assert codec.command[-1] == script
    assert list(tmp_path.iterdir()) == []


def test_arguments_reach_the_program_as_they_are_and_no_shell_reads_them() -> None:
    script = "import sys; open(sys.argv[2], 'w').write(sys.argv[3])"
    text = "$(touch /nowhere); `id` && \"x\" 'y' *"
    content = program(script).encode(PIXELS, lambda source, target: [source, target, text])
    assert content.decode() == text


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; print('no such model', file=sys.stderr); sys.exit(3)", "exit code 3; it printed: no such model"),
        ("import sys; sys.exit(4)", "exit code 4; it printed nothing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was ended by the signal SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL (often for want of memory)"),
        ("print('all well')", "ended with exit code 0 and wrote nothing; it printed: all well"),
        ("import sys; open(sys.argv[2], 'w').close()", "wrote an empty file"),
        ("import sys, os; os.mkdir(sys.argv[2])", "wrote no regular file"),
        ("import sys; open(sys.argv[2], 'wb').write(bytes(2 * 2**20))", "bytes"),
    ],
)
def test_a_program_that_fails_says_how(script: str, reason: str) -> None:
    with pytest.raises(UsageError) as encoding:
        program(script).encode(PIXELS, paths)
    assert reason in str(encoding.value) and "made-up cannot encode 5 x 6 pixels" in str(encoding.value)
    with pytest.raises(StreamError) as decoding:
        program(script).decode(b"coded", paths, max_megapixels=1e-6)
    assert reason in str(decoding.value) and "the program of made-up" in str(decoding.value)


def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    script = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-I', '-S', '-c', {child!r}]); time.sleep(60)"
    )
    begin = time.monotonic()
    with pytest.raises(UsageError, match=f"did not end within 1 s and was stopped; {TIMEOUT} sets the seconds"):
        program(script, timeout_s=1).encode(PIXELS, paths)
    assert time.monotonic() - begin < 10
    assert ended(int(mark.read_text()))


def test_a_child_that_outlives_its_program_is_stopped_too(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    child = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    script = (
        f"import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-I', '-S', '-c', {child!r}])\n"
        f"while not (os.path.exists({str(mark)!r}) and open({str(mark)!r}).read()): time.sleep(0.01)\n"
        "open(sys.argv[2], 'w').write('coded')"
    )
    assert program(script).encode(PIXELS, paths) == b"coded"
    assert ended(int(mark.read_text()))


def ended(pid: int) -> bool:
    """Whether a process has ended within a second; one that nobody has waited for yet is a zombie, and has."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_program_that_prints_without_end_is_stopped() -> None:
    script = "import os\nwhile True: os.write(1, b'again and again ' * 8192)"
    with pytest.raises(UsageError, match=r"printed more than 16 MiB and was stopped; it printed: .*again and again"):
        program(script).encode(PIXELS, paths)


def test_a_program_that_writes_without_end_is_stopped_while_it_runs() -> None:
    script = "import sys, time; open(sys.argv[2], 'wb').write(bytes(8 * 2**20)); time.sleep(60)"
    begin = time.monotonic()
    with pytest.raises(UsageError, match="wrote more than 1048816 bytes and was stopped"):
        program(script).encode(PIXELS, paths)
    assert time.monotonic() - begin < 10


def test_what_a_program_prints_cannot_steer_the_terminal_and_is_shown_from_its_end() -> None:
    script = (
        "import sys; print('x' * 5000); print('red: \\x1b[31m \\udcff'.encode('utf-8', 'surrogateescape')); sys.exit(1)"
    )
    raw = "import os, sys; os.write(2, b'first\\n' * 50 + b'\\x1b[2Jlast \\xff\\n'); sys.exit(1)"
    for source in (script, raw):
        with pytest.raises(UsageError) as caught:
            program(source).encode(PIXELS, paths)
        assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 1200
    assert str(caught.value).endswith("first / first / ?[2Jlast \N{REPLACEMENT CHARACTER}")


def test_a_program_that_is_missing_is_no_fault_of_the_stream(tmp_path: Path) -> None:
    codec = Program(codec="made-up", command=(str(tmp_path / "none"),), coded_suffix=".xyz")
    with pytest.raises(UsageError, match="none cannot be run"):
        codec.decode(b"coded", paths, max_megapixels=1)


@pytest.mark.parametrize("pixels", [PIXELS[..., :1], PIXELS.astype(np.float32), PIXELS[:0], PIXELS[..., 0]])
def test_other_pixels_than_rgb_are_a_mistake_of_the_caller(pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        program(COPY).encode(pixels, paths)


def test_a_limit_that_is_no_number_of_pixels_is_refused() -> None:
    with pytest.raises(UsageError, match="max_megapixels"):
        program(COPY).decode(b"coded", paths, max_megapixels=float("nan"))


def save(path: Path, image: Image.Image) -> Path:
    image.save(path, format="PNG")
    return path


def test_a_decoded_picture_is_plain_rgb_of_eight_bits(tmp_path: Path) -> None:
    write_png(tmp_path / "good.png", PIXELS)
    assert np.array_equal(read_decoded(tmp_path / "good.png", 2**20, max_megapixels=1), PIXELS)
    colours = Image.fromarray(PIXELS)
    grey16 = Image.fromarray(np.full((4, 4), 40_000, dtype=np.uint16))
    for name, image, reason in [
        ("grey", colours.convert("L"), "8 bits and colour type 0"),
        ("transparent", colours.convert("RGBA"), "8 bits and colour type 6"),
        ("palette", colours.convert("P"), "8 bits and colour type 3"),
        ("grey16", grey16, "16 bits and colour type 0"),
    ]:
        with pytest.raises(ProgramError, match=reason):
            read_decoded(save(tmp_path / f"{name}.png", image), 2**20, max_megapixels=1)


def test_a_decoded_picture_that_would_be_converted_on_reading_is_refused(tmp_path: Path) -> None:
    extras: list[tuple[dict[str, Any], str]] = [
        ({"transparency": (0, 1, 2)}, "alpha was composited"),
        ({"icc_profile": b"no profile"}, "profile"),
    ]
    for extra, reason in extras:
        Image.fromarray(PIXELS).save(tmp_path / "lying.png", **extra)
        with pytest.raises(ProgramError, match=f"metadata change the picture .*{reason}"):
            read_decoded(tmp_path / "lying.png", 2**20, max_megapixels=1)


def test_a_decoded_picture_that_is_cut_off_or_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "some.png"
    write_png(path, PIXELS)
    content = path.read_bytes()
    for length, reason in [(len(content) - 30, "truncated"), (20, "no PNG"), (3, "no PNG")]:
        path.write_bytes(content[:length])
        with pytest.raises(ProgramError, match=reason):
            read_decoded(path, 2**20, max_megapixels=1)
    path.write_bytes(b"\xff\xd8\xff\xe0 a JPEG")
    with pytest.raises(ProgramError, match="begins with ff d8 ff"):
        read_decoded(path, 2**20, max_megapixels=1)


def test_a_decoded_picture_above_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    write_png(path, PIXELS)
    content = bytearray(path.read_bytes())
    # The checksum is wrong now: the size is refused before any reader gets so far.
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    with pytest.raises(ProgramError, match="decoded 60000 x 60000 pixels; the limit is 200 megapixels"):
        read_decoded(path, 2**20, max_megapixels=200)


def test_the_seconds_that_a_run_may_take_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TIMEOUT, raising=False)
    assert read_timeout_s() == DEFAULT_TIMEOUT_S
    monkeypatch.setenv(TIMEOUT, "2.5")
    assert read_timeout_s() == 2.5
    for text in ("0", "-1", "inf", "nan", "soon"):
        monkeypatch.setenv(TIMEOUT, text)
        with pytest.raises(UsageError, match="positive number of seconds"):
            read_timeout_s()


def test_a_link_to_an_interpreter_stays_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert find_executable("./python", "SOME_VARIABLE") == str(link)
    with pytest.raises(UsageError, match="SOME_VARIABLE is '/nowhere/python'"):
        find_executable("/nowhere/python", "SOME_VARIABLE")


def test_a_commit_is_told_only_for_a_file_that_the_repository_keeps(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(tmp_path), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    kept, foreign = tmp_path / "kept.py", tmp_path / "foreign.py"
    for file in (kept, foreign):
        file.touch()
    git("add", "kept.py")
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "first")
    assert git_commit(kept) == git("rev-parse", "HEAD")
    assert git_commit(foreign) == ""
    assert git_commit(tmp_path / "none" / "kept.py") == ""


def test_a_question_to_a_program_that_fails_has_no_answer() -> None:
    assert ask([sys.executable, "-I", "-S", "-c", "print('1.2\\n3')"]) == "1.2"
    assert ask([sys.executable, "-I", "-S", "-c", "print(1); raise SystemExit(1)"]) == ""
    assert ask(["/nowhere/program"]) == ""
