"""The run folder: settings, log, validations, curves and checkpoints, written by one process as the run goes on."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from miscomp.errors import WeightsError
from miscomp.folders import package_version, write_text
from miscomp.training.checkpoint import CHECKPOINT, Learner, Place, save_checkpoint, write_state
from miscomp.training.config import LoopConfig
from miscomp.training.curves import write_curves
from miscomp.training.runlog import StepLog, StepTable, in_words

BEST = "best.pt"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come, told after every step."""

    step: int
    steps: int
    figures: dict[str, float]
    """Means since the last line of the log."""
    line: str
    """The log's line in words where this step has one, else empty."""


class Validator(Protocol):
    """Judges a network on pictures that it does not learn from; changes nothing in it."""

    identity: str
    """Which pictures and qualities; losses under two identities do not compare."""

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        """Rows of figures, `loss` among them, for the state after `step`."""
        ...


def _silent(line: str) -> None:
    """Tell nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What surrounds a run: who is told, who may end it, what is looked at. Nothing here changes the weights."""

    talk: Callable[[str], None] = _silent
    """Told what happens, line by line."""
    progress: Callable[[Progress], None] | None = None
    """Told every step; without it, the log's lines go to `talk`."""
    stop: Callable[[], bool] = _never
    """Asked after every step; where it says so, the run ends with a checkpoint."""
    validate: Validator | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What `config.json` says beside the settings: where the data come from."""


class RunFolder:
    """Keeps a run's files up to date. Only one process of a run has one."""

    def __init__(self, folder: Path, learner: Learner, config: LoopConfig, around: Surroundings, place: Place) -> None:
        self._folder = folder
        self._learner = learner
        self._config = config
        self._around = around
        self._request = place.request
        self._log = StepLog(folder / "log.csv", place.step, place.pending)
        self._valid = StepTable(folder / "valid.csv", place.step)
        self._best = self._read_best() if place.step else float("inf")
        write_text(folder / "config.json", self._settings())
        if place.step:
            around.talk(f"goes on after step {place.step} of {folder / CHECKPOINT}")

    def after(self, step: int, figures: dict[str, float], *, skipped: bool, last: bool) -> None:
        """Keep the figures of a step, and do what is due after it; `last` where the run ends here."""
        config = self._config
        done = step == config.steps
        self._log.add(figures, skipped=skipped)
        means, line = self._log.means, ""
        if step % config.log_every == 0 or done:
            line = f"step {step}/{config.steps}: {self._log.flush(step)}"
        self._tell(Progress(step, config.steps, means, line))
        judged = self._around.validate is not None and (step % config.validate_every == 0 or done)
        if judged:
            self._validate(step)
        if step % config.save_every == 0 or last:
            place = Place(step, self._log.pending, self._request)
            save_checkpoint(self._folder / CHECKPOINT, self._learner, place, seed=config.seed)
        if judged or step % config.save_every == 0 or last:
            write_curves(self._folder / "curves.png", self._log.table.rows, self._valid.rows)

    def _tell(self, progress: Progress) -> None:
        if self._around.progress is not None:
            self._around.progress(progress)
        elif progress.line:
            self._around.talk(progress.line)

    def _validate(self, step: int) -> None:
        """Judge the network, write the rows down, and keep it where it is the best so far."""
        validator, network = self._around.validate, self._learner.network
        if validator is None:
            return
        learning = network.training
        network.eval()
        # Whatever is drawn at random meanwhile, the run's own randomness stays as it was.
        with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
            rows = validator(network, step)
        network.train(learning)
        self._valid.add([{"step": str(step), **{k: f"{v:.6g}" for k, v in row.items()}} for row in rows])
        means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != "quality"}
        better = means["loss"] < self._best
        if better:
            self._best = means["loss"]
            state = {"step": step, "seed": self._config.seed, "model": network.state_dict()}
            write_state(self._folder / BEST, {**state, "valid_loss": self._best, "valid_identity": validator.identity})
        self._around.talk(f"validation after step {step}: {in_words(means)}{', the best so far' if better else ''}")

    def _read_best(self) -> float:
        """The loss of the best network so far, if it was judged on the same pictures."""
        state = _read_best(self._folder, self._around.validate)
        return float("inf") if state is None else float(state["valid_loss"])

    def _settings(self) -> str:
        about = {
            "settings": asdict(self._config),
            "parameters": sum(parameter.numel() for parameter in self._learner.model.parameters()),
            **self._around.about,
            "versions": {"python": platform.python_version(), **{name: package_version(name) for name in _PACKAGES}},
        }
        return json.dumps(about, indent=2) + "\n"


def has_best(folder: Path, validator: Validator | None) -> bool:
    """Whether a folder holds the best network of those that this validator judged. Raises `WeightsError`."""
    return _read_best(folder, validator) is not None


def _read_best(folder: Path, validator: Validator | None) -> dict[str, Any] | None:
    """The best network so far, if there is one and it was judged alike."""
    path = folder / BEST
    if validator is None or not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        float(state["valid_loss"])
        return state if state["valid_identity"] == validator.identity else None
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise WeightsError(path, "is not the best network of a run; delete the file") from error


_PACKAGES = ("miscomp", "torch", "accelerate", "numpy", "pillow")
