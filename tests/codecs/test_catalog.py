from __future__ import annotations

import contextlib
import hashlib
import string
import subprocess
import sys
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.codecs import container
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.codecs.checkpoints import checkpoints_of
from miscomp.codecs.spec import CodecSpec, default_spec, parse_spec
from miscomp.errors import StreamError, UnknownName, UsageError

NAMES = CODECS.names


def test_the_registry_holds_the_codecs_of_the_design_in_order() -> None:
    assert NAMES[:7] == ("jpeg", "webp", "avif", "jpeg-xl", "jpeg2000", "lucid", "slic")
    papers = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", "cheng2020-anchor")
    assert NAMES[7:19] == tuple(name for one in (*papers, "cheng2020-attn") for name in (one, f"{one}-ms-ssim"))
    assert {"stf", "hific", "cdc", "cdc-mse", "jpeg-ai", "tfci-hific"} < set(NAMES)


def test_format_ids_are_those_that_files_have_had() -> None:
    ids = {row.name: row.format_id for row in CODECS if row.format_id is not None}
    assert ids.pop("slic") == 18
    assert list(ids.items()) == list(zip((NAMES[5], *NAMES[7:23]), range(1, 18), strict=True))


def test_format_ids_and_suffixes_are_unique_and_lucid_keeps_number_1() -> None:
    ids = [row.format_id for row in CODECS if row.format_id is not None]
    suffixes = [row.suffix for row in CODECS if row.build.startswith("miscomp.codecs.classical:")]
    assert len(set(ids)) == len(ids)
    assert len(set(suffixes)) == len(suffixes)
    assert CODECS["lucid"].format_id == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_complete_and_its_default_is_on_its_scale(name: str) -> None:
    row = CODECS[name]
    assert row.description and row.licence and row.media.count("/") == 1 and row.suffix.startswith(".")
    assert row.qualities.low <= row.qualities.default < row.qualities.high
    assert row.qualities.check(name, row.qualities.default) == row.qualities.default
    assert (row.weights is not None or row.architecture != "") == (row.format_id is not None)
    assert len(checkpoints_of(name)) == (row.qualities.high if row.architecture else 0)
    assert parse_spec(name) == default_spec(name)


@pytest.mark.parametrize("name", [row.name for row in CODECS if not row.recognise])
def test_every_codec_opens_once_under_its_name(name: str) -> None:
    codec = open_codec(name)
    assert codec.name == name
    assert open_codec(name) is codec


def test_an_unknown_codec_lists_the_known_ones_and_guesses() -> None:
    for call in (open_codec, parse_spec):
        with pytest.raises(UnknownName, match=r"unknown codec 'jpg'; known: .*Did you mean 'jpeg'\?"):
            call("jpg")


def test_reading_the_registry_imports_neither_torch_nor_an_image_library() -> None:
    code = "import sys, miscomp.codecs.catalog; print([m for m in ('torch', 'PIL', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [row.name for row in CODECS if row.build.startswith("miscomp.codecs.classical:")])
def test_a_codecs_own_file_is_known_by_content(name: str) -> None:
    content = open_codec(name).compress(np.zeros((9, 9, 3), np.uint8), CODECS[name].qualities.default)
    assert detect_codec(content) == name


def test_neural_streams_are_known_by_their_format_id() -> None:
    stream = container.Stream(format_id=1, width=1, height=1, weights=bytes(8), latent_crc32=0, payloads=(b"",))
    content = container.pack(stream)
    assert detect_codec(content) == "lucid"
    foreign = content[:6] + (999).to_bytes(2, "little") + content[8:]
    with pytest.raises(StreamError, match=r"x\.misc: format id 999 is unknown"):
        detect_codec(foreign, "x.misc")
    with pytest.raises(StreamError, match="truncated"):
        detect_codec(content[:10])


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\xff\xd8"],
)
def test_files_of_no_codec_are_refused(content: bytes) -> None:
    with pytest.raises(StreamError, match="not a file of a known codec"):
        detect_codec(content)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_codecs_or_a_stream_error(content: bytes) -> None:
    for start in (b"", container.MAGIC, b"\xff\xff\xff\xffftyp"):
        with contextlib.suppress(StreamError):
            assert detect_codec(start + content) in CODECS


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("lucid@0.25bpp", CodecSpec("lucid", bpp=0.25)),
        ("lucid@.25bpp", CodecSpec("lucid", bpp=0.25)),
        ("lucid", CodecSpec("lucid", bpp=0.25)),
        ("lucid@q0.5", CodecSpec("lucid", quality=0.5)),
        ("jpeg", CodecSpec("jpeg", quality=75)),
        ("jpeg@q75", CodecSpec("jpeg", quality=75)),
        ("jpeg@2bpp", CodecSpec("jpeg", bpp=2)),
        ("jpeg@like:lucid", CodecSpec("jpeg", like="lucid")),
        ("jpeg@like:lucid@0.25bpp", CodecSpec("jpeg", like="lucid@0.25bpp")),
        ("jpeg@like:jpeg@q20", CodecSpec("jpeg", like="jpeg@q20")),
        ("cdc@q2+seed3", CodecSpec("cdc", quality=2, seed=3)),
        ("cdc+seed0", CodecSpec("cdc", quality=2, seed=0)),
        ("cdc@0.25bpp+seed18446744073709551615", CodecSpec("cdc", bpp=0.25, seed=2**64 - 1)),
        ("cdc@file:a/b@c +x.pth+seed3", CodecSpec("cdc", file="a/b@c +x.pth", seed=3)),
        ("jpeg@like:cdc@q2+seed3", CodecSpec("jpeg", like="cdc@q2+seed3")),
        ("mbt2018@file:m\u00fc.pth", CodecSpec("mbt2018", file="m\u00fc.pth")),
    ],
)
def test_a_spec_is_read_as_the_design_writes_it(text: str, spec: CodecSpec) -> None:
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (CodecSpec("jpeg", quality=75.0), "jpeg@q75"),
        (CodecSpec("jpeg", quality=100), "jpeg@q100"),
        (CodecSpec("lucid", bpp=0.25), "lucid@0.25bpp"),
        (CodecSpec("lucid", bpp=1e-5), "lucid@0.00001bpp"),
        (CodecSpec("webp", like="lucid@0.25bpp"), "webp@like:lucid@0.25bpp"),
    ],
)
def test_a_spec_is_written_without_exponents_or_empty_decimals(spec: CodecSpec, text: str) -> None:
    assert str(spec) == text


