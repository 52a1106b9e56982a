"""A stand-in follows the reference software's command line and file layout and codes with Pillow's JPEG inside.

The real software is not run here. The oracle for lengths is the Exp-Golomb table of Rec. ITU-T H.264, 9.1.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from standin_programs import FAULT, calls_of, install_jpeg_ai, parts

from miscomp.codecs import jpeg_ai
from miscomp.codecs.base import Codec
from miscomp.codecs.external import TIMEOUT
from miscomp.codecs.jpeg_ai import CFG, DEVICE, FOLDER, PAPERS_COMMIT, PYTHON, JpegAi, check_stream, is_jpeg_ai
from miscomp.codecs.rate import encode_at_bpp
from miscomp.codecs.rows import CodecRow, Qualities
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels

ROW = CodecRow(
    name="jpeg-ai",
    build="miscomp.codecs.jpeg_ai:open_software",
    takes_row=True,
    qualities=Qualities(low=6, high=200, default=50, integer=True),
    suffix=".bits",
    media="application/octet-stream",
    description="",
    licence="",
    max_side=65535,
)
EMPTY = b"\xff\x80\xff\x82\x80\xff\x81"
"""The shortest that the syntax allows: a picture header without bytes, whose length's code is a single 1."""


def opened() -> JpegAi:
    return jpeg_ai.open_software(ROW)


def picture(height: int = 96, width: int = 128) -> Pixels:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(5).normal(0, 12, (height, width, 3))
    pixels: Pixels = np.clip(128 + (60 * np.sin(x / 9) + 40 * np.cos(y / 7))[..., None] + noise, 0, 255).astype(
        np.uint8
    )
    return pixels


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in, as the environment's software."""
    for variable in (CFG, DEVICE, FAULT, TIMEOUT):
        monkeypatch.delenv(variable, raising=False)
    found = install_jpeg_ai(tmp_path / "jpeg-ai")
    monkeypatch.setenv(FOLDER, str(found))
    monkeypatch.setenv(PYTHON, sys.executable)
    return found


def test_a_picture_goes_through_the_software_and_its_file_is_the_softwares_own(folder: Path) -> None:
    codec: Codec = opened()
    x = picture()
    content = codec.compress(x, 150)
    assert is_jpeg_ai(content) and content.endswith(b"\xff\x81")
    x_hat = codec.decompress(content)
    assert x_hat.shape == x.shape
    assert np.mean((x_hat.astype(float) - x) ** 2) < 200
    assert codec.name == "jpeg-ai"


def test_the_command_lines_are_those_of_the_papers(folder: Path) -> None:
    codec = opened()
    codec.decompress(codec.compress(picture(64, 64), 12))
    encoding, decoding = calls_of(folder)
    source, target, *rest = encoding["arguments"]
    assert rest == ["--set_target_bpp", "12", "--cfg", "cfg/tools_off.json", "cfg/profiles/high.json"]
    assert source.endswith(".png") and target.endswith(".bits")
    # The decoder writes logs two levels above the file that it reads: they belong into the temporary folder.
    assert Path(target).parent.parent.name.startswith("miscomp-")
    assert [Path(path).suffix for path in decoding["arguments"]] == [".bits", ".png"]
    assert encoding["folder"] == decoding["folder"] == [str(folder)]


def test_settings_files_and_the_device_come_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cfg" / "my own.json").write_text("{}")
    monkeypatch.setenv(CFG, "cfg/tools_off.json 'cfg/my own.json'")
    monkeypatch.setenv(DEVICE, "cpu")
    codec = opened()
    codec.decompress(codec.compress(picture(64, 64), 25))
    encoding, decoding = calls_of(folder)
    assert encoding["arguments"][-5:] == ["--cfg", "cfg/tools_off.json", "cfg/my own.json", "-target_device", "cpu"]
    assert decoding["arguments"][2:] == ["-target_device", "cpu", "--device", "cpu"]


def test_a_search_for_a_rate_works_through_the_target_rate(folder: Path) -> None:
    found = encode_at_bpp(opened(), ROW, picture(), 1.5, tolerance=0.05)
    assert found.reached and abs(found.bpp / 1.5 - 1) <= 0.05
    assert found.bpp == 8 * len(found.content) / (96 * 128)
    assert found.tries <= 6


@pytest.mark.parametrize("quality", [5, 201, 25.5, float("nan")])
def test_a_target_rate_outside_the_scale_is_refused(folder: Path, quality: float) -> None:
    with pytest.raises(UsageError, match="whole number from 6 to 200"):
        opened().compress(picture(), quality)


def test_without_the_software_the_error_says_what_to_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    with pytest.raises(UsageError) as caught:
        opened()
    for part in (jpeg_ai.SOURCE, PAPERS_COMMIT[:7], FOLDER, PYTHON):
        assert part in str(caught.value)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(UsageError, match=r"has no src.reco.coders.encoder\.py: get it from https"):
        opened()


