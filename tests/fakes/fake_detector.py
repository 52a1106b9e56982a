"""A detector for tests of everything around detection: one finding where a pair differs most.

It lives in a module of its own so that other processes can import it. What it does beside that follows from the
file's name; `FAKE_DETECTOR_LOG` names a file to which every pair that it sees adds a line.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miscomp.images import Pixels
from miscomp.records import Annotation, Box, Evidence, Finding, display_id

DETECTOR_VERSION = "fake-1"


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    text: bool = False
    size: int = 4
    scales: tuple[float, ...] = (1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class PairFindings:
    findings: tuple[Finding, ...]
    change_map: NDArray[np.uint8]
    seconds: float = 0.5
    warnings: tuple[str, ...] = ("seen by a fake",)


def detector_version(settings: DetectSettings) -> str:
    return DETECTOR_VERSION


def audit_pair(
    original: Pixels,
    reconstruction: Pixels,
    *,
    filename: str,
    image_sha1: str,
    model: str,
    settings: DetectSettings,
    reader: Any,
) -> PairFindings:
    if log := os.environ.get("FAKE_DETECTOR_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{filename} {model}\n")
    if "killed" in filename and model.startswith("webp"):
        os.kill(os.getpid(), signal.SIGKILL)
    if "bug" in filename:
        raise ZeroDivisionError("a planted fault")
    if "memory" in filename:
        raise MemoryError
    difference = np.abs(original.astype(int) - reconstruction).max(axis=2)
    grey = difference[::4, ::4].astype(np.uint8)
    if "threads" in filename:
        told = f"torch {sys.modules['torch'].get_num_threads()}"
        return PairFindings(findings=(), change_map=grey, warnings=(told,))
    if not difference.any():
        return PairFindings(findings=(), change_map=grey)
    y, x = (int(value) for value in np.unravel_index(difference.argmax(), difference.shape))
    box = Box(max(x - settings.size, 0), max(y - settings.size, 0), settings.size, settings.size)
    value = float(difference.max()) / 255
    evidence = Evidence(value=value, words="differs most here", numbers={"difference": value, "z": float("inf")})
    annotation = Annotation(
        id=display_id(image_sha1, model, box), filename=filename, image_sha1=image_sha1, model=model,
        x=box.x, y=box.y, w=box.w, h=box.h, labeler="miscomp", origin="detector", version=DETECTOR_VERSION,
        category="SHAPE", score=value, changed=value, relevant=value, suspicion=0.0, expected=0.0,
    )  # fmt: skip
    finding = Finding(
        annotation=annotation, changed=evidence, relevant=evidence, suspicion=evidence, expected=evidence,
        category=evidence, found_by="fake",
    )  # fmt: skip
    return PairFindings(findings=(finding,), change_map=grey)
