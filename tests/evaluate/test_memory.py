"""Peak memory. Oracles: a process that takes a known amount, and what holds of any process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from miscomp.codecs.spec import parse_spec
from miscomp.errors import MiscompError
from miscomp.evaluate import memory, memory_worker
from miscomp.evaluate.memory import measure_memory
from miscomp.evaluate.memory_worker import peak_bytes, resident_bytes
from miscomp.images import Picture, read, write_png

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process held")

TAKES_AND_GIVES_BACK = """
import json
from miscomp.evaluate.memory_worker import peak_bytes, resident_bytes
before = resident_bytes()
block = bytearray(b"x" * 80_000_000)
held = resident_bytes()
del block
print(json.dumps([before, held, resident_bytes(), peak_bytes()]))
"""


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    write_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    return read(tmp_path / "a.png")


@linux
def test_the_peak_stays_after_memory_was_given_back() -> None:
    # The parent holds more than the child ever will: none of it may stand in the child's figures.
    parent = np.ones(50_000_000)
    done = subprocess.run([sys.executable, "-c", TAKES_AND_GIVES_BACK], capture_output=True, text=True, check=True)
    before, held, after, peak = json.loads(done.stdout)
    assert parent.nbytes > 2 * peak
    # Oracle: the block's size; the interpreter copies it once while it is made.
    assert 80e6 <= held - before < 90e6 and after - before < 10e6
    assert 80e6 <= peak - before < 175e6


@linux
def test_a_codec_s_processes_tell_what_they_held_before_and_at_most(picture: Picture) -> None:
    row = measure_memory(picture, parse_spec("jpeg@q75"), 75)
    assert (row.filename, row.width, row.height) == ("a.png", 64, 48)
    assert (row.codec, row.setting, row.quality) == ("jpeg", "q75", 75)
    assert row.encode_before_mb is not None and row.decode_before_mb is not None
    # An interpreter with NumPy and Pillow holds more than 20 MB, and no network was loaded.
    assert 20 < row.encode_before_mb <= row.encode_peak_mb < 150
    assert 20 < row.decode_before_mb <= row.decode_peak_mb < 150


@linux
def test_a_larger_picture_takes_more(picture: Picture, tmp_path: Path) -> None:
    write_png(tmp_path / "large.png", np.zeros((3000, 4000, 3), np.uint8))
    large = measure_memory(read(tmp_path / "large.png"), parse_spec("jpeg@q75"), 75)
    small = measure_memory(picture, parse_spec("jpeg@q75"), 75)
    # Oracle: the picture itself, 36 MB, which both directions hold at least once.
    assert large.encode_peak_mb - small.encode_peak_mb > 30
    assert large.decode_peak_mb - small.decode_peak_mb > 30


def test_a_process_that_fails_is_an_error_with_its_last_words(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MiscompError, match=r"that was to encode one picture failed: .*jpeg has no quality 500"):
        measure_memory(picture, parse_spec("jpeg@q75"), 500)
    (tmp_path / "killed.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(memory, "_WORKER", "killed")
    with pytest.raises(MiscompError, match="was ended by SIGKILL, as where memory runs out"):
        measure_memory(picture, parse_spec("jpeg@q75"), 75)
    (tmp_path / "silent.py").write_text('print(\'{"before": null, "peak": null}\')\n')
    monkeypatch.setattr(memory, "_WORKER", "silent")
    with pytest.raises(MiscompError, match="does not tell how much memory a process held; --no-memory"):
        measure_memory(picture, parse_spec("jpeg@q75"), 75)


def test_a_system_that_tells_nothing_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_worker, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(sys, "platform", "linux")
    assert peak_bytes() is None and resident_bytes() is None
    (tmp_path / "none").write_text("Name:\tpython\nVmHWM:\t  5120 kB\nVmRSS:\t  4096 kB\n")
    assert (peak_bytes(), resident_bytes()) == (5120 * 1024, 4096 * 1024)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_bytes() is None and resident_bytes() is None
