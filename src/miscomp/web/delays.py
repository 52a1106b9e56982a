"""How long who guesses has to wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice


class Delays:
    """How long who failed has to wait: longer with every failure, forgotten after a while, in bounded memory."""

    def __init__(
        self,
        *,
        free: int,
        longest_s: float,
        known: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._longest = longest_s
        self._known = known
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def wait(self, who: str) -> float:
        """Seconds until another attempt is looked at; 0 for none."""
        failures, last = self._failed.get(who, (0, 0.0))
        return max(0.0, last + self._pause(failures) - self._clock())

    def failed(self, who: str) -> None:
        """Count a failure. Who is not heard of for four times the longest pause is forgotten."""
        now = self._clock()
        failures, last = self._failed.pop(who, (0, now))
        if now - last > 4 * self._longest:
            failures = 0
        self._failed[who] = (failures + 1, now)
        while len(self._failed) > self._known:
            # Those who failed once or twice go first: who floods the table does not free a name that is guessed at.
            self._failed.pop(self._least())

    def forget(self, who: str) -> None:
        """Forget the failures."""
        self._failed.pop(who, None)

    def undo(self, who: str) -> None:
        """Take one failure back; those before it still count."""
        failures, last = self._failed.get(who, (0, 0.0))
        if failures > 1:
            self._failed[who] = (failures - 1, last)
        else:
            self.forget(who)

    def _pause(self, failures: int) -> float:
        return 0.0 if failures < self._free else min(self._longest, 2.0 ** min(failures - self._free, 30))

    def _least(self) -> str:
        oldest = list(islice(self._failed.items(), 64))
        return min(oldest, key=lambda one: one[1][0])[0]
