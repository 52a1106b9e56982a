"""The one training loop: any model, any loss, any source of batches; survives a kill and resumes exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from miscomp.training.checkpoint import CHECKPOINT, Learner, resume
from miscomp.training.config import LoopConfig
from miscomp.training.ema import Average
from miscomp.training.losses import Loss
from miscomp.training.prefetch import Batches
from miscomp.training.processes import agree, check_agreed, open_accelerator
from miscomp.training.request import check_request, request_of
from miscomp.training.runfolder import RunFolder, Surroundings
from miscomp.training.schedule import learning_rate_factor

if TYPE_CHECKING:
    from accelerate import Accelerator


class Stopped(Exception):
    """A run was asked to end early; its checkpoint holds everything up to `step`."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


def train(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    config: LoopConfig,
    folder: Path,
    *,
    around: Surroundings | None = None,
) -> nn.Module:
    """Train `model` in place; `folder` gets its checkpoints, settings, log and curves.

    Returns the network to use: the average of the weights, or `model` itself where none is kept.

    A folder that already holds a checkpoint is resumed: the result equals that of an uninterrupted run on
    the same machine, because batches and noise depend on the seed and the step alone. Steps whose gradient
    is not finite are skipped and counted in the log. Of several processes, each draws its own batches, and
    only the first writes and talks.

    Raises `WeightsError` for a damaged checkpoint, `UsageError` for one that was asked for something else and for a
    device or precision that is not there, and `Stopped` where `around` asked for the end.
    """
    accelerator, around = open_accelerator(config), around or Surroundings()
    average = Average(model, config.ema) if config.ema else None
    learner = Learner(model, torch.optim.Adam(model.parameters()), average, accelerator.scaler)
    place = resume(folder / CHECKPOINT, learner, seed=config.seed)
    request = request_of(config, around.about, processes=accelerator.num_processes)
    check_request(folder / CHECKPOINT, place.request, request, config, place.step)
    check_agreed(accelerator, place.step, folder)
    stepper = _Stepper(accelerator, learner, loss, config)
    run = None
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        run = RunFolder(folder, learner, config, around, replace(place, request=request))
    for step in range(place.step, config.steps):
        figures, stepped = stepper.step(step, batches)
        figures, stop = agree(accelerator, figures, stop=around.stop())
        stop = stop and step + 1 < config.steps
        if run is not None:
            run.after(step + 1, figures, skipped=not stepped, last=stop or step + 1 == config.steps)
        if stop:
            # The checkpoint is written before any process goes on.
            accelerator.wait_for_everyone()
            raise Stopped(step + 1)
    accelerator.wait_for_everyone()
    stepper.unwrap()
    return learner.network


class _Stepper:
    """Takes single steps: a batch, its loss, the gradient, the optimizer, the average."""

    def __init__(self, accelerator: Accelerator, learner: Learner, loss: Loss, config: LoopConfig) -> None:
        self._accelerator = accelerator
        self._learner = learner
        self._loss = loss
        self._config = config
        self._model, self._optimizer = accelerator.prepare(learner.model, learner.optimizer)
        self._model.train()
        learner.network.to(accelerator.device)

    def step(self, step: int, batches: Batches) -> tuple[dict[str, float], bool]:
        """Figures of the process's own batch, and whether the weights changed."""
        accelerator, config = self._accelerator, self._config
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * learning_rate_factor(step, config)
        # Every process has its own share of one sequence of batches.
        index = step * accelerator.num_processes + accelerator.process_index
        x, quality = (tensor.to(accelerator.device) for tensor in batches.batch(index))
        noise = torch.Generator(accelerator.device).manual_seed(config.seed * 1_000_003 + index)
        with accelerator.autocast():
            value, figures = self._loss(self._model, x, quality, noise)
        stepped = self._descend(value)
        if stepped and self._learner.average is not None:
            self._learner.average.update(self._learner.model)
        return {"loss": float(value.detach()), **figures}, stepped

    def _descend(self, value: Tensor) -> bool:
        """Take one step of the optimizer; returns whether the gradient was finite, else nothing changes."""
        accelerator, optimizer = self._accelerator, self._optimizer
        optimizer.zero_grad()
        accelerator.backward(value)
        norm = accelerator.clip_grad_norm_(self._model.parameters(), self._config.clip)
        if accelerator.scaler is not None:
            # The scaler skips by itself, and must see the gradients that are not finite to lower its scale.
            optimizer.step()
            return not optimizer.step_was_skipped
        finite = norm is None or math.isfinite(float(norm))
        if finite:
            optimizer.step()
        return finite

    def unwrap(self) -> None:
        """Take off the model what mixed precision and several processes put around its forward."""
        self._accelerator.unwrap_model(self._model, keep_fp32_wrapper=False)