def _qualities(name: str) -> st.SearchStrategy[CodecSpec]:
    scale = CODECS[name].qualities
    numbers = (
        st.integers(int(scale.low), int(scale.high)).map(float) if scale.integer else st.floats(scale.low, scale.high)
    )
    return numbers.map(lambda quality: CodecSpec(name, quality=quality))


_rates = st.builds(lambda name, bpp: CodecSpec(name, bpp=bpp), st.sampled_from(NAMES), st.floats(1e-12, 100.0))
_settings = st.sampled_from(NAMES).flatmap(_qualities) | _rates
_likes = st.builds(lambda name, like: CodecSpec(name, like=str(like)), st.sampled_from(NAMES), _settings)


@given(_settings | _likes)
def test_every_spec_is_read_back_from_its_text(spec: CodecSpec) -> None:
    assert parse_spec(str(spec)) == spec
    assert set(str(spec)) <= set(string.ascii_lowercase + string.digits + "-@.:")


@given(st.text(max_size=30), st.sampled_from(["", "jpeg@", "jpeg@q", "lucid@like:", "lucid@like:jpeg@"]))
def test_any_text_is_a_spec_or_a_usage_error(text: str, start: str) -> None:
    try:
        spec = parse_spec(start + text)
    except UsageError:
        return
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jpeg@", "names no setting of jpeg; write jpeg@q75"),
        ("jpeg@75", "names no setting of jpeg"),
        ("jpeg@q", "names no setting"),
        ("jpeg@q1e1", "names no setting"),
        ("jpeg@q-1", "names no setting"),
        ("jpeg@qnan", "names no setting"),
        ("jpeg@q\u0663", "names no setting"),
        ("jpeg@q75\n", "names no setting"),
        ("jpeg@q0", "jpeg has no quality 0; it needs a whole number from 1 to 100"),
        ("jpeg@q50.5", "jpeg has no quality 50.5"),
        ("lucid@q1.01", "lucid has no quality 1.01; it needs a number from 0 to 1"),
        ("lucid@0bpp", "cannot aim at 0.0 bpp"),
        ("lucid@101bpp", "cannot aim at 101.0 bpp; allowed: above 0 to 100"),
        ("lucid@-1bpp", "names no setting"),
        ("jpeg@like:", "unknown codec ''"),
        ("jpeg@like:lucd", "unknown codec 'lucd'.*Did you mean 'lucid'?"),
        ("jpeg@like:lucid@q7", "lucid has no quality 7"),
        ("jpeg@like:webp@like:lucid", "points to a codec that points on"),
        ("jpeg@like:jpeg", "points to itself"),
    ],
)
def test_nonsense_is_refused_in_words(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_spec(text)


def test_a_spec_has_exactly_one_setting() -> None:
    with pytest.raises(UsageError, match="exactly one"):
        CodecSpec("jpeg")
    with pytest.raises(UsageError, match="exactly one"):
        CodecSpec("jpeg", quality=75, bpp=1.0)


def test_a_digest_in_the_registry_has_the_form_of_a_sha256() -> None:
    for row in CODECS:
        if row.weights is not None and row.weights.sha256:
            assert len(row.weights.sha256) == len(hashlib.sha256().hexdigest())
            assert set(row.weights.sha256) <= set(string.hexdigits.lower())


def test_the_model_card_is_that_of_the_weights_that_are_shipped() -> None:
    card = resources.files("miscomp.codecs") / "assets" / "lucid.md"
    weights = CODECS["lucid"].weights
    assert weights is not None and len(weights.sha256) == 64
    assert weights.sha256 in card.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("mbt2018@file:", "needs a file's path behind it"),
        ("jpeg@file:x", "jpeg takes no weights from a file; those that do: bmshj2018-factorized, "),
        ("jpeg@q5+seed3", "jpeg takes no seed 3; .* for cdc, cdc-mse"),
        ("cdc@q2+seed18446744073709551616", "takes no seed"),
        ("cdc@q2+seed-1", r"names no setting .*\+seed3 behind it"),
        ("mbt2018@FILE:x", "or mbt2018@file:PATH"),
        ("mbt2018@q9", "a whole number from 1 to 8"),
    ],
)
def test_what_a_codec_does_not_take_is_refused_with_what_it_does(text: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        parse_spec(text)


def test_a_file_that_ends_like_a_seed_cannot_be_written() -> None:
    with pytest.raises(UsageError, match="does not end like a seed"):
        CodecSpec("cdc", file="a+seed3")
