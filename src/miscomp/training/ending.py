"""What a training run does after its last step: turn its best checkpoint into the weights that others load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from miscomp.training.checkpoint import CHECKPOINT
from miscomp.training.config import LoopConfig
from miscomp.training.processes import open_accelerator
from miscomp.training.runfolder import BEST, Surroundings, has_best


def write_best(weights: Path, config: LoopConfig, around: Surroundings, *, export: Callable[[Path, Path], str]) -> Path:
    """Write `weights` into its run folder, in the process that writes; the others know where they are.

    They are those of the best validation, or of the last step where there is none. `export` turns a checkpoint into
    the file, and returns the file's SHA-256.
    """
    folder = weights.parent
    accelerator = open_accelerator(config)
    if accelerator.is_main_process:
        best = has_best(folder, around.validate)
        sha256 = export(folder / (BEST if best else CHECKPOINT), weights)
        kind = "of the best validation" if best else "of the last step"
        around.talk(f"wrote {weights}, the weights {kind}, SHA-256 {sha256}")
    accelerator.wait_for_everyone()
    return weights
