"""Checkpoints of the training loop: everything a run needs to go on, loaded without running code."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from miscomp.errors import UsageError, WeightsError
from miscomp.folders import replacing
from miscomp.training.ema import Average

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Learner:
    """What learns: a model, its optimizer, the average of its weights and the loss scaler of fp16, if there are any."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average | None = None
    scaler: torch.amp.GradScaler | None = None

    @property
    def network(self) -> nn.Module:
        """The network to use: the average where there is one."""
        return self.model if self.average is None else self.average.model


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come."""

    step: int = 0
    pending: dict[str, Any] = field(default_factory=dict)
    """See `StepLog.pending`."""
    request: dict[str, Any] = field(default_factory=dict)
    """See `request_of`; empty where a checkpoint says none."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors to use of a checkpoint's model, averaged where it holds an average.

    Raises `WeightsError` for a missing or damaged file.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state: dict[str, Tensor] = content["ema" if "ema" in content else "model"]
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise TypeError("it holds more than tensors")
        return state
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise WeightsError(path, f"is not a checkpoint of a training run ({_first_line(error)})") from error


def save_checkpoint(path: Path, learner: Learner, place: Place, *, seed: int) -> None:
    """Write atomically; a run that is cut off meanwhile keeps the checkpoint before."""
    state: dict[str, Any] = {
        "step": place.step,
        "seed": seed,
        "model": learner.model.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "log": place.pending,
        "request": json.dumps(place.request),
    }
    if learner.average is not None:
        state |= {"ema": learner.average.model.state_dict(), "ema_updates": learner.average.updates}
    if learner.scaler is not None:
        state["scaler"] = learner.scaler.state_dict()
    write_state(path, state)


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a file for `torch.load` atomically."""
    with replacing(path) as partial:
        torch.save(state, partial)


def resume(path: Path, learner: Learner, *, seed: int) -> Place:
    """Load a checkpoint if there is one, and say where the run goes on.

    An average that the checkpoint lacks begins at its model. Raises `WeightsError` for a damaged file or
    another model's, and `UsageError` for a run with another seed.
    """
    if not path.exists():
        return Place()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        begun = int(state.get("seed", seed))
        learner.model.load_state_dict(state["model"])
        learner.optimizer.load_state_dict(state["optimizer"])
        if learner.average is not None:
            learner.average.model.load_state_dict(state.get("ema", state["model"]))
            learner.average.updates = int(state.get("ema_updates", 0))
        if learner.scaler is not None and "scaler" in state:
            learner.scaler.load_state_dict(state["scaler"])
        place = Place(int(state["step"]), dict(state.get("log", {})), dict(json.loads(state.get("request", "{}"))))
    except Exception as error:  # a damaged archive raises a dozen kinds
        problem = f"is not a checkpoint of this model ({_first_line(error)}); give another folder or delete the file"
        raise WeightsError(path, problem) from error
    if begun != seed:
        raise UsageError(f"{path} was begun with seed {begun} and cannot go on with {seed}; give another folder")
    return place


def _first_line(error: Exception) -> str:
    """What went wrong, without the advice to load the file in a way that would run code in it."""
    if isinstance(error, pickle.UnpicklingError):
        return "damaged, or it holds more than weights"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
