"""Damaged files of every neural codec give an error: no picture from a damaged file, no crash, no hang, no memory.

In half of them the checksum over the whole file is right, as a hostile writer would make it. MISCOMP_FUZZ sets how many
damaged files are tried in all; 20000 take some minutes, and -rP shows what became of them.
"""

from __future__ import annotations

import copy
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mutations import PARTS, mutations
from tiny_lucid import cosine_weights, some_map
from tiny_published import NAMES, tiny_codec, tiny_network, tiny_picture

from miscomp.codecs import container
from miscomp.codecs.container import Stream
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.published import Published
from miscomp.errors import StreamError
from miscomp.evaluate.memory_worker import peak_bytes
from miscomp.images import Pixels

FUZZED = (*NAMES, "lucid")
COUNT = int(os.environ.get("MISCOMP_FUZZ", "1200")) // len(FUZZED)
SLOWEST_S = 5.0
MOST_BYTES = 2**30
LIMIT_MEGAPIXELS = 4.0
"""What a service would allow that expects small pictures; a header may claim any size up to it."""
MOST_STEPS = 64
"""A `cdc` file says how many steps its decoding takes, and each takes its time; so many are allowed here."""
SIZES = ((24, 40), (64, 64), (1, 1))

Decode = Callable[[bytes], Pixels]


class Subject(NamedTuple):
    decode: Decode
    pictures: dict[bytes, Pixels]
    """Intact files and what they decode to."""


@cache
def subject(name: str) -> Subject:
    codec: Published | Lucid
    if name == "lucid":
        codec = Lucid(cosine_weights())
        contents = [codec.compress(tiny_picture(*size), 0.6, quality_map=some_map(*size)) for size in SIZES]
        contents.append(codec.compress(tiny_picture(*SIZES[0]), 0.3, pixel_checksum=True))
        return _subject(codec, contents)
    codec = tiny_codec(name)
    if name == "cdc":
        network = copy.copy(tiny_network(name))
        network.most_steps = MOST_STEPS
        codec = Published.of_network(name, network)
    return _subject(codec, [codec.compress(tiny_picture(*size), 3) for size in SIZES])


def _subject(codec: Published | Lucid, contents: list[bytes]) -> Subject:
    def decode(content: bytes) -> Pixels:
        return codec.decompress(content, max_megapixels=LIMIT_MEGAPIXELS)

    return Subject(decode, {content: decode(content) for content in contents})


@pytest.mark.parametrize("name", FUZZED)
def test_damaged_files_are_errors(name: str) -> None:
    decode, pictures = subject(name)
    _forget_peak()
    before = _peak()
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for mutation in mutations(list(pictures), COUNT, seed=5):
        begin = time.perf_counter()
        try:
            outcome: Pixels | StreamError = decode(mutation.content)
        except StreamError as error:
            outcome = error
        took = time.perf_counter() - begin
        assert took < SLOWEST_S, mutation
        slowest = max(slowest, took)
        if isinstance(outcome, StreamError):
            outcomes["refused, latents" if _behind_container(outcome) else "refused before"] += 1
            outcomes[f"latents refused: {mutation.part}"] += _behind_container(outcome)
        else:
            reason = _harmless(mutation.content, outcome, pictures, decode)
            assert reason, mutation
            outcomes[f"picture: {reason}"] += 1
    grown = _peak() - before
    print(
        f"{name}: {dict(sorted(outcomes.items()))}; slowest {slowest:.2f} s; "
        f"peak {_peak() / 1e6:.0f} MB, {grown / 1e6:.0f} MB of it new"
    )
    assert grown < MOST_BYTES
    refused = outcomes["refused before"] + outcomes["refused, latents"]
    assert refused > 0.85 * COUNT
    # Or the fuzz would try the container alone.
    assert outcomes["latents refused: payload"] > COUNT / len(PARTS) / 4


def _behind_container(error: StreamError) -> bool:
    """Whether the codec began to decode its payload."""
    return any(words in str(error) for words in ("latents decode to others", "coded symbols"))


def _harmless(content: bytes, pixels: Pixels, pictures: dict[bytes, Pixels], decode: Decode) -> str:
    """Why a picture may come out: what decides it is intact, or says otherwise in a file whose checksum is right.

    What is left of the damage lies in the last word of a payload, in chunks that readers skip, in the number of the
    quality beside weights that are named by their hash, in the size within the same padding, or in the seed and the
    steps of `cdc`, where any value is another valid file. Empty if it may not.
    """
    stream = container.unpack(content)
    for original, picture in pictures.items():
        intact = container.unpack(original)
        if stream.latent_crc32 != intact.latent_crc32:
            continue
        asked = _as_asked(intact, stream)
        if intact.seed is not None and (asked.seed, asked.quality) != (intact.seed, intact.quality):
            return "other seed or steps" if np.array_equal(pixels, decode(container.pack(asked))) else ""
        height, width = (min(sides) for sides in zip(pixels.shape[:2], picture.shape[:2], strict=True))
        apart = np.abs(pixels[:height, :width].astype(int) - picture[:height, :width])
        if pixels.shape[:2] != (stream.height, stream.width) or apart.max() > 1:
            return ""
        same = pixels.shape == picture.shape
        return "no byte that decides" if same else "other size in the same padding"
    return ""


def _as_asked(intact: Stream, stream: Stream) -> Stream:
    """The intact stream with all that another says and no checksum is over."""
    return replace(
        intact, width=stream.width, height=stream.height, seed=stream.seed, quality=stream.quality, pixels_crc32=None
    )


def _forget_peak() -> None:
    """Let the peak count from now, where the system can; elsewhere an earlier peak may hide a lower one."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5", encoding="ascii")


def _peak() -> int:
    """0 where the system does not tell."""
    return peak_bytes() or 0
