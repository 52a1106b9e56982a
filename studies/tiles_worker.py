"""One codec in a process of its own for tiles.py: encodes a picture, decodes a file, and says what both took in JSON.

Needs Linux, where a process can begin to count its peak memory anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.torch import load_file

from miscomp.codecs.networks.catalog import network_from_state
from miscomp.codecs.published import Published
from miscomp.evaluate.memory_worker import peak_bytes, resident_bytes

T = TypeVar("T")


def measured(work: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What the work gives; its seconds, what the process held before and at most meanwhile, in MB (10^6 bytes)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident_bytes() or 0
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    return result, {"seconds": seconds, "before": before / 1e6, "peak": (peak_bytes() or 0) / 1e6}


def main() -> None:
    """Encode PIXELS into CODED and decode FROM (CODED where none is given) into DECODED; the answer goes to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec")
    parser.add_argument("weights", type=Path, help="a state dict as .safetensors")
    for name in ("pixels", "coded", "decoded"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--start", type=Path, metavar="FROM", help="decode this file")
    parser.add_argument("--block", type=int, help="most latents a side at a time; default: the codec's own")
    parser.add_argument("--steps", type=int, help="of the decoder of cdc")
    options = parser.parse_args()
    network = network_from_state(options.codec, load_file(options.weights))
    network.block = options.block or network.block
    network.steps = options.steps or network.steps
    codec = Published.of_network(options.codec, network)
    pixels = np.load(options.pixels)
    content, encode = measured(lambda: codec.compress(pixels, 3))
    options.coded.write_bytes(content)
    source = content if options.start is None else options.start.read_bytes()
    x_hat, decode = measured(lambda: codec.decompress(source))
    np.save(options.decoded, x_hat)
    answer: dict[str, Any] = {"encode": encode, "decode": decode, "bpp": 8 * len(content) / (pixels.size / 3)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
