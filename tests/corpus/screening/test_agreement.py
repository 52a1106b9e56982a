"""Agreement of screeners against a calculation by hand and against scikit-learn; undefined cases are said to be."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from screened import bare_corpus
from sklearn.metrics import cohen_kappa_score
from sqlalchemy import update

from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Decision, Meta, new_uuid
from miscomp.corpus.schema import IMAGE, add
from miscomp.corpus.screening.agreement import CHOICES, agreement, report_record, report_text, screening_report

IN, MAYBE, OUT = CHOICES


def pairs(table: list[list[int]]) -> list[tuple[str, str]]:
    return [(CHOICES[i], CHOICES[j]) for i in range(3) for j in range(3) for _ in range(table[i][j])]


def test_agreement_is_what_a_calculation_by_hand_gives() -> None:
    # 20 pictures. Rows 10, 4, 6 and columns 9, 4, 7: by chance (90 + 16 + 42) / 400 = 0.37; seen (8 + 2 + 5) / 20.
    # Linear: steps seen 1 + 1 + 1 + 1 + 2 = 6 of 20; by chance (10*4 + 4*9 + 4*7 + 6*4 + 2 * (10*7 + 6*9)) / 400.
    # In or out: seen 8 + 9 of 20; by chance (10 * 9 + 10 * 11) / 400 = 0.5.
    found = agreement("ann", "bob", pairs([[8, 1, 1], [1, 2, 1], [0, 1, 5]]), seed=0)
    assert found.table == ((8, 1, 1), (1, 2, 1), (0, 1, 5)) and found.pictures == 20
    assert (found.same.count, found.same_in_out.count) == (15, 17)
    assert found.kappa.value == pytest.approx((0.75 - 0.37) / (1 - 0.37), abs=1e-15)
    assert found.kappa_linear.value == pytest.approx(1 - (6 / 20) / (376 / 400), abs=1e-15)
    assert found.kappa_in_out.value == pytest.approx((0.85 - 0.5) / 0.5, abs=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_kappas_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 200))
    first = rng.choice(CHOICES, n, p=rng.dirichlet([1, 1, 1])).tolist()
    second = [one if rng.random() < 0.6 else str(rng.choice(CHOICES)) for one in first]
    found = agreement("ann", "bob", list(zip(first, second, strict=True)), seed=0)
    labels = list(CHOICES)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second, labels=labels), abs=1e-12)
    linear = cohen_kappa_score(first, second, labels=labels, weights="linear")
    assert found.kappa_linear.value == pytest.approx(linear, abs=1e-12)
    in_out = cohen_kappa_score([one == IN for one in first], [one == IN for one in second], labels=[True, False])
    assert found.kappa_in_out.value == pytest.approx(in_out, abs=1e-12)


def test_intervals_are_those_of_resampled_pictures() -> None:
    # Oracle: draws of pictures, one by one, and scikit-learn's kappa of each; 400 draws leave an end within 0.03.
    choices = pairs([[40, 5, 3], [6, 10, 5], [2, 6, 43]])
    found = agreement("ann", "bob", choices, seed=0)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(400):
        drawn = [choices[i] for i in rng.integers(0, len(choices), len(choices))]
        values.append(cohen_kappa_score([a for a, _ in drawn], [b for _, b in drawn]))
    assert found.kappa.interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.03)
    assert found.kappa.interval == agreement("ann", "bob", choices, seed=0).kappa.interval
    assert found.kappa.interval != agreement("ann", "bob", choices, seed=5).kappa.interval


def test_swapping_the_screeners_changes_the_table_and_no_kappa() -> None:
    choices = pairs([[8, 1, 4], [1, 2, 1], [0, 1, 5]])
    one, other = (agreement("a", "b", which, seed=0) for which in (choices, [(b, a) for a, b in choices]))
    assert one.table == tuple(zip(*other.table, strict=True))
    for name in ("kappa", "kappa_linear", "kappa_in_out"):
        assert getattr(one, name).value == getattr(other, name).value


@pytest.mark.parametrize("choices", [[], [(OUT, OUT)] * 5])
def test_without_pictures_or_with_one_answer_throughout_kappa_is_undefined(choices: list[tuple[str, str]]) -> None:
    found = agreement("ann", "bob", choices, seed=0)
    assert found.kappa.value is found.kappa_linear.value is found.kappa_in_out.value is None


def test_on_in_or_out_two_kinds_of_out_are_one_answer() -> None:
    found = agreement("ann", "bob", [(OUT, MAYBE), (MAYBE, MAYBE), (MAYBE, OUT), (OUT, OUT)], seed=0)
    assert found.same_in_out.count == 4 and found.kappa_in_out.value is None
    assert found.kappa.value == 0


def test_perfect_agreement_is_1_without_an_interval_and_opposites_are_below_0() -> None:
    perfect = agreement("ann", "bob", [(IN, IN), (OUT, OUT)] * 10, seed=0)
    assert (perfect.kappa.value, perfect.kappa.interval) == (1, None)
    assert agreement("ann", "bob", [(IN, OUT), (OUT, IN)] * 10, seed=0).kappa.value == -1


def test_a_screener_who_gave_one_answer_alone_has_a_kappa_of_0_without_an_interval() -> None:
    # Chance explains all that the two agree on, in every draw of the pictures: 0 to 0 would pass for a sure figure.
    found = agreement("ann", "bob", [(IN, IN), (IN, OUT), (IN, MAYBE)] * 10, seed=0)
    for one in (found.kappa, found.kappa_linear, found.kappa_in_out):
        assert (one.value, one.interval) == (0, None)
    mixed = agreement("ann", "bob", [(OUT, IN), (MAYBE, IN), (MAYBE, OUT)] * 10, seed=0)
    assert mixed.kappa.interval is not None
    assert (mixed.kappa_in_out.value, mixed.kappa_in_out.interval) == (0, None)


def decide(corpus: Corpus, screener: str, choices: dict[str, str]) -> None:
    rows = [
        Decision(uuid=new_uuid(), image_sha1=sha1, screener=screener, choice=choice, note="", time="")
        for sha1, choice in choices.items()
    ]
    with corpus.writing() as connection:
        add(connection, rows)


@pytest.fixture
def sha1s(corpus: Corpus) -> list[str]:
    with corpus.reading() as connection:
        return [row[0] for row in connection.execute(IMAGE.select().with_only_columns(IMAGE.c.image_sha1))]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return bare_corpus(tmp_path / "corpus", images=5, screening={"screeners": 3})


def test_the_report_counts_each_picture_once_and_compares_every_two_screeners(corpus: Corpus, sha1s: list[str]) -> None:
    decide(corpus, "ann", dict(zip(sha1s, [IN, OUT, MAYBE, OUT, IN], strict=True)))
    decide(corpus, "ann", {sha1s[0]: OUT})  # a changed mind
    decide(corpus, "bob", dict(zip(sha1s, [OUT, MAYBE, IN], strict=False)))
    decide(corpus, "cyd", {sha1s[0]: OUT, sha1s[4]: IN})
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == sha1s[4]).values(removed="2025-01-01"))
        add(connection, [Meta(name="suggestions shown to bob", value="2025-02-03")])
    with corpus.reading() as connection:
        found = screening_report(connection, corpus.config)
    assert found.pictures == 4
    assert found.verdicts == {"included": 1, "excluded": 1, "pending": 2, "unscreened": 0}
    assert found.screeners["ann"] == {"include": 0, "borderline": 1, "exclude": 3, "undecided": 0}
    assert found.screeners["cyd"] == {"include": 0, "borderline": 0, "exclude": 1, "undecided": 3}
    assert [(one.first, one.second, one.pictures) for one in found.agreement] == [
        ("ann", "bob", 3),
        ("ann", "cyd", 1),
        ("bob", "cyd", 1),
    ]
    text = report_text(found)
    assert "bob: 1 include, 1 borderline, 1 exclude, 1 undecided; was shown suggestions, first on 2025-02-03" in text
    assert "33.3 % (1 of 3; 95 % 6.1 to 79.2)" in text  # Wilson's interval of 1 in 3
    assert "undefined: both gave one and the same answer throughout" in text


def test_the_report_is_json_with_null_for_what_is_undefined(corpus: Corpus, sha1s: list[str]) -> None:
    decide(corpus, "ann", {sha1s[0]: OUT})
    decide(corpus, "bob", {sha1s[1]: OUT})
    with corpus.reading() as connection:
        found = screening_report(connection, corpus.config)
    record = json.loads(json.dumps(report_record(found), allow_nan=False))
    (pair,) = record["agreement"]
    assert pair["pictures"] == 0 and pair["same"] == {"value": None, "interval": None}
    assert pair["kappa"]["value"] is None
    assert "undefined, they have no picture in common" in report_text(found)


def test_one_screener_alone_has_no_agreement(corpus: Corpus, sha1s: list[str]) -> None:
    decide(corpus, "ann", {sha1s[0]: OUT})
    with corpus.reading() as connection:
        assert "agreement: none; it takes two screeners" in report_text(screening_report(connection, corpus.config))


def test_the_columns_of_the_text_stand_below_each_other(corpus: Corpus, sha1s: list[str]) -> None:
    for screener in ("ann", "bob"):
        decide(corpus, screener, dict(zip(sha1s, [IN, OUT, MAYBE, OUT, IN], strict=True)))
    with corpus.reading() as connection:
        lines = report_text(screening_report(connection, corpus.config)).splitlines()
    assert {len(one) for one in lines[-3:]} == {35}
    assert all(len(a) <= 120 and len(b) <= 120 for a, b in pairwise(lines))
