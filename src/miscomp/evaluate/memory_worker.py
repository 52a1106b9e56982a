"""One encoding or one decoding in a process of its own, which then says how much memory it took.

Started by `miscomp.evaluate.memory` as `python -m`; prints one JSON object. What is imported here is what the codec
itself needs, so that no other part of the package stands in the figure.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.spec import open_spec, parse_spec

_STATUS = Path("/proc/self/status")


def peak_bytes() -> int | None:
    """Most memory that this process held at a time (resident set); none where the system does not tell.

    Linux tells it in `/proc`: what getrusage says there also counts what the parent held when it started this one.
    """
    if sys.platform == "win32":
        return None
    if sys.platform == "linux":
        return _status_bytes("VmHWM")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes() -> int | None:
    """Memory that this process holds now (resident set); none where the system does not tell."""
    return _status_bytes("VmRSS") if sys.platform == "linux" else None


def _status_bytes(name: str) -> int | None:
    try:
        text = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def main() -> None:
    """Encode PIXELS (.npy) into CODED, or decode CODED; then print `before` and `peak`, bytes or null each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("encode", "decode"))
    parser.add_argument("spec", help="as in lucid@0.25bpp")
    parser.add_argument("quality", type=float)
    parser.add_argument("pixels", type=Path)
    parser.add_argument("coded", type=Path)
    options = parser.parse_args()
    codec = open_spec(parse_spec(options.spec))
    if options.do == "encode":
        pixels = np.load(options.pixels, allow_pickle=False)
        before = resident_bytes()
        options.coded.write_bytes(codec.compress(pixels, options.quality))
    else:
        megapixels = np.load(options.pixels, mmap_mode="r", allow_pickle=False).size / 3e6
        content = options.coded.read_bytes()
        before = resident_bytes()
        codec.decompress(content, max_megapixels=max(MAX_MEGAPIXELS, megapixels + 1))
    print(json.dumps({"before": before, "peak": peak_bytes()}))


if __name__ == "__main__":
    main()
