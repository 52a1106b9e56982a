"""A stand-in follows `tfci.py`'s command line and file format and codes with Pillow's JPEG inside.

The real script and its models are not run here. The golden file was serialized by google.protobuf 7.36 from the
message types of TensorFlow's example.proto and feature.proto.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from standin_programs import FAULT, calls_of, example, field, install_tfci, varint

from miscomp.codecs import tfci
from miscomp.codecs.base import Codec
from miscomp.codecs.external import TIMEOUT
from miscomp.codecs.rows import CodecRow, Qualities
from miscomp.codecs.tfci import FAMILIES, MODELS, PYTHON, SCRIPT, Tfci, codec_of, open_family, read_coded
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels

GOLDEN = bytes.fromhex(
    "0a400a0e0a010112090a070a0500ff6162630a0d0a010212081a060a04800480060a0b0a010312061a040a0220300a120a02"
    "4d44120c0a0a0a0868696669632d6c6f"
)
"""MD = "hific-lo", 1 = five bytes, 2 = [512, 768], 3 = [32, 48]."""


def family(name: str) -> Tfci:
    row = CodecRow(
        name=name,
        build="miscomp.codecs.tfci:open_family",
        takes_row=True,
        qualities=Qualities(low=1, high=len(FAMILIES[name]), default=1, integer=True),
        suffix=".tfci",
        media="application/octet-stream",
        description="",
        licence="",
    )
    return open_family(row)


def picture(height: int = 45, width: int = 70) -> Pixels:
    y, x = np.mgrid[:height, :width]
    pixels: Pixels = (128 + (60 * np.sin(x / 9) + 40 * np.cos(y / 7))[..., None] * [1, 0.5, -0.5]).astype(np.uint8)
    return pixels


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in, as the environment's script."""
    for variable in (MODELS, FAULT, TIMEOUT):
        monkeypatch.delenv(variable, raising=False)
    found = install_tfci(tmp_path / "models")
    monkeypatch.setenv(SCRIPT, str(found))
    monkeypatch.setenv(PYTHON, sys.executable)
    return found


def test_a_picture_goes_through_the_script_and_its_file_is_the_scripts_own(script: Path) -> None:
    codec: Codec = family("tfci-hific")
    x = picture()
    content = codec.compress(x, 3)
    coded = read_coded(content)
    assert (coded.model, coded.numbers) == ("hific-hi", (45, 70, 3, 5))
    assert codec_of(content) == codec.name == "tfci-hific"
    x_hat = codec.decompress(content)
    assert x_hat.shape == x.shape and np.mean((x_hat.astype(float) - x) ** 2) < 200


def test_the_command_lines_are_the_scripts(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS, str(script.parent / "cache"))
    codec = family("tfci-mbt2018-mean")
    codec.decompress(codec.compress(picture(), 5))
    encoding, decoding = (call["arguments"] for call in calls_of(script.parent))
    cache = ["--metagraph_cache", str(script.parent / "cache")]
    assert encoding[:4] == [*cache, "compress", "mbt2018-mean-mse-5"]
    assert [Path(path).suffix for path in encoding[4:]] == [".png", ".tfci"]
    assert decoding[:3] == [*cache, "decompress"]
    assert [Path(path).suffix for path in decoding[3:]] == [".tfci", ".png"]


