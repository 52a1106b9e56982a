"""One setting of portability.py in a process of its own: encodes pictures or decodes streams, and answers in JSON."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_entropy import HYPER
from miscomp.codecs.lucid_latents import LatentCoder
from miscomp.codecs.lucid_weights import LucidWeights, read_weights, shipped_weights
from miscomp.errors import MiscompError, StreamError

REFERENCE = "default"
"""The setting that others are compared with; it decodes first."""


class Difference(NamedTuple):
    """Decoded pixels against the reference's, over all streams."""

    most: int = 0
    changed: int = 0
    values: int = 0
    squares: int = 0

    def plus(self, other: Difference) -> Difference:
        """Both together."""
        return Difference(max(self.most, other.most), *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    def cells(self) -> list[str]:
        """Largest difference, share of values that differ, pooled PSNR."""
        psnr_db = f"{10 * math.log10(255**2 * self.values / self.squares):.1f}" if self.squares else "equal"
        return [str(self.most), f"{100 * self.changed / max(self.values, 1):.4f}", psnr_db]


class Bfloat16(torch.nn.Module):
    """A network under autocast, its result in float32."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, y_hat: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
        """As the network's own."""
        with torch.autocast(y_hat.device.type, torch.bfloat16):
            x_hat: torch.Tensor = self.inner(y_hat, quality)
        return x_hat.float()


class Hashing:
    """A sink of symbols that keeps nothing but a hash of them and of their scales."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def code(self, symbols: npt.NDArray[np.int32], indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Takes all symbols as they are."""
        self.digest.update(symbols.astype("<i4").tobytes() + indexes.astype("<i8").tobytes())
        return symbols


def opened(setting: str, path: Path | None) -> tuple[Lucid, LucidWeights]:
    """The codec as the setting wants it, and its weights. The environment was set by who started the process."""
    weights = read_weights(path or shipped_weights())
    if setting == "one-core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    elif setting == "no-onednn":
        torch.backends.mkldnn.set_flags(False)
    elif setting == "channels-first":
        weights.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    elif setting == "flush-denormals":
        torch.set_flush_denormal(True)
    elif setting == "medium-matmul":
        torch.set_float32_matmul_precision("medium")
    elif setting == "bfloat16-synthesis":
        weights.model.register_module("g_s", Bfloat16(weights.model.g_s))
    return Lucid(weights, device="cuda" if setting == "cuda" else "cpu"), weights


def encode(codec: Lucid, weights: LucidWeights, folder: Path, qualities: list[float]) -> dict[str, Any]:
    """Write a stream per picture and quality, named by its hash; and the integer networks' hash."""
    streams = {}
    for picture in sorted((folder / "pictures").iterdir()):
        for quality in qualities:
            content = codec.compress(np.load(picture), quality)
            sha256 = hashlib.sha256(content).hexdigest()
            (folder / "streams" / sha256).write_bytes(content)
            streams[f"{picture.stem}@{quality:g}"] = sha256
    return {"streams": streams, "integers": integer_hash(weights)}


def integer_hash(weights: LucidWeights) -> str:
    """SHA-256 of all that the integer networks say about latents that are given, not computed."""
    sink = Hashing()
    rng = np.random.default_rng(0)
    rows, columns, config = 36, 52, weights.model.config
    # Whole numbers over a power of two: no function of the platform makes them.
    y = rng.integers(-2000, 2000, (1, config.latent, rows, columns)) // rng.integers(1, 400, (1, config.latent, 1, 1))
    z = rng.integers(-9, 10, (1, config.hyper, rows // HYPER, columns // HYPER))
    steps = rng.integers(0, 256, (rows, columns)).astype(np.uint8)
    coder, groups = LatentCoder(weights.entropy), len(config.groups)
    with torch.inference_mode():
        y_hat = coder.encode(torch.from_numpy(y / 4).float(), torch.from_numpy(z).float(), steps, sink, groups=groups)
    sink.digest.update(np.ascontiguousarray(y_hat.numpy()).astype("<f4").tobytes())
    return sink.digest.hexdigest()


def decode(codec: Lucid, folder: Path, *, reference: bool) -> dict[str, Any]:
    """Decode every stream there is; per stream an error's words or its pixels' `Difference`."""
    found: dict[str, Any] = {}
    for stream in sorted((folder / "streams").iterdir()):
        kept = folder / "decoded" / f"{stream.name}.npy"
        try:
            pixels = codec.decompress(stream.read_bytes())
        except StreamError as error:
            found[stream.name] = str(error)
            continue
        if reference:
            np.save(kept, pixels)
        if not kept.is_file():
            continue
        apart = np.abs(pixels.astype(np.int64) - np.load(kept))
        squares = int((apart**2).sum())
        found[stream.name] = Difference(int(apart.max()), int((apart > 0).sum()), apart.size, squares)
    return found


def main() -> None:
    """Do one thing in one setting; the result goes to stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("encode", "decode"))
    parser.add_argument("setting")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--qualities", type=float, nargs="+", required=True)
    options = parser.parse_args()
    try:
        codec, weights = opened(options.setting, options.weights)
    except MiscompError as error:
        sys.exit(str(error))
    if options.do == "encode":
        result = encode(codec, weights, options.folder, options.qualities)
    else:
        result = decode(codec, options.folder, reference=options.setting == REFERENCE)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
