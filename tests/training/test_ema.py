from __future__ import annotations

import pytest
import torch
from toy_codec import ToyCodec, toy_codec

from miscomp.training.ema import Average


def at(model: ToyCodec, value: float) -> ToyCodec:
    with torch.no_grad():
        model.scale.fill_(value)
        model.calls.fill_(value)
    return model


def test_the_average_forgets_its_start_and_then_decays_slowly() -> None:
    model = at(toy_codec(), 8.0)
    average = Average(model, 0.15)
    shown = []
    for value in (1.0, 2.0, 3.0):
        average.update(at(model, value))
        shown.append(float(average.model.get_parameter("scale")[0]))
    # Oracle: by hand; the share of the past is 1/10, then 0.15 instead of 2/11 and 3/12.
    first = 0.1 * 8 + 0.9 * 1
    second = 0.15 * first + 0.85 * 2
    assert shown == pytest.approx([first, second, 0.15 * second + 0.85 * 3])


def test_buffers_are_copied_and_the_model_is_left_alone() -> None:
    model = at(toy_codec(), 1.0)
    average = Average(model, 0.9)
    average.update(at(model, 5.0))
    assert float(average.model.get_buffer("calls")) == 5.0
    assert float(model.scale.detach().mean()) == 5.0
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
