"""Batches made ahead of time in another thread; what they are does not depend on it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from torch import Tensor


class Batches(Protocol):
    """A source of batches that depends on the step alone."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and what goes with them, in the shapes that the model and its loss take."""
        ...


class Ahead:
    """Makes the batches of the next steps while one is being used. To be closed after use, as a context."""

    def __init__(self, batches: Batches, *, stride: int = 1, count: int = 2) -> None:
        """`stride` is how far apart one process's steps lie, `count` how many are made ahead."""
        self._batches = batches
        self._stride, self._count = stride, count
        self._pool = ThreadPoolExecutor(1)
        self._made: dict[int, Future[tuple[Tensor, Tensor]]] = {}

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of this step; those that follow it are begun."""
        for coming in range(step, step + (self._count + 1) * self._stride, self._stride):
            if coming not in self._made:
                self._made[coming] = self._pool.submit(self._batches.batch, coming)
        batch = self._made.pop(step).result()
        for old in [number for number in self._made if number < step]:
            self._made.pop(old).cancel()
        return batch
