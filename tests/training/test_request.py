from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from miscomp.errors import UsageError
from miscomp.training.config import TrainConfig
from miscomp.training.request import FREE, check_request, request_of

CONFIG = TrainConfig(steps=100, warmup=10, decay=0.3)
DATA = {"training_data": {"folder": "here", "pictures": 3, "sha256": "ab"}}


def refusal(asked: TrainConfig, step: int, *, data: dict[str, dict[str, object]] = DATA, processes: int = 1) -> str:
    saved = request_of(CONFIG, DATA, processes=1)
    with pytest.raises(UsageError) as caught:
        check_request(Path("run/checkpoint.pt"), saved, request_of(asked, data, processes=processes), asked, step)
    return str(caught.value)


@pytest.mark.parametrize("step", [0, 50, 100])
def test_the_same_request_goes_on_wherever_its_pictures_lie_and_whatever_is_written(step: int) -> None:
    asked = replace(CONFIG, save_every=7, log_every=3, valid="elsewhere", validate_every=9, fit_batches=0)
    moved = {"training_data": {**DATA["training_data"], "folder": "there"}}
    saved = request_of(CONFIG, DATA, processes=2)
    check_request(Path("checkpoint.pt"), saved, request_of(asked, moved, processes=2), asked, step)
    check_request(Path("checkpoint.pt"), {}, request_of(replace(CONFIG, crop=64), DATA, processes=1), asked, step)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lmbda_low", 0.001), ("batch_size", 5), ("crop", 64), ("learning_rate", 1.0), ("ema", 0.5), ("drops", (0.5,))],
)
def test_a_setting_that_decides_the_steps_may_not_change(name: str, value: float) -> None:
    assert name not in FREE
    asked = replace(CONFIG, **{name: value})  # type: ignore[arg-type]
    assert f"run/checkpoint.pt was begun with other settings ({name}: " in refusal(asked, 50)


def test_other_pictures_or_another_number_of_processes_are_told() -> None:
    other = {"training_data": {"folder": "here", "pictures": 4, "sha256": "cd"}}
    assert "training_data: " in refusal(CONFIG, 50, data=other)
    assert "(processes: 1, now 2)" in refusal(CONFIG, 50, processes=2)


def test_a_run_can_be_lengthened_until_its_learning_rate_falls() -> None:
    longer = replace(CONFIG, steps=200)
    saved = request_of(CONFIG, DATA, processes=1)
    # By hand: the rate falls over the last 30 of 100 steps, so the steps before number 71 have the full one.
    check_request(Path("checkpoint.pt"), saved, request_of(longer, DATA, processes=1), longer, 71)
    assert "begun for 100 steps and its learning rate has already begun to fall" in refusal(longer, 72)


def test_fewer_steps_than_were_taken_are_refused() -> None:
    assert "has taken 60 steps, more than 50" in refusal(replace(CONFIG, steps=50), 60)
