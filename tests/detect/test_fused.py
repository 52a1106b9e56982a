"""The fused detector with a tiny network. Oracles: the logistic function by hand, and its sources asked alone."""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
from planted import BLUE, lawn, with_disc
from scripted import ScriptedReader, line
from tiny_network import noise, tiny_weights

from miscomp.detect.base import Detection, DetectSettings, PairInHand, Proposal
from miscomp.detect.catalog import DETECTORS, open_detector
from miscomp.detect.fused import ALONE, FEATURES, FusedDetector, Fusion, log_odds, shipped_fusion
from miscomp.detect.learned import LearnedDetector
from miscomp.detect.learned_weights import shipped_network
from miscomp.detect.rules import RulesDetector, best
from miscomp.errors import SizeMismatch
from miscomp.records import Box

ALL = DetectSettings(minimum_score=0, per_megapixel=1e3)
NOTHING = dict.fromkeys(FEATURES, 0.0)


def fusion(**weights: float) -> Fusion:
    return Fusion(bias=-4, weights={**NOTHING, **weights})


def detector(one: Fusion, **more: object) -> FusedDetector:
    return FusedDetector(learned=LearnedDetector(tiny_weights()), fusion=one, **more)  # type: ignore[arg-type]


def test_log_odds_begin_at_zero_and_rise() -> None:
    values = [log_odds(v / 20) for v in range(21)]
    assert values[0] == 0
    assert all(low < high for low, high in pairwise(values))


def test_the_score_is_logistic_in_the_weighted_log_odds() -> None:
    one = fusion(network=0.5, rules=0.25)
    total = -4 + 0.5 * log_odds(0.7) + 0.25 * log_odds(0.2)
    found = one.score({**NOTHING, "network": 0.7, "rules": 0.2})
    assert found == pytest.approx(1 / (1 + np.exp(-total)))


@pytest.mark.parametrize("name", ["reading", "face"])
def test_a_surely_changed_word_or_face_is_reported_though_the_network_sees_nothing(name: str) -> None:
    assert shipped_fusion().score({**NOTHING, name: 1.0}) >= DetectSettings().minimum_score + 0.1


def test_the_version_changes_with_the_fusion() -> None:
    assert detector(fusion(rules=1.0)).version != detector(fusion(rules=0.9)).version
    assert detector(fusion(rules=1.0)).version == detector(fusion(rules=1.0)).version


@pytest.mark.parametrize("name", FEATURES)
def test_a_score_never_falls_when_a_source_is_surer(name: str) -> None:
    base = dict.fromkeys(FEATURES, 0.3)
    scores = [shipped_fusion().score({**base, name: v / 50}) for v in range(51)]
    assert all(low <= high for low, high in pairwise(scores))


def test_a_weight_below_zero_or_of_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        fusion(network=-0.1)
    with pytest.raises(ValueError, match=">= 0"):
        fusion(network=float("nan"))
    with pytest.raises(ValueError, match="network, rules, reading, face"):
        Fusion(bias=0, weights={"network": 1.0})


def test_places_that_only_the_rules_see_are_found_with_their_answers() -> None:
    before, after = with_disc(lawn(), (100, 90), 30), lawn()
    found = detector(fusion(rules=1.0))(before, after, ALL).found
    alone = RulesDetector()(before, after, ALL).found
    assert found[0].box.iou(alone[0].box) > 0.5
    assert found[0].changed is not None and found[0].changed.value == pytest.approx(alone[0].changed.value)  # type: ignore[union-attr]
    assert found[0].relevant is not None and "rules_score" in found[0].relevant.numbers


def test_places_that_only_the_network_sees_are_found() -> None:
    a, b = noise(96, 96, 1), noise(96, 96, 2)
    found = detector(fusion(network=1.0))(a, b, ALL)
    assert {one.source for one in found.found} >= {"learned"}
    assert found.heat.shape == (24, 24) and found.change is not None