def test_a_script_may_be_an_executable_of_its_own(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = script.parent / "tfci"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv(SCRIPT, str(wrapper))
    monkeypatch.delenv(PYTHON)
    codec = family("tfci-hific")
    assert read_coded(codec.compress(picture(), 1)).model == "hific-lo"
    assert re.fullmatch(r"tfci, SHA-256 [0-9a-f]{64}", codec.version())


def test_more_quality_is_a_higher_model(script: Path) -> None:
    codec = family("tfci-ms2020")
    contents = [codec.compress(picture(), quality) for quality in (1, 5, 10)]
    assert [read_coded(content).model for content in contents] == [f"ms2020-cc10-mse-{i}" for i in (1, 5, 10)]
    assert len(contents[0]) < len(contents[1]) < len(contents[2])


def test_every_family_opens_under_its_name_and_no_model_is_in_two(script: Path) -> None:
    assert [family(name).name for name in FAMILIES] == list(FAMILIES)
    models = [model for one in FAMILIES.values() for model in one]
    assert len(models) == len(set(models)) == 70
    assert {"hific-mi", "bmshj2018-factorized-msssim-8", "mbt2018-mean-msssim-1", "ms2020-cc8-msssim-9"} <= set(models)


@pytest.mark.parametrize("quality", [0, 4, 1.5, float("nan")])
def test_a_quality_outside_the_family_is_refused(script: Path, quality: float) -> None:
    with pytest.raises(UsageError, match=r"tfci-hific has no quality .* whole number from 1 to 3"):
        family("tfci-hific").compress(picture(), quality)


def test_without_the_script_the_error_says_what_to_get(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(SCRIPT, raising=False)
    with pytest.raises(UsageError) as caught:
        family("tfci-hific")
    for part in ("tfci-hific", tfci.SOURCE, "tensorflow-compression==2.*", SCRIPT, PYTHON):
        assert part in str(caught.value)
    monkeypatch.setenv(SCRIPT, str(tmp_path / "tfci.py"))
    with pytest.raises(UsageError, match="which is no file: get https"):
        family("tfci-hific")
    (tmp_path / "tfci").touch()
    monkeypatch.setenv(SCRIPT, str(tmp_path / "tfci"))
    with pytest.raises(UsageError, match=f"{SCRIPT} is .* no such program can be run"):
        family("tfci-hific")


@pytest.mark.parametrize(
    ("fault", "encoding", "decoding"),
    [
        ("exit", "exit code 3; it printed: CUDA", "exit code 3"),
        ("signal", "SIGKILL", "SIGKILL"),
        ("nothing", "wrote nothing", "wrote nothing"),
        ("foreign", "wrote no .tfci file: not a whole .tfci file", "wrote no PNG"),
        ("hang", "did not end within 1 s", "did not end within 1 s"),
    ],
)
def test_a_fault_of_the_script_is_an_error_of_the_request_or_of_the_stream(
    script: Path, monkeypatch: pytest.MonkeyPatch, fault: str, encoding: str, decoding: str
) -> None:
    monkeypatch.setenv(FAULT, fault)
    monkeypatch.setenv(TIMEOUT, "1" if fault == "hang" else "30")
    codec = family("tfci-hific")
    with pytest.raises(UsageError, match=encoding):
        codec.compress(picture(), 1)
    with pytest.raises(StreamError, match=decoding):
        codec.decompress(GOLDEN)


def test_a_file_of_another_model_than_asked_for_is_refused(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULT, "other model")
    with pytest.raises(UsageError, match="asked for the model hific-lo and wrote a file of hific-hi"):
        family("tfci-hific").compress(picture(), 1)


def test_a_picture_of_another_size_than_the_file_states_is_refused(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = family("tfci-hific")
    content = codec.compress(picture(), 1)
    monkeypatch.setenv(FAULT, "wrong size")
    with pytest.raises(StreamError, match=r"decoded 71 x 45 pixels, a size that the file does not state \(.*70"):
        codec.decompress(content)


def test_a_picture_above_the_limit_is_refused_before_the_script_runs(script: Path) -> None:
    with pytest.raises(StreamError, match=r"a shape of 512 x 768; the limit is 0\.3 megapixels"):
        family("tfci-hific").decompress(GOLDEN, max_megapixels=0.3)
    assert not (script.parent / "calls.jsonl").exists()


def test_a_file_of_another_family_is_refused(script: Path) -> None:
    with pytest.raises(StreamError, match=r"a file of tfci-hific \(model hific-lo\), not of tfci-mbt2018-mean"):
        family("tfci-mbt2018-mean").decompress(GOLDEN)


def test_a_file_that_protocol_buffers_wrote_is_read() -> None:
    assert read_coded(GOLDEN) == tfci.Coded(model="hific-lo", numbers=(512, 768, 32, 48))
    features: dict[str, bytes | list[int]] = {"\x01": b"\x00\xffabc", "\x02": [512, 768], "\x03": [32, 48]}
    assert example(**features, MD=b"hific-lo") == GOLDEN


@pytest.mark.parametrize(
    "model", ["../../../home/x/evil", "hific-lo/../x", "hific-LO", "b2018-gdn-128-1", "hific-lo\n"]
)
def test_a_model_that_is_not_published_never_reaches_the_script(script: Path, model: str) -> None:
    content = example(MD=model.encode())
    assert codec_of(content) is None
    with pytest.raises(StreamError, match="it names the model"):
        family("tfci-hific").decompress(content)
    assert not (script.parent / "calls.jsonl").exists()


def entry(key: bytes, value: bytes) -> bytes:
    return field(1, field(1, key) + field(2, value))


NAMED = entry(b"MD", field(1, field(1, b"hific-lo")))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begins with nothing"),
        (GOLDEN + b"\x00", "field 0 of type 0"),
        (GOLDEN + GOLDEN, "more than 1 fields"),
        (field(1, NAMED + NAMED), "a name comes twice"),
        (field(1, entry(b"MD", field(1, field(1, b"hific-lo") + field(1, b"hific-hi")))), "more than 1 fields"),
        (field(1, entry(b"MD", field(1, field(1, b"hific-lo")) + field(1, field(1, b"hific-hi")))), "more than 1"),
        (field(1, field(1, field(1, b"MD"))), "missing or comes twice"),
        (field(1, entry(b"MD", field(1, field(1, b"hific-l\xf6")))), "ascii"),
        (field(1, NAMED + b"\x08\x01"), "field 1 of type 0"),
        (field(1, NAMED + entry(b"a", field(3, field(1, varint(2**63))))), "a shape has the number"),
        (field(1, NAMED + b"".join(entry(b"%d" % i, b"") for i in range(64))), "more than 64 fields"),
        (field(1, NAMED + entry(b"a", field(3, field(1, b"\x80" * 70)))), "longer than ten bytes"),
        (field(1, entry(b"a", b"")), "it names no model"),
    ],
)
def test_what_readers_could_take_differently_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(StreamError, match=reason):
        read_coded(content)


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    for length in range(len(GOLDEN)):
        with pytest.raises(StreamError, match="not a whole"):
            read_coded(GOLDEN[:length])


def test_mutated_files_give_no_other_error_and_no_unpublished_model() -> None:
    rng = np.random.default_rng(4)
    published = {model for one in FAMILIES.values() for model in one}
    read = 0
    for _ in range(3000):
        content = bytearray(GOLDEN)
        for place in rng.integers(0, len(content), 1 + rng.integers(3)):
            content[place] = rng.integers(256)
        try:
            assert read_coded(bytes(content)).model in published
            read += 1
        except StreamError:
            pass
    assert 100 < read < 2900


def test_the_version_names_the_script_and_the_library(script: Path) -> None:
    assert re.fullmatch(r"tfci\.py, SHA-256 [0-9a-f]{64}", family("tfci-hific").version())
