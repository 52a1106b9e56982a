"""Files that must decode for ever: written once, kept in `golden/`, by narrow networks with weights by formula.

`MISCOMP_RECORD=1 pytest tests/codecs/test_golden.py` writes them anew: a change of format, which needs a new format
id or version.
"""

from __future__ import annotations

import copy
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_lucid import numbers
from tiny_published import NAMES, tiny_network, tiny_picture

from miscomp.codecs import container
from miscomp.codecs.entropy import CodingTables, SymbolDecoder, SymbolEncoder
from miscomp.codecs.frequencies import gaussian_frequencies, shipped_gaussian, whole_from_shares
from miscomp.codecs.published import Published
from miscomp.codecs.published_weights import Loaded, WeightsOfRow, load_network
from miscomp.errors import StreamError
from miscomp.images import Pixels, read, write_png

GOLDEN = Path(__file__).parent / "golden"
RECORD = os.environ.get("MISCOMP_RECORD") == "1"
WEIGHTS = "0123456789abcdef" * 4
"""Stands for the weights' hash, which the last bits of a formula may change; the grid below takes these away."""


def codec_of(name: str) -> Published:
    """Networks whose weights are multiples of 2^-12, so that every machine has the same."""
    network = tiny_network(name)
    state = {key: (tensor * 4096).round() / 4096 for key, tensor in network.state_dict().items()}
    network = copy.deepcopy(network)
    network.load_state_dict(state)
    codec = Published.of_network(name, network)
    loaded = load_network("golden", network, WEIGHTS)
    codec._weights = WeightsOfRow(codec._row, given=Loaded(network, loaded.coder, loaded.tables, WEIGHTS))
    return codec


def picture() -> Pixels:
    return tiny_picture(96, 120)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_this_release_decodes(name: str) -> None:
    codec, file, decoded = codec_of(name), GOLDEN / f"{name}.misc", GOLDEN / f"{name}.png"
    if RECORD:
        GOLDEN.mkdir(exist_ok=True)
        file.write_bytes(codec.compress(picture(), 3))
        write_png(decoded, codec.decompress(file.read_bytes()))
    # The checksum over the latents is compared on the way; pixels are floating point.
    pixels = codec.decompress(file.read_bytes())
    assert int(np.abs(pixels.astype(int) - read(decoded).pixels).max()) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_of_it_is_an_error(name: str) -> None:
    codec, content = codec_of(name), (GOLDEN / f"{name}.misc").read_bytes()
    step = max(len(content) // 150, 1)
    for at in sorted({*range(0, len(content), step), *range(40), *range(len(content) - 5, len(content))}):
        with pytest.raises(StreamError):
            codec.decompress(content[:at] + bytes((content[at] ^ 0x10,)) + content[at + 1 :])


def test_the_container_writes_these_bytes() -> None:
    stream = container.Stream(
        format_id=16,
        width=300,
        height=70000,
        weights=bytes(range(8)),
        latent_crc32=0x01020304,
        payloads=(b"one", b"", b"three" * 40),
        quality=b"\x02\x41\x00",
        seed=2**63 + 5,
        pixels_crc32=0xA0B0C0D0,
        ancillary=(("noTe", b"text"),),
    )
    assert hashlib.sha256(container.pack(stream)).hexdigest() == CONTAINER
    assert container.unpack(container.pack(stream)) == stream


def test_the_entropy_coder_writes_these_bytes() -> None:
    """Symbols under every scale's table and under tables of a codec's own, from whole numbers by formula."""
    own = [whole_from_shares(_bump(place)) for place in (-3, 0, 900)]
    tables = CodingTables(shipped_gaussian(), own)
    coded = np.flatnonzero(tables.coded)
    indexes = np.resize(coded, 5000).astype(np.int64)
    symbols = (numbers("symbols", 5000) >> 5).clip(-2047, 2047).astype(np.int32) // (1 + np.arange(5000) % 97).astype(
        np.int32
    )
    encoder = SymbolEncoder(tables)
    for part in np.array_split(np.arange(5000), 7):
        encoder.code(symbols[part], indexes[part])
    content = encoder.finish()
    assert hashlib.sha256(content).hexdigest() == CODED
    decoder = SymbolDecoder(tables, content)
    for part in np.array_split(np.arange(5000), 7):
        assert np.array_equal(decoder.code(indexes[part]), symbols[part])
    assert decoder.crc == encoder.crc


def _bump(place: int) -> np.ndarray:
    """Shares that are whole numbers: no machine rounds them otherwise."""
    distance = np.abs(np.arange(-2047, 2048) - place)
    shares: np.ndarray = np.where(distance < 12, 2.0 ** (12 - distance.clip(max=12)), 0.0)
    return shares


def test_the_shipped_tables_are_gaussians() -> None:
    """Computed anew they may differ by one where a library's error function rounds otherwise."""
    computed, shipped = gaussian_frequencies(), shipped_gaussian()
    digest = hashlib.sha256(b"".join(half.astype("<i4").tobytes() for half in shipped.halves)).hexdigest()
    assert digest == TABLES
    for index in np.flatnonzero(shipped.coded):
        assert int(np.abs(computed.whole(int(index)) - shipped.whole(int(index))).max()) <= 2


CONTAINER = "b29b236a7388c30a1db0d47e8c441b196d916d786477df6b7a62490813bb1ab8"
CODED = "302b6ce5b59a5f9ff2a46841080cdcbc101d1f4af8de06b7be2d373d10cb62cf"
TABLES = "95567e3503f1ddfeb70ee1fefb6e2d53917ad7e24c7af4d59b4c6ba22cdbd4bd"
