"""Oracles: counts by hand, odds ratios that the simulation put in, and what the table must own up to."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import small_corpus
from labelled import simulated

from miscomp.corpus.entries import Suggestion
from miscomp.corpus.schema import add
from miscomp.errors import MissingExtra
from miscomp.stats.counted import count
from miscomp.stats.factors import factor_table, features_of
from miscomp.stats.material import Material
from miscomp.stats.tabular import Cell, StatTable

MODELS = ("01L", "01H", "02L", "02H")


def _row(table: StatTable, factor: str, compared: str = "") -> Mapping[str, Cell]:
    return next(
        row
        for row in table.rows
        if row["factor"].value == factor and (not compared or row["compared"].value == compared)
    )


def _known(pictures: int, *, seed: int = 0) -> tuple[Material, dict[str, dict[str, float]]]:
    """Seen by one labeler; log odds -1 for a doubled rate, +0.9 for words, nothing for faces and codec."""
    rng = np.random.default_rng(seed)
    material = simulated(pictures, labelers=("ann",), per_side=1, prevalence=1.0, error=0.0, models=MODELS)
    sha1s = list(dict.fromkeys(row.image_sha1 for row in material.images))
    features = {
        sha1: {"text": float(rng.integers(0, 2) * 5), "face": float(rng.integers(0, 2)), "detail": float(rng.random())}
        for sha1 in sha1s
    }
    kept = set()
    for row in material.images:
        logit = -2 - math.log2(row.bpp or 1) + 0.9 * (features[row.image_sha1]["text"] > 0)
        if rng.random() < 1 / (1 + math.exp(-logit)):
            kept.add((row.image_sha1, row.model))
    boxes = tuple(one for one in material.annotations if (one.image_sha1, one.model) in kept)
    return replace(material, annotations=boxes), features


def test_odds_ratios_that_the_simulation_put_in_lie_in_their_intervals() -> None:
    material, features = _known(400)
    table = factor_table(count(material), features)
    for factor, truth in (("Bit rate", math.exp(-1)), ("Text", math.exp(0.9)), ("Faces", 1.0), ("Codec", 1.0)):
        odds = _row(table, factor)["odds_ratio"]
        assert odds.low is not None and odds.high is not None
        assert odds.low < truth < odds.high, factor
        assert odds.n == 1600
    assert "400 pictures" in table.note
    assert "not causes" in table.note
    assert "Caution" not in table.note


def test_rows_count_the_reconstructions_and_annotated_ones_of_a_level() -> None:
    material, features = _known(60)
    table = factor_table(count(material), features)
    drawn = {(one.image_sha1, one.model) for one in material.annotations}
    webp = [row for row in material.images if row.model.startswith("02")]
    row = _row(table, "Codec", "C2 against C1")
    assert row["reconstructions"].value == len(webp) == 120
    assert row["annotated"].value == sum((one.image_sha1, one.model) in drawn for one in webp)


def test_only_reconstructions_that_were_seen_count() -> None:
    material, features = _known(60)
    hidden = {row.image_sha1 for row in material.images[:80]}
    seen = replace(
        material,
        views=tuple(one for one in material.views or () if one.image_sha1 not in hidden),
        annotations=tuple(one for one in material.annotations if one.image_sha1 not in hidden),
    )
    assert "over the 160 reconstructions that were seen" in factor_table(count(seen), features).note
    nobody = factor_table(count(replace(material, views=None)), features)
    assert nobody.rows == ()
    assert "No odds ratios" in nobody.note


def test_factors_that_are_the_same_for_all_or_mostly_unknown_are_named_with_the_reason() -> None:
    material, features = _known(60)
    few = {sha1: {"text": known["text"]} for sha1, known in features.items()}
    for sha1 in list(few)[:20]:
        few[sha1]["face"] = 1.0
    table = factor_table(count(material), few)
    assert _row(table, "Faces")["left_out"].value == "unknown for 160 of 240 reconstructions"
    assert _row(table, "Picture size")["left_out"].value == "the same for all"
    assert _row(table, "Picture size")["odds_ratio"].value is None
    assert _row(table, "Text")["odds_ratio"].value is not None


def test_a_few_unknown_values_leave_out_their_reconstructions_and_that_is_said() -> None:
    material, features = _known(60)
    table = factor_table(count(material), dict(list(features.items())[5:]))
    assert "20 reconstructions with an unknown factor stayed out" in table.note
    assert _row(table, "Text")["odds_ratio"].n == 220
    assert _row(table, "Text")["reconstructions"].value == 220


def test_a_source_without_annotations_is_said_to_be_separated_and_is_never_the_one_compared_with() -> None:
    material, features = _known(90)
    clean = {row.image_sha1 for row in material.images if row.source == "made"}
    boxes = tuple(one for one in material.annotations if one.image_sha1 not in clean)
    table = factor_table(count(replace(material, annotations=boxes)), features)
    row = _row(table, "Source", "made against faces")
    assert row["odds_ratio"].value is None
    assert "no finite odds ratio" in str(row["left_out"].value)
    assert row["annotated"].value == 0
    assert "120 reconstructions stayed out because a factor tells them apart perfectly" in table.note
    assert _row(table, "Source", "street against faces")["odds_ratio"].value is not None


def test_few_pictures_and_few_annotations_are_warned_of() -> None:
    material, features = _known(25)
    note = factor_table(count(material), features).note
    assert "fewer than 30 pictures" in note
    assert "of the rarer outcome are few" in note


def test_features_of_a_corpus_are_the_latest_suggestions(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=2)
    sha1 = count(simulated(1)).material.images[0].image_sha1

    def row(kind: str, value: float, version: str, day: int, detector: str = "first") -> Suggestion:
        time = f"2025-10-{day}T09:30:00Z"
        return Suggestion(
            image_sha1=sha1, detector=detector, version=version, kind=kind, value=value, regions="[]", time=time
        )

    with corpus.writing() as connection:
        add(connection, [row("text", 3.0, "2", 28), row("text", 9.0, "1", 29, "other"), row("detail", 0.25, "1", 28)])
    assert features_of(corpus) == {sha1: {"text": 9.0, "detail": 0.25}}


def test_without_statsmodels_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    material, features = _known(30)
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("statsmodels"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"miscomp\[stats\]"):
        factor_table(count(material), features)