def test_a_wrong_setting_of_the_environment_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value, reason in [
        (
            CFG,
            "cfg/tools_off.json cfg/profiles/main.json",
            r"no settings file cfg/profiles/main\.json.*found: high\.json",
        ),
        (DEVICE, "cuda:0", "needs one of cpu, gpu"),
        (PYTHON, "/nowhere/python", f"{PYTHON} is '/nowhere/python'"),
        (TIMEOUT, "long", "positive number of seconds"),
    ]:
        with monkeypatch.context() as patch, pytest.raises(UsageError, match=reason):
            patch.setenv(variable, value)
            opened()


@pytest.mark.parametrize(
    ("fault", "encoding", "decoding"),
    [
        ("exit", "exit code 3; it printed: CUDA out of .*memory", "exit code 3; it printed: CUDA"),
        ("signal", "SIGKILL", "SIGKILL"),
        ("nothing", "wrote nothing", "wrote nothing"),
        ("foreign", r"no bitstream of T\.840\.1: not a JPEG AI bitstream: it begins with 47 49 46 38", "wrote no PNG"),
        ("hang", "did not end within 1 s", "did not end within 1 s"),
    ],
)
def test_a_fault_of_the_software_is_an_error_of_the_request_or_of_the_stream(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, encoding: str, decoding: str
) -> None:
    stream = parts((0xFF82, b"header"))
    monkeypatch.setenv(FAULT, fault)
    monkeypatch.setenv(TIMEOUT, "1" if fault == "hang" else "30")
    codec = opened()
    with pytest.raises(UsageError, match=encoding):
        codec.compress(picture(), 50)
    with pytest.raises(StreamError, match=decoding):
        codec.decompress(stream, max_megapixels=0.1)


@pytest.mark.parametrize(("fault", "reason"), [("grey", "colour type 0"), ("truncated", "wrote a PNG that")])
def test_a_decoded_picture_of_another_kind_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    codec = opened()
    content = codec.compress(picture(), 50)
    monkeypatch.setenv(FAULT, fault)
    with pytest.raises(StreamError, match=reason):
        codec.decompress(content)


def test_a_picture_above_the_limit_is_refused(folder: Path) -> None:
    codec = opened()
    content = codec.compress(picture(), 50)
    with pytest.raises(StreamError, match=r"128 x 96 pixels; the limit is 0\.01 megapixels"):
        codec.decompress(content, max_megapixels=0.01)


def test_the_version_names_release_commit_and_settings(folder: Path) -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    codec = opened()
    assert codec.version() == (
        "JPEG AI reference software, version stand-in 1, cfg/tools_off.json cfg/profiles/high.json"
    )
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "first")
    assert f"version stand-in 1, commit {git('rev-parse', 'HEAD')}, cfg" in codec.version()
    (folder / "cfg" / "info.json").write_text("[" * 100_000)
    assert "software, commit" in codec.version()


@pytest.mark.parametrize(
    ("length", "code"), [(0, "80"), (1, "40"), (2, "60"), (3, "20"), (6, "38"), (7, "10"), (254, "01fe")]
)
def test_lengths_are_exp_golomb_codes_filled_up_to_bytes(length: int, code: str) -> None:
    # 0: 1; 1: 010; 2: 011; 3: 00100; 6: 00111; 7: 0001000; 254: 0000000 11111111.
    stream = b"\xff\x80\xff\x82" + bytes.fromhex(code) + bytes(length) + b"\xff\x81"
    check_stream(stream)
    assert stream == parts((0xFF82, bytes(length)))


def test_a_stream_that_is_cut_off_anywhere_is_refused_before_the_decoder_could_hang(folder: Path) -> None:
    stream = parts((0xFF82, bytes(12)), (0xFF88, bytes(300)), (0xFF89, bytes(5)), (0xFF8A, b""))
    check_stream(stream)
    codec = opened()
    for length in range(len(stream)):
        with pytest.raises(StreamError, match=r"truncated|not a JPEG AI|empty"):
            codec.decompress(stream[:length])
    check_stream(stream + b"what stands behind the end")


def test_mutated_streams_are_told_in_no_time_and_with_no_other_error() -> None:
    stream = parts((0xFF82, bytes(12)), (0xFF88, bytes(300)), (0xFF89, bytes(5)))
    rng = np.random.default_rng(3)
    begin, refused = time.monotonic(), 0
    for _ in range(3000):
        content = bytearray(stream)
        for place in rng.integers(2, len(content), 3):
            content[place] = rng.integers(256)
        try:
            check_stream(bytes(content))
        except StreamError:
            refused += 1
    assert 50 < refused < 2000
    assert time.monotonic() - begin < 5
    for hostile in (b"\xff\x80" + b"\xff\x82\x80" * 200_000, EMPTY[:-2] + b"\xff\x88" + bytes(10**6), EMPTY[:4]):
        with pytest.raises(StreamError):
            check_stream(hostile)


def test_its_files_are_no_other_codecs() -> None:
    check_stream(EMPTY)
    assert is_jpeg_ai(EMPTY)
    for start in (b"\xff\xd8\xff", b"\xff\x0a", b"\xff\x4f\xff\x51", b"\xff\x80\xff\x83"):
        assert not is_jpeg_ai(start)