def test_a_changed_word_counts_by_the_reader_alone() -> None:
    before, after = np.full((120, 200, 3), 200, np.uint8), np.full((120, 200, 3), 190, np.uint8)
    box = Box(40, 40, 100, 30)
    reader = ScriptedReader({200: [line("EXIT", box)], 190: [line("WENT", box)]})
    found = detector(fusion(reading=1.0), reader=reader)(before, after, ALL).found
    assert found[0].source == "text" and found[0].symbol and "EXIT" in found[0].note
    unread = detector(fusion(reading=1.0), reader=reader)(before, after, DetectSettings(text=False)).found
    assert all(one.source != "text" for one in unread)


def test_another_source_proposes_places_too() -> None:
    box = Box(20, 30, 40, 40)

    def faces(pair: PairInHand) -> list[Proposal]:
        return [Proposal(box=box, relevant=1, source="face", words="a face", symbol=True, changed=0.9)]

    before, after = lawn(), with_disc(lawn(), (150, 150), 20, BLUE)
    found = detector(fusion(face=1.0), sources=[faces])(before, after, ALL).found
    assert found[0].box == box and found[0].symbol
    assert found[0].score == pytest.approx(fusion(face=1.0).score({**NOTHING, "face": 0.9}), abs=1e-4)


def test_a_word_takes_over_the_score_of_a_place_that_it_covers() -> None:
    word = Detection(box=Box(10, 10, 40, 20), score=0.1, source="text", note="EXIT became WENT")
    place = Detection(box=Box(12, 8, 30, 20), score=0.8, source="learned")
    other = Detection(box=Box(100, 100, 30, 20), score=0.5, source="learned")
    first, second = best([place, other, word], 9, take_over=True)
    assert (first.source, first.score, first.note) == ("text", 0.8, word.note) and second == other


def test_equal_pictures_have_no_detections_and_unequal_sizes_are_refused() -> None:
    a = lawn()
    assert detector(fusion(rules=1.0))(a, a.copy(), ALL).found == ()
    with pytest.raises(SizeMismatch):
        detector(fusion(rules=1.0))(a, a[:-1], ALL)


def test_the_same_pair_gives_the_same_detections() -> None:
    a, b = with_disc(lawn(), (100, 90), 30), with_disc(lawn(seed=1), (100, 95), 30)
    one = detector(fusion(network=0.5, rules=0.5))
    first, second = one(a, b, ALL), one(a, b, ALL)
    assert first.found == second.found and len(first.found) > 1


def test_every_registered_detector_opens_and_names_its_version() -> None:
    versions = [open_detector(name, reader=ScriptedReader({})).version for name in DETECTORS.names]
    assert all(versions) and len({v for v in versions if not v.isdigit()}) == 3


def test_the_shipped_fusion_says_what_it_was_fitted_on() -> None:
    about = json.loads((resources.files("miscomp.detect") / "assets" / "fused.json").read_text(encoding="utf-8"))
    assert about["places_that_hit"] > 100 and len(about["photographs"]) > 10
    assert about["network_sha256"] == shipped_network().sha256
    assert shipped_fusion().weights["network"] > 0


def test_what_the_rules_hold_above_a_half_is_never_dropped() -> None:
    one = fusion(network=1.0)
    assert one.score({**NOTHING, "rules": 0.9}) == pytest.approx(0.9 * 0.4)
    assert one.score({**NOTHING, "rules": 0.5}) < 0.02
    assert one.score({**NOTHING, "rules": 0.9, ALONE: 0.5}) < 0.02


def test_where_texture_was_drawn_anew_the_rules_have_the_word() -> None:
    one = fusion(network=1.0)
    features = {**NOTHING, "network": 0.9, "rules": 0.3}
    plain, anew = one.score(features, 0.0), one.score(features, 1.0)
    assert plain == one.score(features) and plain > 0.9
    assert anew == 0.3 and one.score({**features, ALONE: 0.2}, 1.0) == 0.2
    assert one.score(features, 0.5) == pytest.approx((plain + anew) / 2)
