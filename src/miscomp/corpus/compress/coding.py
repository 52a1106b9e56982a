"""What codes tasks: codecs that stay open, deterministic settings, and the numbers of every result."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from miscomp.codecs.base import MAX_MEGAPIXELS, Codec
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.rate import Encoded, encode
from miscomp.codecs.request import model_row
from miscomp.codecs.spec import CodecSpec, open_spec, parse_spec
from miscomp.corpus.compress.tasks import Coded, Measured, Setup, Task
from miscomp.errors import ImageError, MiscompError, SizeMismatch
from miscomp.folders import package_version
from miscomp.images import Pixels, decode, encode_png, pixel_sha256
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim, ssim
from miscomp.records import ModelRow

THREADS = 1
"""Sums of floats depend on how many threads share them: with two, a network's picture differs in some pixels."""
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_LIBRARIES = ("miscomp", "numpy", "torch", "Pillow", "opencv-python-headless", "constriction", "pillow-jxl-plugin")


@dataclass(frozen=True, slots=True)
class _Open:
    spec: CodecSpec
    codec: Codec
    row: ModelRow
    reference: CodecSpec | None
    """The codec whose rate it follows."""


class Coder:
    """Codes tasks in this process; what a result is depends on the task and the setup alone, not on what came before.

    A codec that cannot be opened fails its own tasks, with the reason, and no others.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._open: dict[str, _Open] = {}
        self._broken: dict[str, MiscompError] = {}
        with deterministic(setup.seed):
            for text in setup.specs:
                try:
                    self._open[text] = _prepared(text)
                except MiscompError as error:
                    self._broken[text] = error
        self._environment = json.dumps(describe_environment(setup.seed), sort_keys=True)

    def code(self, task: Task, content: bytes) -> Coded:
        """See `miscomp.corpus.compress.tasks.Worker`."""
        if task.spec in self._broken:
            raise self._broken[task.spec]
        about = self._open[task.spec]
        if hashlib.sha1(content, usedforsecurity=False).hexdigest() != task.image_sha1:
            raise ImageError(task.source, "is not the photograph that its name says; see: miscomp corpus verify")
        original, _ = decode(content, task.source, max_megapixels=self._setup.max_megapixels)
        with deterministic(self._setup.seed) as noted:
            begin = time.perf_counter()
            encoded = _encode(about, original)
            between = time.perf_counter()
            made = _decode(about, encoded, original)
            end = time.perf_counter()
        if made.shape != original.shape:
            sizes = " and ".join(f"{one.shape[1]} x {one.shape[0]}" for one in (original, made))
            raise SizeMismatch(task.source, f"original and reconstruction differ in size: {sizes}")
        times = (between - begin, end - between)
        return Coded(
            stream=encoded.content,
            suffix=CODECS[about.spec.name].suffix,
            png=encode_png(made),
            measured=self._measure(about, encoded, original, made, times=times, notes=noted),
        )

    def _measure(
        self,
        about: _Open,
        encoded: Encoded,
        original: Pixels,
        made: Pixels,
        *,
        times: tuple[float, float],
        notes: list[str],
    ) -> Measured:
        return Measured(
            width=int(original.shape[1]),
            height=int(original.shape[0]),
            pixel_sha256=pixel_sha256(made),
            quality=float(encoded.quality),
            psnr=psnr_pixels(original, made),
            ssim=ssim(original, made),
            ms_ssim=ms_ssim(original, made),
            encode_s=times[0],
            decode_s=times[1],
            version=about.row.version,
            weights_sha256=about.row.weights_sha256,
            environment=self._environment,
            note="; ".join(filter(None, (encoded.note, *notes))),
        )


def _prepared(text: str) -> _Open:
    spec = parse_spec(text)
    reference = parse_spec(spec.like) if spec.like is not None else None
    if reference is not None:
        open_spec(reference)
    return _Open(spec, open_spec(spec), model_row(spec), reference)


def _encode(about: _Open, original: Pixels) -> Encoded:
    # The other codec's rate is found out here, so that no task waits for another.
    like_bpp = None if about.reference is None else encode(about.reference, original).bpp
    return encode(about.spec, original, like_bpp=like_bpp)


def _decode(about: _Open, encoded: Encoded, original: Pixels) -> Pixels:
    # The stream was made here from a picture that was accepted: no other limit applies.
    megapixels = original.shape[0] * original.shape[1] / 1e6
    return about.codec.decompress(encoded.content, max_megapixels=max(MAX_MEGAPIXELS, megapixels + 1))


@contextmanager
def deterministic(seed: int) -> Iterator[list[str]]:
    """Compute in one thread, by deterministic algorithms, from this seed, and put all back as it was.

    Yields a list that afterwards names what torch could not do deterministically.
    """
    noted: list[str] = []
    # cuBLAS reads it when it first works; without, it may sum in any order.
    workspace = os.environ.get(_WORKSPACE)
    os.environ.setdefault(_WORKSPACE, ":4096:8")
    threads, states = cv2.getNumThreads(), (random.getstate(), np.random.get_state())
    cv2.setNumThreads(THREADS)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with warnings.catch_warnings(record=True) as warned, _torch_deterministic(seed):
            warnings.filterwarnings("always", message=".*deterministic.*")
            yield noted
        noted += sorted({f"torch: {one.message}" for one in warned if "deterministic" in str(one.message)})
    finally:
        cv2.setNumThreads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)


@contextmanager
def _torch_deterministic(seed: int) -> Iterator[None]:
    """Only where the codecs have loaded torch: others do without it."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    only_warned, state = torch.is_deterministic_algorithms_warn_only_enabled(), torch.get_rng_state()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1], warn_only=only_warned)
        torch.set_rng_state(state)


def describe_environment(seed: int) -> dict[str, Any]:
    """What may decide a result beside codec and picture: libraries, hardware, determinism settings, seed."""
    return {
        "libraries": {name: package_version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip(),
        "cpu": _cpu_model(),
        "device": "cpu",
        "threads": THREADS,
        "deterministic_algorithms": True,
        "cudnn": {"benchmark": False, "deterministic": True, "allow_tf32": False},
        "seed": seed,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"
