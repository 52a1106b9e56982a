"""Waiting after failures. Oracle: a clock that the test sets."""

from __future__ import annotations

from miscomp.web.delays import Delays


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest() -> None:
    clock = Clock()
    delays = Delays(free=2, longest_s=10, clock=clock)
    pauses = []
    for _ in range(8):
        delays.failed("ann")
        pauses.append(delays.wait("ann"))
    assert pauses == [0, 1, 2, 4, 8, 10, 10, 10]
    assert delays.wait("bob") == 0


def test_a_pause_ends_and_is_forgotten_in_the_end() -> None:
    clock = Clock()
    delays = Delays(free=1, longest_s=10, clock=clock)
    for _ in range(4):
        delays.failed("ann")
    clock.now += 8
    assert delays.wait("ann") == 0
    delays.failed("ann")
    assert delays.wait("ann") == 10
    clock.now += 41
    delays.failed("ann")
    assert delays.wait("ann") == 1


def test_success_forgets_and_one_failure_can_be_taken_back() -> None:
    delays = Delays(free=1, longest_s=10, clock=Clock())
    delays.failed("ann")
    delays.forget("ann")
    assert delays.wait("ann") == 0
    for _ in range(3):
        delays.failed("10.0.0.1")
    delays.undo("10.0.0.1")
    assert delays.wait("10.0.0.1") == 2
    delays.undo("stranger")
    assert delays.wait("stranger") == 0


def test_a_flood_of_names_takes_no_memory_and_frees_no_name_that_is_guessed_at() -> None:
    delays = Delays(free=2, longest_s=10, known=100, clock=Clock())
    for _ in range(5):
        delays.failed("ann")
    for number in range(10_000):
        delays.failed(f"name {number}")
    assert len(delays) == 100
    assert delays.wait("ann") > 0
