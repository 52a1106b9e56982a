from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from miscomp.codecs import blocks
from miscomp.codecs.blocks import cut, in_parallel, one_thread


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 9))
def test_blocks_cover_a_grid_once_and_take_in_their_surroundings(height: int, width: int, halo: int) -> None:
    covered = np.zeros((height, width), int)
    for block in cut(height, width, halo=halo):
        rows, columns = block.rows, block.columns
        covered[rows.kept, columns.kept] += 1
        for span, length in ((rows, height), (columns, width)):
            assert 0 < span.kept.stop - span.kept.start <= 64
            # Oracle: as many cells more on each side as there are, up to the halo.
            assert span.computed.start == max(span.kept.start - halo, 0)
            assert span.computed.stop == min(span.kept.stop + halo, length)
            axis = np.arange(length)
            assert axis[span.computed][span.inner].tolist() == axis[span.kept].tolist()
    assert bool((covered == 1).all())


def test_sizes_of_blocks_are_nearly_equal() -> None:
    sides = {block.rows.kept.stop - block.rows.kept.start for block in cut(130, 4, halo=3)}
    assert sides == {44, 42}


@pytest.mark.parametrize(
    ("height", "width", "pieces"),
    [(4, 4, 1), (44, 44, 1), (48, 32, 2), (32, 48, 2), (64, 64, 2), (64, 65, 2), (128, 65, 4), (200, 4, 4)],
)
def test_a_grid_that_fits_one_block_is_cut_in_two_where_it_is_worth_it(height: int, width: int, pieces: int) -> None:
    assert len(cut(height, width, halo=2)) == pieces


def test_a_span_in_smaller_units_is_the_same_piece() -> None:
    span = cut(100, 4, halo=5)[1].rows.times(16)
    assert span.inner == slice(5 * 16, 55 * 16)
    assert span == (slice(50 * 16, 100 * 16), slice(45 * 16, 100 * 16))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_work_runs_for_each_item_in_inference_mode_and_one_thread(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for workers in (1, 2):
        monkeypatch.setattr(blocks, "workers", lambda workers=workers: workers)
        seen: list[tuple[int, bool, int]] = []

        def work(item: int, seen: list[tuple[int, bool, int]] = seen) -> None:
            seen.append((item, torch.is_inference_mode_enabled(), torch.get_num_threads()))

        with one_thread():
            in_parallel(work, range(count))
        assert sorted(seen) == [(item, True, 1) for item in range(count)]
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_worker_raises_comes_out(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "workers", lambda: workers)

    def work(item: int) -> None:
        if item == 3:
            raise ValueError("item 3")

    with one_thread(), pytest.raises(ValueError, match="item 3"):
        in_parallel(work, range(6))


def test_at_most_four_and_at_least_one_block_is_worked_on_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, expected in ((1, 1), (3, 3), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cores=cores: set(range(cores)), raising=False)
        assert blocks.workers() == expected


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_the_thread_count_is_given_back_also_after_an_error() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    finally:
        torch.set_num_threads(before)


def test_a_caller_keeps_its_one_thread_when_another_leaves() -> None:
    before, inside, leave = torch.get_num_threads(), threading.Event(), threading.Event()
    found: list[int] = []

    def other() -> None:
        with one_thread():
            inside.set()
            leave.wait(10)
            found.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    try:
        torch.set_num_threads(3)
        with one_thread():
            thread.start()
            inside.wait(10)
        leave.set()
        thread.join()
        assert found == [1]
    finally:
        torch.set_num_threads(before)


def test_two_that_overlap_give_the_thread_count_back_in_either_order() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        for first_leaves_first in (True, False):
            inside, leave = threading.Event(), threading.Event()
            left: list[int] = []

            def other(inside: threading.Event, leave: threading.Event, left: list[int]) -> None:
                with one_thread():
                    inside.set()
                    leave.wait(10)
                left.append(torch.get_num_threads())

            thread = threading.Thread(target=other, args=(inside, leave, left))
            with one_thread():
                # A thread that begins now inherits torch's count of 1.
                thread.start()
                inside.wait(10)
                if not first_leaves_first:
                    leave.set()
                    thread.join()
            leave.set()
            thread.join()
            assert [*left, torch.get_num_threads(), threads_of_a_new_thread()] == [3, 3, 3]
    finally:
        torch.set_num_threads(before)
