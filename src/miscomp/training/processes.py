"""Where a run computes: one process or several, on the CPU or on GPUs, as accelerate was told when it started them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from miscomp.errors import MissingExtra, UsageError
from miscomp.training.config import LoopConfig

if TYPE_CHECKING:
    from accelerate import Accelerator


def open_accelerator(config: LoopConfig) -> Accelerator:
    """The process's place in the run; asked again, it is the same place.

    Raises `UsageError` for a device or precision that is not there, or another than this process began with,
    and `MissingExtra` without accelerate.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; train with the device cpu")
    if config.device == "cuda" and config.precision == "bf16" and not torch.cuda.is_bf16_supported(False):
        raise UsageError("this GPU does not compute in bf16; train with the precision fp16 or no")
    try:
        from accelerate import Accelerator
    except ImportError:
        raise MissingExtra("accelerate", "train", "training") from None
    try:
        return Accelerator(cpu=config.device == "cpu", mixed_precision=config.precision)
    except ValueError as error:
        # accelerate keeps one state per process, and refuses a second precision or device.
        raise UsageError(f"one process trains with one precision and device only: {error}") from error


def agree(accelerator: Accelerator, figures: dict[str, float], *, stop: bool = False) -> tuple[dict[str, float], bool]:
    """Means of the figures over all processes, and whether any of them is to stop; every process must ask."""
    if accelerator.num_processes == 1:
        return figures, stop
    mine = torch.tensor([float(stop), *figures.values()], dtype=torch.float64, device=accelerator.device)
    total: list[float] = accelerator.reduce(mine, reduction="sum").tolist()
    means = {name: value / accelerator.num_processes for name, value in zip(figures, total[1:], strict=True)}
    return means, total[0] > 0


def check_agreed(accelerator: Accelerator, step: int, folder: Path) -> None:
    """Raise `UsageError` where processes begin at different steps, since they would wait for each other for ever."""
    if accelerator.num_processes == 1:
        return
    mine = torch.tensor([step], device=accelerator.device)
    steps: list[int] = accelerator.gather(mine).tolist()
    if len(set(steps)) > 1:
        found = ", ".join(map(str, steps))
        raise UsageError(f"the processes found checkpoints after steps {found}; {folder} must be one that all see")
