"""Costs: every request is counted, repeated when it failed in passing, and refused once the budget is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from miscomp.describe.base import Answer, DescribeError, Describer
from miscomp.errors import MiscompError
from miscomp.images import Pixels

TRIES = 3
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was spent: requests sent, failed ones too, tokens as counted by the server, and seconds of waiting."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    """Requests whose tokens are not known, because the server did not say or the request failed."""
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            uncounted=self.uncounted + other.uncounted,
            seconds=self.seconds + other.seconds,
        )

    @property
    def tokens(self) -> int:
        """Counted tokens, both ways."""
        return self.prompt_tokens + self.completion_tokens

    def cost(self, price_in: float, price_out: float) -> float:
        """Price of the counted tokens, for prices per million tokens; a lower bound where some are uncounted."""
        return (self.prompt_tokens * price_in + self.completion_tokens * price_out) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; none is no limit. The last request may pass `max_tokens`, because its size is known only afterwards."""

    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_requests", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")


class BudgetSpent(MiscompError):
    """The budget allows no further request; the message says which limit was reached."""


class Meter:
    """A describer whose requests are counted. It tries three times, and waits in between as long as the server asks.

    `usage` is everything spent so far. `sleep` waits for so many seconds.
    """

    def __init__(
        self, describer: Describer, budget: Budget | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._describer = describer
        self._budget = budget or Budget()
        self._sleep = sleep
        self.usage = Usage()

    @property
    def name(self) -> str:
        """The describer's own."""
        return self._describer.name

    def check(self, requests: int = 1) -> None:
        """Raise `BudgetSpent` unless the budget allows so many more requests."""
        most, tokens = self._budget.max_requests, self._budget.max_tokens
        if most is not None and self.usage.requests + requests > most:
            raise BudgetSpent(f"{self.usage.requests} of at most {most} requests were made, {requests} more are needed")
        if tokens is not None and self.usage.uncounted:
            raise BudgetSpent(
                f"a limit of {tokens} tokens cannot be kept: the tokens of {self.usage.uncounted} request(s) are not "
                "known; limit the requests instead"
            )
        if tokens is not None and self.usage.tokens >= tokens:
            raise BudgetSpent(f"{self.usage.tokens} tokens were used, the limit is {tokens}")

    def describe(self, crops: Sequence[Pixels], question: str) -> Answer:
        """Ask, again if need be. Raises `BudgetSpent`, and `DescribeError` when the last try has failed too."""
        for number in range(1, TRIES + 1):
            self.check()
            begin = time.perf_counter()
            try:
                answer = self._describer.describe(crops, question)
            except DescribeError as error:
                self._count(None, time.perf_counter() - begin)
                if number == TRIES or not error.transient:
                    raise
                self._sleep(_wait(number, error.wait))
            else:
                self._count(answer, time.perf_counter() - begin)
                return answer
        raise RuntimeError("the loop above returns or raises")

    def _count(self, answer: Answer | None, seconds: float) -> None:
        spent = Usage(requests=1, uncounted=1, seconds=seconds)
        if answer is not None and answer.prompt_tokens is not None and answer.completion_tokens is not None:
            spent = replace(
                spent,
                uncounted=0,
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
            )
        self.usage += spent


def _wait(number: int, asked: float | None) -> float:
    """Seconds before the next try: as the server asks, else 1, 2, 4 ..., and never more than 30."""
    wait = _FIRST_WAIT * float(2 ** (number - 1))
    if asked is not None and math.isfinite(asked):
        wait = max(0.0, asked)
    return min(wait, _LONGEST_WAIT)
