"""The one training loop: any model, any loss, any source of batches; survives a kill and resumes exactly."""

from __future__ import annotations

import csv
import math
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from miscomp.errors import MissingExtra, UsageError, WeightsError
from miscomp.training.config import TrainConfig
from miscomp.training.losses import Loss

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINT = "checkpoint.pt"


class Batches(Protocol):
    """A source of batches that depends on the step alone."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (b, 3, h, w) in [0, 1] and qualities (b)."""
        ...


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Share of the learning rate at `step`: warm-up, constant, linear decay to zero."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    decay_steps = max(int(config.steps * config.decay), 1)
    return min((config.steps - step) / decay_steps, 1.0)


def train(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    config: TrainConfig,
    folder: Path,
    *,
    talk: Callable[[str], None] = lambda line: None,
) -> nn.Module:
    """Train `model` in place and return it; checkpoints and `log.csv` go to `folder`.

    A folder that already holds a checkpoint is resumed: the result equals that of an uninterrupted run on
    the same machine, because batches and noise depend on the seed and the step alone. Steps whose gradient
    is not finite are skipped and counted in the log. Raises `WeightsError` for a damaged checkpoint, and
    `UsageError` for a device that is not there.
    """
    accelerator = _accelerator(config)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    start = _resume(folder / CHECKPOINT, model, optimizer, seed=config.seed)
    if start:
        talk(f"goes on after step {start} of {folder / CHECKPOINT}")
    model, optimizer = accelerator.prepare(model, optimizer)
    config.save(folder / "config.json")
    log = _Log(folder / "log.csv", start)
    model.train()
    for step in range(start, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        x, quality = (t.to(accelerator.device) for t in batches.batch(step))
        noise = torch.Generator(accelerator.device).manual_seed(config.seed * 1_000_003 + step)
        with accelerator.autocast():
            value, figures = loss(model, x, quality, noise)
        stepped = _descend(accelerator, model, optimizer, value, config.clip)
        log.add({"loss": float(value.detach()), **figures}, skipped=not stepped)
        if (step + 1) % config.log_every == 0 or step + 1 == config.steps:
            talk(f"step {step + 1}/{config.steps}: {log.flush(step + 1)}")
        if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
            _save(folder / CHECKPOINT, accelerator.unwrap_model(model), optimizer, step=step + 1, seed=config.seed)
    trained: nn.Module = accelerator.unwrap_model(model)
    return trained


def _accelerator(config: TrainConfig) -> Accelerator:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; train with the device cpu")
    try:
        from accelerate import Accelerator
    except ImportError:
        raise MissingExtra("accelerate", "train", "training") from None
    try:
        return Accelerator(cpu=config.device == "cpu", mixed_precision=config.precision)
    except ValueError as error:
        # accelerate keeps one state per process, and refuses a second precision or device.
        raise UsageError(f"one process trains with one precision and device only: {error}") from error


def _descend(
    accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer, value: Tensor, clip: float
) -> bool:
    """Take one step of the optimizer; returns whether the gradient was finite, else nothing changes."""
    optimizer.zero_grad()
    accelerator.backward(value)
    norm = accelerator.clip_grad_norm_(model.parameters(), clip)
    finite = norm is None or math.isfinite(float(norm))
    if finite:
        optimizer.step()
    return finite


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The model's tensors of a checkpoint. Raises `WeightsError` for a missing or damaged file."""
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["model"]
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise TypeError("it holds more than tensors")
        return state
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise WeightsError(path, f"is not a checkpoint of a training run ({_first_line(error)})") from error


def _save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int, seed: int) -> None:
    partial = path.with_name(path.name + ".partial")
    state = {"step": step, "seed": seed, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, partial)
    os.replace(partial, path)


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, seed: int) -> int:
    """Load a checkpoint if there is one; the step to go on from."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        begun = int(state.get("seed", seed))
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = int(state["step"])
    except Exception as error:  # a damaged archive raises a dozen kinds
        problem = f"is not a checkpoint of this model ({_first_line(error)}); give another folder or delete the file"
        raise WeightsError(path, problem) from error
    if begun != seed:
        raise UsageError(f"{path} was begun with seed {begun} and cannot go on with {seed}; give another folder")
    return step


def _first_line(error: Exception) -> str:
    """What went wrong, without the advice to load the file in a way that would run code in it."""
    if isinstance(error, pickle.UnpicklingError):
        return "damaged, or it holds more than weights"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


class _Log:
    """Means since the last line, or since the run was resumed, as CSV; lines after the resumed step are dropped."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        self._since = time.monotonic()
        rows = []
        if path.exists() and start:
            with path.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= start]
        self._rows = rows
        self._skipped = int(rows[-1][-2]) if rows else 0

    def add(self, figures: dict[str, float], *, skipped: bool) -> None:
        if skipped:
            self._skipped += 1
            return
        self._count += 1
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def flush(self, step: int) -> str:
        means = {name: value / max(self._count, 1) for name, value in self._sums.items()}
        seconds = (time.monotonic() - self._since) / max(self._count, 1)
        self._rows.append([str(step), *(f"{v:.6g}" for v in means.values()), str(self._skipped), f"{seconds:.4f}"])
        partial = self._path.with_name(self._path.name + ".partial")
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["step", *means, "skipped", "seconds_per_step"])
            writer.writerows(self._rows)
        os.replace(partial, self._path)
        text = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        self._sums, self._count, self._since = {}, 0, time.monotonic()
        return f"{text}, {seconds:.2f} s a step" + (f", {self._skipped} skipped" if self._skipped else "")
