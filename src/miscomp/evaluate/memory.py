"""How much memory a codec takes: the peak of a fresh process that encodes, and of one that decodes, one picture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miscomp.codecs.spec import CodecSpec
from miscomp.errors import MiscompError
from miscomp.images import Picture

_WORKER = "miscomp.evaluate.memory_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """What one picture at one setting of one codec took; MB are 10^6 bytes of resident memory."""

    filename: str
    width: int
    height: int
    codec: str
    setting: str
    quality: float
    encode_peak_mb: float
    """Of the whole process: interpreter, libraries, weights and pixels included."""
    encode_before_mb: float | None
    """What that process held just before it encoded: all of these, loaded. None where the system does not tell."""
    decode_peak_mb: float
    decode_before_mb: float | None


@dataclass(frozen=True, slots=True)
class _Taken:
    """Bytes that one process held."""

    before: int | None
    peak: int


def measure_memory(picture: Picture, spec: CodecSpec, quality: float) -> MemoryRow:
    """Encode the picture in one fresh process and decode it in another.

    Raises `MiscompError` where a process fails, or where the system does not tell how much one held.
    """
    with tempfile.TemporaryDirectory(prefix="miscomp-") as scratch:
        pixels, coded = Path(scratch, "pixels.npy"), Path(scratch, "coded")
        np.save(pixels, picture.pixels)
        encode, decode = (_taken(do, spec, quality, pixels=pixels, coded=coded) for do in ("encode", "decode"))
    return MemoryRow(
        filename=picture.path.name,
        width=picture.width,
        height=picture.height,
        codec=spec.name,
        setting=spec.setting,
        quality=quality,
        encode_peak_mb=encode.peak / 1e6,
        encode_before_mb=None if encode.before is None else encode.before / 1e6,
        decode_peak_mb=decode.peak / 1e6,
        decode_before_mb=None if decode.before is None else decode.before / 1e6,
    )


def _taken(do: str, spec: CodecSpec, quality: float, *, pixels: Path, coded: Path) -> _Taken:
    command = [sys.executable, "-m", _WORKER, do, str(spec), repr(float(quality)), str(pixels), str(coded)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise MiscompError(f"the process that was to {do} one picture {_end(done)}; its memory is unknown")
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["peak"] is None:
        raise MiscompError("this system does not tell how much memory a process held; --no-memory leaves it out")
    return _Taken(before=answer["before"], peak=answer["peak"])


def _end(done: subprocess.CompletedProcess[str]) -> str:
    """How a process ended that should not have: its last words, or the signal that ended it."""
    if done.returncode < 0:
        name = str(-done.returncode)
        with suppress(ValueError):
            name = signal.Signals(-done.returncode).name
        return f"was ended by {name}" + (", as where memory runs out" if name == "SIGKILL" else "")
    words = done.stderr.strip().splitlines()
    return f"failed: {words[-1] if words else f'exit code {done.returncode}'}"
