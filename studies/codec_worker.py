"""One codec in a process of its own, for timing: reads a JSON request per line on stdin, answers each on stdout.

Started by codec_speed.py. A request names a file of pixels (.npy) and a file of the coded picture, `encode` reads
the first and writes the second, `decode` the other way round; only the codec's own work is timed. Peak memory is that
of the whole process so far, interpreter and libraries included.

This file needs only numpy to be imported, so that the hyperprior runs in CompressAI's own environment.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


class Subject(NamedTuple):
    """A codec at one setting."""

    encode: Callable[[Pixels], Any]
    decode: Callable[[Any], Pixels]
    size_bytes: Callable[[Any], int]
    about: str


def catalogued(name: str, quality: float, weights: Path | None) -> Subject:
    """A codec as the catalogue sets it."""
    from miscomp.codecs.base import Codec
    from miscomp.codecs.catalog import CODECS, open_codec

    codec: Codec = open_codec(name) if weights is None else _lucid(weights)
    quality = int(quality) if CODECS[name].qualities.integer else quality
    about = f"{CODECS[name].description}; quality {quality:g}"
    return Subject(lambda pixels: codec.compress(pixels, quality), codec.decompress, len, about)


def _lucid(weights: Path) -> Any:
    from miscomp.codecs.lucid import Lucid

    return Lucid(weights)


def plain(pillow_format: str, quality: float) -> Subject:
    """Pillow's own encoder, nothing set but the quality: as many threads as it likes."""
    from PIL import Image

    if pillow_format == "JXL":
        import pillow_jxl  # noqa: F401  (registers the format with Pillow)
    quality = int(quality) if pillow_format == "AVIF" else quality

    def encode(pixels: Pixels) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format=pillow_format, quality=quality)
        return file.getvalue()

    def decode(content: bytes) -> Pixels:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"))

    return Subject(encode, decode, len, f"defaults of Pillow's {pillow_format} writer; quality {quality:g}")


def hyperprior() -> Subject:
    """`bmshj2018-hyperprior` at CompressAI's quality 3."""
    from hyperprior import hyperprior as build

    model, about = build()
    return Subject(model.compress, lambda coded: model.decompress(coded[0]), lambda coded: int(coded[1]), about)


def subject(name: str, quality: float, weights: Path | None) -> Subject:
    """The codec of a row of the table."""
    if name == "hyperprior":
        return hyperprior()
    if name in ("avif-plain", "jpeg-xl-plain"):
        return plain({"avif-plain": "AVIF", "jpeg-xl-plain": "JXL"}[name], quality)
    return catalogued(name, quality, weights if name == "lucid" else None)


def peak_bytes() -> int:
    """Most memory that this process held at a time.

    From the kernel's own line where there is one: getrusage also counts what the parent held when it started this
    process.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    if found:
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def answer(codec: Subject, request: dict[str, str]) -> dict[str, float]:
    """Do what was asked; seconds of the codec's work, its bytes, and the peak so far."""
    pixels_file, coded_file = Path(request["pixels"]), Path(request["coded"])
    if request["do"] == "encode":
        pixels = np.load(pixels_file)
        start = time.perf_counter()
        coded = codec.encode(pixels)
        seconds = time.perf_counter() - start
        coded_file.write_bytes(pickle.dumps(coded))
    else:
        coded = pickle.loads(coded_file.read_bytes())
        start = time.perf_counter()
        pixels = codec.decode(coded)
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "bytes": codec.size_bytes(coded),
        "pixels": pixels.shape[0] * pixels.shape[1],
        "peak_bytes": peak_bytes(),
    }


def main() -> None:
    """Open the codec, say what it is, then answer until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("quality", type=float)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    codec = subject(options.name, options.quality, options.weights)
    print(json.dumps({"about": codec.about, "peak_bytes": peak_bytes()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(codec, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
