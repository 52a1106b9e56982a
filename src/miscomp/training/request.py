"""What a run was asked for: a checkpoint goes on with the same request only, or its result would be of neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from miscomp.errors import UsageError
from miscomp.training.config import LoopConfig
from miscomp.training.schedule import learning_rate_factor

FREE = frozenset(
    ("steps", "device", "save_every", "log_every", "start", "valid", "valid_pictures", "validate_every", "fit_batches")
)
"""Settings that may change while a run goes on: they do not touch the steps that were taken."""


def request_of(config: LoopConfig, about: Mapping[str, Any], *, processes: int) -> dict[str, Any]:
    """What decides a run's steps, as JSON has it: settings, training data without their place, processes."""
    data = {name: value for name, value in about.get("training_data", {}).items() if name != "folder"}
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    request = {**settings, "training_data": data, "processes": processes, "steps": config.steps}
    result: dict[str, Any] = json.loads(json.dumps(request))
    return result


def check_request(
    path: Path, saved: Mapping[str, Any], asked: Mapping[str, Any], config: LoopConfig, step: int
) -> None:
    """Raise `UsageError` where a checkpoint after `step` was asked for something else than `asked`.

    The number of steps may change while that changes no learning rate of a step that was taken. A checkpoint
    without a request is not checked.
    """
    if not saved:
        return
    names = sorted(name for name in {*saved, *asked} - {"steps"} if saved.get(name) != asked.get(name))
    if names:
        changed = "; ".join(
            f"{name}: {json.dumps(saved.get(name))}, now {json.dumps(asked.get(name))}" for name in names
        )
        raise UsageError(f"{path} was begun with other settings ({changed}); give these again, or another folder")
    if step > config.steps:
        raise UsageError(f"{path} has taken {step} steps, more than {config.steps}; give more steps or another folder")
    begun = replace(config, steps=int(saved["steps"]))
    if any(learning_rate_factor(i, begun) != learning_rate_factor(i, config) for i in range(step)):
        raise UsageError(
            f"{path} was begun for {begun.steps} steps and its learning rate has already begun to fall; finish it with "
            f"{begun.steps} steps, or train its weights further in another folder with --start-from"
        )
