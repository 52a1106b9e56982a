"""Convolution networks over large pictures in overlapping blocks: bounded memory, several cores, and no seams.

Each block takes in as much of its surroundings as the network can see, so that what is kept of it does not depend
on where the cuts lie. The cuts follow from the picture's size alone and each block is one thread's work: how many
cores there are changes the time and not one bit of the result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from typing import NamedTuple, TypeVar

import torch

from miscomp.workers import cores

MOST_WORKERS = 4
"""Most blocks at a time: each takes about 150 MB."""

_MOST = 64
_FEWEST = 24

_lock = threading.Lock()
_found: list[int] = []
"""For each caller inside `one_thread`, the thread count that the first of them found."""

T = TypeVar("T")


class Span(NamedTuple):
    """A piece of one axis: what is kept of it, and what is computed."""

    kept: slice
    computed: slice

    @property
    def inner(self) -> slice:
        """What is kept, counted from the start of what is computed."""
        start = self.kept.start - self.computed.start
        return slice(start, start + self.kept.stop - self.kept.start)

    def times(self, factor: int) -> Span:
        """The same piece in units `factor` times as small."""
        return Span(*(slice(part.start * factor, part.stop * factor) for part in self))


class Block(NamedTuple):
    """A rectangle of a grid."""

    rows: Span
    columns: Span


def cut(height: int, width: int, *, halo: int) -> list[Block]:
    """Blocks of nearly equal size, at most 64 cells a side, each computed with `halo` cells more on every inner side.

    A grid that would fit one block is cut in two along its longer side, so that two cores have work.
    """
    pieces = [-(-length // _MOST) for length in (height, width)]
    longer = int(width >= height)
    if pieces == [1, 1] and max(height, width) >= 2 * _FEWEST:
        pieces[longer] = 2
    rows, columns = (spans(length, count, halo=halo) for length, count in zip((height, width), pieces, strict=True))
    return [Block(row, column) for row, column in product(rows, columns)]


def spans(length: int, count: int, *, halo: int, align: int = 1) -> list[Span]:
    """At most `count` pieces of nearly equal size, each computed with `halo` more on every inner side.

    They begin and end at multiples of `align`, with their halo too.
    """
    size = -(-length // (count * align)) * align
    halo = -(-halo // align) * align
    return [
        Span(
            slice(start, min(start + size, length)),
            slice(max(start - halo, 0), min(start + size + halo, length)),
        )
        for start in range(0, length, size)
    ]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in one thread, here and in threads started meanwhile, and give back what was set."""
    # New threads inherit torch's count, so a caller that enters beside another would find 1 and leave it behind.
    with _lock:
        now = _set_one()
        _found.append(_found[0] if _found else now)
    try:
        yield
    finally:
        with _lock:
            torch.set_num_threads(_found.pop())


def _set_one() -> int:
    """Set torch's count to 1 in this thread; returns what it was."""
    # Asked first: a new thread takes over the count of the process when it is first asked or used. After another caller
    # has left `one_thread` that is no longer 1.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return before


def workers() -> int:
    """How many blocks are worked on at a time: the cores that this process may use, at most `MOST_WORKERS`."""
    return min(cores(), MOST_WORKERS)


def in_parallel(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Call `work` for each item on several cores, in inference mode; torch works in one thread for each.

    To be called inside `one_thread`, which gives back torch's count. Raises what `work` raises.
    """
    todo = list(items)

    def one(item: T) -> None:
        _set_one()
        with torch.inference_mode():
            work(item)

    if len(todo) == 1 or workers() == 1:
        for item in todo:
            one(item)
        return
    with ThreadPoolExecutor(min(workers(), len(todo))) as pool:
        for _ in pool.map(one, todo):
            pass
