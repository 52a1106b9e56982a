"""Do streams decode to the same latents everywhere? Each setting encodes, and every setting decodes every stream.

A setting is a process of its own with other threads, other instruction sets, another memory order, another device or
another precision. Encoders may differ: the transforms are floating-point numbers, and a latent may round to the other
side, which gives another valid stream. Decoders may not: a stream carries a checksum of its latents, and decoding fails
where they come out differently. Pixels may differ by a level where the synthesis rounds otherwise; that is counted.
Last, the integer networks code the same given latents in every setting, and a hash of all means, scales and decoded
latents must be one and the same.

    python studies/portability.py --weights run/lucid.safetensors --limit 4
    python studies/portability.py kodim01.png --settings threads-2 avx2 --qualities 0.3
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kodak import kodak
from portability_worker import REFERENCE, Difference

from miscomp import images
from miscomp.errors import MiscompError

SETTINGS: Mapping[str, Mapping[str, str]] = {
    REFERENCE: {},
    "threads-1": {"OMP_NUM_THREADS": "1"},
    "threads-2": {"OMP_NUM_THREADS": "2"},
    "threads-4": {"OMP_NUM_THREADS": "4"},
    "one-core": {},
    "onednn-sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "onednn-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "no-onednn": {},
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "mkl-avx2": {"MKL_CBWR": "AVX2"},
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "channels-first": {},
    "flush-denormals": {},
    "medium-matmul": {},
    "bfloat16-synthesis": {},
    "cuda": {},
}
"""Environment of each setting's process; what else it changes is in portability_worker.py."""

ABOUT: Mapping[str, str] = {
    REFERENCE: "as installed",
    "one-core": "the process may use one core",
    "no-onednn": "torch.backends.mkldnn off",
    "channels-first": "weights in torch's default memory format",
    "flush-denormals": "torch.set_flush_denormal",
    "medium-matmul": 'torch.set_float32_matmul_precision("medium")',
    "bfloat16-synthesis": "g_s under bfloat16 autocast",
    "cuda": "transforms on the GPU",
}


def child(do: str, setting: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one setting. Raises `RuntimeError` where the process fails; its words are on stderr."""
    print(f"{setting}: {do}", file=sys.stderr)
    weights = [] if options.weights is None else ["--weights", str(options.weights)]
    qualities = [repr(quality) for quality in options.qualities]
    script = str(Path(__file__).with_name("portability_worker.py"))
    command = [sys.executable, script, do, setting, str(folder), *weights, "--qualities", *qualities]
    done = subprocess.run(
        command, env={**os.environ, **SETTINGS[setting]}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{setting}: {do} ended with code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def about(setting: str) -> str:
    """What is other in a setting."""
    return ABOUT.get(setting) or " ".join(f"{name}={value}" for name, value in SETTINGS[setting].items())


def reason_not_to_run(setting: str) -> str:
    """Why a setting does not exist here; empty where it does."""
    if setting == "cuda" and not torch.cuda.is_available():
        return "no GPU that torch can use"
    if setting == "one-core" and not hasattr(os, "sched_setaffinity"):
        return "this system does not let a process choose its cores"
    return ""


def report(encoded: Mapping[str, Any], decoded: Mapping[str, Any], absent: Mapping[str, str]) -> str:
    """The table, what failed, and a verdict."""
    lines = [
        "| setting | what is other | streams as the default's | decoded, of all streams | largest pixel difference "
        "| values that differ % | PSNR to the default's pixels dB | integer networks |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    wanted, failures = encoded[REFERENCE], []
    for setting in SETTINGS:
        if setting in absent:
            lines.append(f"| {setting} | {about(setting)} | not run: {absent[setting]} | | | | | |")
        if setting not in decoded:
            continue
        own, found = encoded[setting], decoded[setting]
        same = sum(wanted["streams"][name] == sha256 for name, sha256 in own["streams"].items())
        wrong = {sha256: problem for sha256, problem in found.items() if isinstance(problem, str)}
        makers = {sha256: maker for maker in encoded for sha256 in encoded[maker]["streams"].values()}
        failures += [f"- {setting} on a stream of {makers[sha256]}: {wrong[sha256]}" for sha256 in wrong]
        total = Difference()
        for one in found.values():
            total = total if isinstance(one, str) else total.plus(Difference(*one))
        integers = own["integers"][:16] + ("" if own["integers"] == wanted["integers"] else " DIFFERS")
        cells = [f"{same} of {len(own['streams'])}", f"{len(found) - len(wrong)} of {len(found)}"]
        lines.append(f"| {setting} | {about(setting)} | {' | '.join([*cells, *total.cells(), integers])} |")
    return "\n".join([*lines, "", *failures] if failures else lines)


def agree(encoded: Mapping[str, Any], decoded: Mapping[str, Any]) -> bool:
    """Whether every stream decoded everywhere and the integer networks agreed."""
    hashes = {one["integers"] for one in encoded.values()}
    return len(hashes) == 1 and not any(isinstance(one, str) for found in decoded.values() for one in found.values())


def run(options: argparse.Namespace, folder: Path) -> bool:
    """All settings encode, then all decode; prints the table and says whether they agree."""
    for name in ("pictures", "streams", "decoded"):
        (folder / name).mkdir()
    for index, path in enumerate(options.pictures):
        np.save(folder / "pictures" / f"{index:03}.npy", images.read(path).pixels)
    chosen = [name for name in SETTINGS if name == REFERENCE or name in options.settings]
    absent = {name: reason for name in chosen if (reason := reason_not_to_run(name))}
    present = [name for name in chosen if name not in absent]
    encoded = {name: child("encode", name, options, folder) for name in present}
    decoded = {name: child("decode", name, options, folder) for name in present}
    streams = len(list((folder / "streams").iterdir()))
    print(f"{len(options.pictures)} pictures at qualities {options.qualities}: {streams} different streams\n")
    print(report(encoded, decoded, absent))
    return agree(encoded, decoded)


def main() -> None:
    """Print the table on stdout; exits with 1 where settings disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="*", help="default: kodak in $MISCOMP_DATA")
    parser.add_argument("--weights", type=Path, help="weights file; default: the shipped one")
    parser.add_argument("--qualities", type=float, nargs="+", default=[0.15, 0.4, 0.8], help="default: 0.15 0.4 0.8")
    parser.add_argument("--limit", type=int, help="only the first pictures")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="default: all")
    options = parser.parse_args()
    options.pictures = options.pictures or kodak(parser)
    options.pictures = options.pictures[: options.limit]
    scratch = Path(tempfile.mkdtemp())
    try:
        same = run(options, scratch)
    except (MiscompError, RuntimeError) as error:
        sys.exit(f"portability: {error}")
    finally:
        shutil.rmtree(scratch)
    print(f"\nAll streams decode to the same latents everywhere: {'yes' if same else 'NO'}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
