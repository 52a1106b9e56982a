"""Findings in order, budgets, repeated requests, and what is kept. The model is a scripted stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from report_sample import make_sample

from miscomp.describe.base import Answer, DescribeError
from miscomp.describe.compare import CompareOptions, Verdict
from miscomp.describe.findings import Described, Tally, describe_findings
from miscomp.describe.meter import TRIES, Budget, BudgetSpent, Meter, Usage
from miscomp.describe.store import Asked, Descriptions, read_descriptions
from miscomp.errors import InputError
from miscomp.images import Pixels, read
from miscomp.records import Finding

OPTIONS = CompareOptions(swap=False)
DIFFERENT = '{"verdict": "different", "what": "first 3, second 7"}'


class Model:
    """A stand-in for a model; `events` are answers, or failures to raise, in turn, and then for ever the last one."""

    name = "scripted"

    def __init__(self, *events: Answer | DescribeError) -> None:
        self.events = list(events)
        self.requests = 0

    def describe(self, crops: Sequence[Pixels], question: str) -> Answer:
        self.requests += 1
        event = self.events.pop(0) if len(self.events) > 1 else self.events[0]
        if isinstance(event, DescribeError):
            raise event
        return event


def answer(text: str = DIFFERENT, tokens: int | None = 10) -> Answer:
    return Answer(text=text, prompt_tokens=tokens, completion_tokens=tokens)


def fails(**how: bool) -> DescribeError:
    return DescribeError("scripted", "is tired", **how)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Finding, ...], Pixels, Pixels]:
    folder = tmp_path_factory.mktemp("audit")
    result = make_sample(folder, ["harbour.png"]).results[0]
    sides = [read(folder / name).pixels for name in (result.original_file, result.reconstruction_file)]
    return result.findings, sides[0], sides[1]


Pair = tuple[tuple[Finding, ...], Pixels, Pixels]


def meter(model: Model, *, waits: list[float] | None = None, **limits: int) -> Meter:
    return Meter(model, Budget(**limits), sleep=(waits if waits is not None else []).append)


def test_every_finding_is_described_in_order_and_kept_at_once(pair: Pair) -> None:
    kept: list[str] = []
    tally = Tally()
    counted = meter(Model(answer()))
    done = describe_findings(
        *pair, counted, options=OPTIONS, tally=tally, keep=lambda d: kept.append(d.finding.annotation.id)
    )
    assert kept == [d.finding.annotation.id for d in done] == [f.annotation.id for f in pair[0]]
    assert {d.description.verdict for d in done} == {Verdict.DIFFERENT}
    assert [d.finding for d in done] == list(pair[0])  # with the scores that they had
    assert (tally.described, tally.kept, tally.left, tally.stopped, tally.failures) == (3, 0, 0, "", [])
    usage = counted.usage
    assert (usage.requests, usage.prompt_tokens, usage.completion_tokens, usage.uncounted) == (9, 90, 90, 0)


def test_what_is_known_is_not_asked_again(pair: Pair) -> None:
    first = pair[0][0].annotation.id
    model, tally = Model(answer()), Tally()
    done = describe_findings(
        *pair, meter(model), options=OPTIONS, tally=tally, known=lambda finding, crops: finding.annotation.id == first
    )
    assert len(done) == 2 and tally.kept == 1 and model.requests == 6


@pytest.mark.parametrize(("most", "described"), [(2, 0), (3, 1), (5, 1), (8, 2), (9, 3)])
def test_a_finding_is_begun_only_if_the_budget_covers_it(pair: Pair, most: int, described: int) -> None:
    model, tally = Model(answer()), Tally()
    describe_findings(*pair, meter(model, max_requests=most), options=OPTIONS, tally=tally)
    assert (tally.described, tally.left, model.requests) == (described, 3 - described, 3 * described)
    assert bool(tally.stopped) == (described < 3)


def test_tokens_stop_the_work_after_the_request_that_passed_the_limit(pair: Pair) -> None:
    model, tally = Model(answer(tokens=10)), Tally()
    describe_findings(*pair, meter(model, max_tokens=70), options=OPTIONS, tally=tally)
    assert model.requests == 4  # 20 tokens each
    assert (tally.described, tally.left) == (1, 2) and "80 tokens were used, the limit is 70" in tally.stopped


def test_a_limit_on_tokens_that_nobody_counts_stops_the_work_and_says_so(pair: Pair) -> None:
    model, tally = Model(answer(tokens=None)), Tally()
    describe_findings(*pair, meter(model, max_tokens=10**9), options=OPTIONS, tally=tally)
    assert model.requests == 1 and tally.left == 3 and "not known" in tally.stopped


def test_failures_that_may_pass_are_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    counted = meter(Model(fails(transient=True), fails(transient=True), answer("A door.")), waits=waits)
    assert counted.describe([], "What?").text == "A door."
    assert waits == [1.0, 2.0]
    assert (counted.usage.requests, counted.usage.uncounted, counted.usage.prompt_tokens) == (3, 2, 10)


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (86400.0, 30.0), (float("nan"), 1.0)])
def test_the_server_says_how_long_to_wait_within_bounds(asked: float, waited: float) -> None:
    waits: list[float] = []
    busy = DescribeError("scripted", "is busy", transient=True, wait=asked)
    meter(Model(busy, answer()), waits=waits).describe([], "What?")
    assert waits == [waited]


def test_tries_are_bounded_and_count_against_the_budget() -> None:
    model = Model(fails(transient=True))
    with pytest.raises(DescribeError):
        meter(model).describe([], "What?")
    assert model.requests == TRIES
    with pytest.raises(BudgetSpent):
        meter(Model(fails(transient=True)), max_requests=2).describe([], "What?")


def test_one_failure_does_not_stop_the_rest_and_three_in_a_row_do(pair: Pair) -> None:
    tally = Tally()
    done = describe_findings(*pair, meter(Model(fails(), answer())), options=OPTIONS, tally=tally)
    assert len(done) == 2 and len(tally.failures) == 1 and not tally.stopped
    assert tally.failures[0] == (pair[0][0].annotation.id, "scripted: is tired")
    tally = Tally()
    model = Model(fails())
    findings = (*pair[0], *pair[0])
    assert describe_findings(findings, *pair[1:], meter(model), options=OPTIONS, tally=tally) == []
    assert (model.requests, len(tally.failures), tally.left) == (3, 3, 3) and "in a row" in tally.stopped


def test_a_failure_that_all_would_share_stops_at_once(pair: Pair) -> None:
    model, tally = Model(fails(fatal=True)), Tally()
    describe_findings(*pair, meter(model), options=OPTIONS, tally=tally)
    assert (model.requests, len(tally.failures), tally.left) == (1, 1, 2) and "is tired" in tally.stopped


@pytest.mark.parametrize("limits", [{"max_requests": 0}, {"max_tokens": -1}])
def test_a_budget_of_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=">= 1"):
        Budget(**limits)


ASKED = Asked.now("scripted", OPTIONS, 0)


def described(pair: Pair) -> list[Described]:
    return describe_findings(*pair, meter(Model(answer())), options=OPTIONS)


def test_descriptions_are_read_as_they_were_written(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "descriptions.json"
    assert read_descriptions(path).rows == ()
    descriptions = Descriptions()
    for one in described(pair):
        descriptions.add(one, ASKED)
    descriptions.write(path)
    assert read_descriptions(path).rows == descriptions.rows and len(descriptions.rows) == 3
    row, annotation = descriptions.rows[0], pair[0][0].annotation
    assert (row.id, row.image_sha1, row.model) == (annotation.id, annotation.image_sha1, annotation.model)
    assert row.asked == ASKED and row.usage.requests == 3
    first = path.read_bytes()
    read_descriptions(path).write(path)
    assert path.read_bytes() == first


def test_another_model_adds_a_row_and_other_pixels_replace_it(pair: Pair) -> None:
    (one, *_), finding = described(pair), pair[0][0]
    descriptions = Descriptions()
    descriptions.add(one, ASKED)
    other = Asked.now("another", OPTIONS, 0)
    assert descriptions.find(finding, one.crops, ASKED) is not None
    assert descriptions.find(finding, one.crops, other) is None
    assert descriptions.find(finding, "0" * 16, ASKED) is None
    descriptions.add(one, other)
    descriptions.add(Described(finding=finding, crops="0" * 16, description=one.description), ASKED)
    assert [(row.asked.describer, row.crops) for row in descriptions.rows] == [
        ("scripted", "0" * 16), ("another", one.crops)
    ]  # fmt: skip


Spoil = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row.pop("what"),
        lambda row: row.update(more=1),
        lambda row: row.update(verdict="certainly"),
        lambda row: row.update(before=3),
        lambda row: row.update(raw="text"),
        lambda row: row.update(raw=[1]),
        lambda row: row.update(asked={"describer": "x"}),
        lambda row: row.update(usage=[]),
        lambda row: row.update(usage={**row["usage"], "requests": True}),
        lambda row: row.update(usage={**row["usage"], "requests": -1}),
        lambda row: row.update(usage={**row["usage"], "seconds": float("nan")}),
    ],
)
def test_a_damaged_file_is_refused_by_name(pair: Pair, tmp_path: Path, spoil: Spoil) -> None:
    path = tmp_path / "descriptions.json"
    descriptions = Descriptions()
    descriptions.add(described(pair)[0], ASKED)
    descriptions.write(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    spoil(content["descriptions"][0])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"descriptions\.json: cannot be read as descriptions"):
        read_descriptions(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"schema": 2, "descriptions": []}', b"{}"])
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "descriptions.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"descriptions\.json"):
        read_descriptions(path)


def test_usages_add_up() -> None:
    one = Usage(requests=1, prompt_tokens=2, completion_tokens=3, uncounted=4, seconds=0.5)
    assert one + one == Usage(requests=2, prompt_tokens=4, completion_tokens=6, uncounted=8, seconds=1.0)
    assert np.isclose((one + one).tokens, 10)
