"""What every training run does before its first step: keep others out of its folder, and say what it learns from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from miscomp.errors import UsageError
from miscomp.folders import ResultsFolder
from miscomp.images import Picture
from miscomp.training.checkpoint import CHECKPOINT
from miscomp.training.config import LoopConfig
from miscomp.training.processes import open_accelerator

_WRITTEN = ("config.json", "log.csv", "valid.csv", "curves.png")


@dataclass(frozen=True, slots=True)
class _Run(ResultsFolder):
    kind: ClassVar[str] = "training run"


@contextmanager
def owned(folder: Path, config: LoopConfig, *, weights: str) -> Iterator[None]:
    """Keep other runs out of the folder, in the process that writes; it must hold no `weights` of another origin."""
    if not open_accelerator(config).is_main_process:
        yield
        return
    with _Run(folder).owned():
        if (folder / weights).exists() and not (folder / CHECKPOINT).exists():
            problem = f"{folder / weights} exists, without a checkpoint that it could be of"
            raise UsageError(f"{problem}; move it away, or choose another folder with -o")
        if not _is_run(folder) and (found := sorted(name for name in _WRITTEN if (folder / name).exists())):
            problem = f"{folder} holds {', '.join(found)} of something else, which a run would overwrite"
            raise UsageError(f"{problem}; choose another folder with -o")
        yield


def _is_run(folder: Path) -> bool:
    """Whether a training run began here, even one that was ended before its first checkpoint."""
    if (folder / CHECKPOINT).exists():
        return True
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return {"settings", "parameters", "versions"} <= set(about)
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def described(pictures: Sequence[Picture]) -> dict[str, Any]:
    """How many pictures, and one hash over all: SHA-256 of the files' SHA-1 in hex, in the order of their names."""
    hashes = "".join(picture.image_sha1 for picture in pictures)
    return {"pictures": len(pictures), "sha256": hashlib.sha256(hashes.encode("ascii")).hexdigest()}
