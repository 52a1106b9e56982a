"""Codecs that are other people's programs: started without a shell, bounded in time and output, every result checked.

A call gets a temporary folder of its own. The picture goes in as PNG and comes out as PNG of 8-bit RGB; the coded
file is the program's own, byte for byte. What a program is told comes from this package and from the user's
settings, never from a stream.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from miscomp.errors import ImageError, StreamError, UsageError
from miscomp.images import Pixels, decode, write_png

TIMEOUT = "MISCOMP_PROGRAM_TIMEOUT"
"""Environment variable: seconds that one run of a program may take."""
DEFAULT_TIMEOUT_S = 3600.0
MAX_PRINTED = 16 * 2**20
"""Bytes that a program may print; one that prints without end is stopped before it fills the disk."""

_POLL_S = 0.1
_TAIL_BYTES, _TAIL_LINES, _TAIL_LETTERS = 8192, 8, 1000
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_HEADER = struct.Struct(">IIBB")
_RGB = 2
"""PNG's colour type."""

Arguments = Callable[[str, str], Sequence[str]]
"""From the paths of what is read and what is written to what stands behind the program's name."""


class ProgramError(Exception):
    """What a program did wrong, in words that follow its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A codec's program, ready to be run."""

    codec: str
    """The codec's name, for messages."""
    command: tuple[str, ...]
    """What every run begins with: an executable's path, and a script's where it needs one."""
    folder: Path | None = None
    """Where it runs; none: in the run's temporary folder."""
    coded_suffix: str
    timeout_s: float = DEFAULT_TIMEOUT_S

    def encode(self, pixels: Pixels, arguments: Arguments) -> bytes:
        """Return the file that the program makes of 8-bit RGB, (h, w, 3); `UsageError` where it makes none."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (h, w, 3), got {pixels.dtype} {pixels.shape}")
        height, width = pixels.shape[:2]
        with _workspace(self.codec) as folder:
            source, target = folder / "input.png", folder / f"coded{self.coded_suffix}"
            write_png(source, pixels)
            try:
                self._run(arguments(str(source), str(target)), target, folder, most=coded_limit(width, height))
                return _read_output(target, coded_limit(width, height))
            except ProgramError as error:
                raise UsageError(
                    f"{self.codec} cannot encode {width} x {height} pixels: its program {error}"
                ) from error

    def decode(self, content: bytes, arguments: Arguments, *, max_megapixels: float) -> Pixels:
        """Return the picture that the program makes of a coded file; `StreamError` where it makes none.

        A program that cannot be started is a `UsageError`.
        """
        if not (math.isfinite(max_megapixels) and max_megapixels > 0):
            raise UsageError(f"max_megapixels must be a positive number, got {max_megapixels}")
        most = int(max_megapixels * 3.1e6) + 2**20
        with _workspace(self.codec) as folder:
            source, target = folder / f"coded{self.coded_suffix}", folder / "decoded.png"
            source.write_bytes(content)
            try:
                self._run(arguments(str(source), str(target)), target, folder, most=most)
                return read_decoded(target, most, max_megapixels=max_megapixels)
            except ProgramError as error:
                raise StreamError("stream", f"the program of {self.codec} {error}") from error

    def _run(self, arguments: Sequence[str], target: Path, folder: Path, *, most: int) -> None:
        log = folder.parent / "printed.txt"
        run([*self.command, *arguments], folder=self.folder or folder, log=log, timeout_s=self.timeout_s).watch(
            target, most
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A program that has been started; `watch` must be called, and ends it in every case."""

    process: subprocess.Popen[bytes]
    log: Path
    timeout_s: float

    def watch(self, target: Path, most: int) -> None:
        """Wait for its end; raises `ProgramError` for any other than exit code 0 within time, printing and size.

        `target` is the file that it writes, of at most `most` bytes. Whatever happens, no child stays behind
        that did not leave the program's group of processes.
        """
        try:
            self._wait(target, most)
        finally:
            _kill(self.process)
        code = self.process.returncode
        if code < 0:
            raise ProgramError(f"was ended by {_signal_name(-code)}{self._said()}")
        if code:
            raise ProgramError(f"ended with exit code {code}{self._said()}")
        if not target.exists():
            raise ProgramError(f"ended with exit code 0 and wrote nothing{self._said()}")

    def _wait(self, target: Path, most: int) -> None:
        end = time.monotonic() + self.timeout_s
        running = True
        while running:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=max(min(_POLL_S, end - time.monotonic()), 0.001))
                running = False
            if _size(self.log) > MAX_PRINTED:
                raise ProgramError(f"printed more than {MAX_PRINTED / 2**20:g} MiB and was stopped{self._said()}")
            if _size(target) > most:
                raise ProgramError(f"wrote more than {most} bytes and was stopped; a picture of that size needs less")
            if running and time.monotonic() >= end:
                raise ProgramError(
                    f"did not end within {self.timeout_s:g} s and was stopped; {TIMEOUT} sets the seconds{self._said()}"
                )

    def _said(self) -> str:
        """The last lines of what it printed, as a clause; control characters would reach the user's terminal."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(_size(self.log) - _TAIL_BYTES, 0))
            lines = file.read(_TAIL_BYTES).decode("utf-8", errors="replace").splitlines()
            shown = ["".join(c if c.isprintable() else "?" for c in line).strip() for line in lines]
            text = " / ".join([line for line in shown if line][-_TAIL_LINES:])[-_TAIL_LETTERS:]
            if text:
                return f"; it printed: {text}"
        return "; it printed nothing"


def run(command: Sequence[str], *, folder: Path, log: Path, timeout_s: float) -> Run:
    """Start a program without a shell, in a session of its own; `log` takes what it prints.

    Raises `UsageError` where the system refuses.
    """
    try:
        with log.open("wb") as printed:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        raise UsageError(f"{command[0]} cannot be run in {folder}: {error}; check the path and its rights") from error
    return Run(process, log, timeout_s)


def coded_limit(width: int, height: int) -> int:
    """Most bytes of a coded file: over twice those of the raw picture, and a mebibyte."""
    return 8 * width * height + 2**20


def read_decoded(path: Path, most: int, *, max_megapixels: float) -> Pixels:
    """Read the PNG that a program wrote; raises `ProgramError` for all but a whole one of 8-bit RGB.

    Its size is checked in the header, before anything is decoded.
    """
    start = _read_output(path, most)[: len(_PNG_START) + _PNG_HEADER.size]
    if not start.startswith(_PNG_START) or len(start) < len(_PNG_START) + _PNG_HEADER.size:
        raise ProgramError(f"wrote no PNG: its file begins with {start[:8].hex(' ')}")
    width, height, bits, colour = _PNG_HEADER.unpack_from(start, len(_PNG_START))
    if width * height > max_megapixels * 1e6:
        raise ProgramError(
            f"decoded {width} x {height} pixels; the limit is {max_megapixels:g} megapixels, raise it to read"
        )
    if (bits, colour) != (8, _RGB):
        raise ProgramError(f"wrote a PNG of {bits} bits and colour type {colour}; 8 bits and type 2 (RGB) are needed")
    try:
        pixels, notes = decode(path.read_bytes(), "its PNG", max_megapixels=max_megapixels)
    except ImageError as error:
        raise ProgramError(f"wrote a PNG that {error.problem}") from error
    if notes:
        raise ProgramError(f"wrote a PNG whose metadata change the picture ({'; '.join(notes)})")
    return pixels


def find_executable(name: str, variable: str) -> str:
    """Absolute path of a program given by name or path; `UsageError` names the environment variable that sets it."""
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        raise UsageError(f"{variable} is {name!r}, and no such program can be run; set it to an executable's path")
    # Not resolved: a virtual environment's interpreter is a link, and knows its environment by the link's place.
    return os.path.abspath(found)


def read_timeout_s() -> float:
    """Seconds that a run may take, from the environment; raises `UsageError` for anything but a positive number."""
    text = os.environ.get(TIMEOUT, "")
    if not text:
        return DEFAULT_TIMEOUT_S
    with suppress(ValueError):
        seconds = float(text)
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    raise UsageError(f"{TIMEOUT} is {text!r}; it needs a positive number of seconds")


def git_commit(file: Path) -> str:
    """Commit of the repository that keeps a file, 40 hex digits; empty without git, and for a file that none keeps.

    A checkout inside another repository does not get that one's commit.
    """
    if not ask(["git", "-C", str(file.parent), "ls-files", "--error-unmatch", file.name]):
        return ""
    commit = ask(["git", "-C", str(file.parent), "rev-parse", "HEAD"])
    return commit if re.fullmatch(r"[0-9a-f]{40}", commit, re.ASCII) else ""


def ask(command: Sequence[str]) -> str:
    """First line that a quick command prints, at most 200 letters; empty where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            list(command), capture_output=True, stdin=subprocess.DEVNULL, timeout=10, env=environment, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    line = done.stdout.decode("utf-8", errors="replace").strip().partition("\n")[0][:200]
    return "".join(c if c.isprintable() else "?" for c in line)


@contextmanager
def _workspace(codec: str) -> Iterator[Path]:
    """A temporary folder, two levels deep: some programs write logs beside the folder that they write to."""
    try:
        with TemporaryDirectory(prefix="miscomp-", ignore_cleanup_errors=True) as name:
            folder = Path(name) / "files"
            folder.mkdir()
            yield folder
    except OSError as error:
        raise UsageError(f"{codec} needs room for temporary files: {error}; let TMPDIR name a folder") from error


def _read_output(path: Path, most: int) -> bytes:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ProgramError("wrote no regular file")
    if status.st_size == 0:
        raise ProgramError("wrote an empty file")
    if status.st_size > most:
        raise ProgramError(f"wrote {status.st_size} bytes; a picture of that size needs at most {most}")
    return path.read_bytes()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "win32":
        # The session's processes, also those that outlived the program itself.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return f"the signal {name}{' (often for want of memory)' if name == 'SIGKILL' else ''}"
