"""Batches made ahead. Oracles: the source asked directly, and its own record of what it was asked."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from miscomp.training.prefetch import Ahead


class Numbers:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        self.asked.append(step)
        self.threads.add(threading.get_ident())
        if step == 13:
            raise ValueError("no thirteenth")
        return torch.tensor(step), torch.tensor(-step)


def test_each_step_gets_its_own_batch_in_whatever_order() -> None:
    with Ahead(Numbers(), count=2) as ahead:
        for step in (0, 1, 2, 9, 3, 4):
            assert [int(tensor) for tensor in ahead.batch(step)] == [step, -step]


def test_no_batch_is_made_twice_and_all_in_another_thread() -> None:
    source = Numbers()
    with Ahead(source, stride=2) as ahead:
        for step in (0, 2, 4, 6):
            ahead.batch(step)
    assert source.asked[:4] == [0, 2, 4, 6] and len(source.asked) == len(set(source.asked))
    assert threading.get_ident() not in source.threads


def test_an_error_comes_up_at_its_own_step() -> None:
    with Ahead(Numbers()) as ahead:
        ahead.batch(11)
        ahead.batch(12)
        with pytest.raises(ValueError, match="no thirteenth"):
            ahead.batch(13)
