from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from corpora import small_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planned import decision, image_row, planned_corpus, sha1_of

from miscomp.corpus import selection
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import SourceImage
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import add, fetch
from miscomp.corpus.selection import Verdict, allot, allotted, select_images, shuffled, verdict, verdicts

TWO_HALVES = small_config(halves=[["C1"], ["C2"]], batches={"bulk_images": 10})


def images_of(corpus: Corpus) -> list[SourceImage]:
    with corpus.reading() as connection:
        return fetch(connection, SourceImage)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ([], Verdict.UNSCREENED),
        (["exclude"], Verdict.PENDING),
        (["borderline"], Verdict.PENDING),
        (["include"], Verdict.INCLUDED),
        (["include", "exclude"], Verdict.INCLUDED),
        (["borderline", "include"], Verdict.INCLUDED),
        (["borderline", "exclude"], Verdict.EXCLUDED),
        (["borderline", "borderline"], Verdict.EXCLUDED),
        (["exclude", "exclude"], Verdict.EXCLUDED),
    ],
)
def test_a_picture_is_out_only_when_both_screeners_say_exclude_or_borderline(
    choices: list[str], expected: Verdict
) -> None:
    assert verdict(choices, 2) == expected


def test_the_last_decision_of_a_screener_counts_and_removed_pictures_have_no_verdict(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    with corpus.writing() as connection:
        add(connection, [image_row(0), image_row(1), image_row(2, removed="2026-01-01T00:00:00Z"), image_row(3)])
        for number, screener, choice in (
            (0, "eva", "include"),
            (0, "udo", "exclude"),
            (0, "eva", "exclude"),  # a changed mind
            (1, "eva", "exclude"),
            (2, "eva", "include"),
        ):
            add(connection, [decision(number, screener, choice)])
        found = verdicts(connection, corpus.config)
    assert found == {sha1_of(0): Verdict.EXCLUDED, sha1_of(1): Verdict.PENDING, sha1_of(3): Verdict.UNSCREENED}


def test_all_pictures_go_on_where_nobody_screened_and_only_the_included_where_somebody_did(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    with corpus.writing() as connection:
        add(connection, [image_row(number) for number in range(3)])
        assert len(select_images(connection, corpus.config).images) == 3
        add(connection, [decision(0, "eva", "include"), decision(1, "eva", "exclude")])
        chosen = select_images(connection, corpus.config)
        assert [one.image_sha1 for one in chosen.images] == [sha1_of(0)]
        assert (chosen.count(Verdict.PENDING), chosen.count(Verdict.UNSCREENED)) == (1, 1)
        assert len(select_images(connection, corpus.config, unscreened=True).images) == 3
        add(connection, [decision(1, "udo", "borderline")])
        assert len(select_images(connection, corpus.config, unscreened=True).images) == 2


def test_the_order_depends_on_seed_purpose_and_keys_alone() -> None:
    keys = [f"key {number}" for number in range(50)]
    order = shuffled(keys, seed=0, purpose="halves")
    assert sorted(order) == sorted(keys)
    assert shuffled(reversed(keys), seed=0, purpose="halves") == order
    assert shuffled(keys, seed=1, purpose="halves") != order
    assert shuffled(keys, seed=0, purpose="bulk 1") != order
    # By sha256sum of `0 halves a` and so on. Kept for good: another order would give other batches from the same seed.
    assert shuffled("abcde", seed=0, purpose="halves") == ["c", "a", "d", "b", "e"]


def test_sclics_pictures_become_800_and_763_in_eight_bulks(tmp_path: Path) -> None:
    """Oracle: SCLIC's section 3.1 and appendix 1.3, with the arithmetic of 12,504 = 1,563 x 8."""
    config = PROFILES["sclic"].config()
    images = images_of(planned_corpus(tmp_path / "corpus", config, range(1563), there=lambda *_: False))
    assert Counter(one.half for one in images) == {0: 800, 1: 763}
    assert Counter(one.bulk for one in images) == {bulk: 163 if bulk == 8 else 200 for bulk in range(1, 9)}
    assert {one.half for one in images if (one.bulk or 0) <= 4} == {0}
    assert len(allotted(config, images)) == 12504
    assert len(allotted(config, images, every=True)) == 18756
    by_half = {half: {one.codec for one in config.models_of(half)} for half in (0, 1)}
    assert by_half == {0: {"C1", "C3", "C5", "C6"}, 1: {"C2", "C3", "C4", "C6"}}


@pytest.mark.parametrize(
    ("images", "shares"), [(0, []), (1, [1]), (2, [1, 1]), (7, [4, 3]), (39, [20, 19]), (41, [20, 21])]
)
def test_few_pictures_are_halved_evenly(tmp_path: Path, images: int, shares: list[int]) -> None:
    corpus = planned_corpus(tmp_path / "corpus", TWO_HALVES, range(images), there=lambda *_: False)
    assert sorted(Counter(one.half for one in images_of(corpus)).items()) == list(enumerate(shares))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(images=st.integers(1, 5000), halves=st.integers(1, 5), size=st.integers(1, 300))
def test_halves_hold_all_pictures_and_are_even_to_within_a_bulk(images: int, halves: int, size: int) -> None:
    shares = selection._shares(images, halves, size)
    assert len(shares) == halves and sum(shares) == images and min(shares) >= 0
    assert max(shares) - min(shares) <= max(1, size * (halves - 1))
    if images >= 2 * halves * size:
        assert all(share % size == 0 for share in shares[:-1])


def test_halves_and_bulks_do_not_depend_on_the_order_of_adding_and_depend_on_the_seed(tmp_path: Path) -> None:
    def places(name: str, config: Config, numbers: list[int]) -> dict[str, tuple[int | None, int | None]]:
        corpus = planned_corpus(tmp_path / name, config, numbers, there=lambda *_: False)
        return {one.image_sha1: (one.half, one.bulk) for one in images_of(corpus)}

    first = places("first", TWO_HALVES, list(range(50)))
    assert places("back", TWO_HALVES, list(range(49, -1, -1))) == first
    assert places("seed", TWO_HALVES.model_copy(update={"seed": 1}), list(range(50))) != first


def test_pictures_that_come_later_get_new_bulks_and_move_no_others(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", TWO_HALVES, range(25), there=lambda *_: False)
    before = {one.image_sha1: (one.half, one.bulk) for one in images_of(corpus)}
    with corpus.writing() as connection:
        add(connection, [image_row(number) for number in range(25, 40)])
        allot(connection, corpus.config, fetch(connection, SourceImage))
    after = {one.image_sha1: (one.half, one.bulk) for one in images_of(corpus)}
    assert {sha1: after[sha1] for sha1 in before} == before
    new = [after[sha1][1] for sha1 in after if sha1 not in before]
    assert len(new) == 15 and min(bulk or 0 for bulk in new) > max(bulk or 0 for _, bulk in before.values())


def test_without_halves_every_picture_is_allotted_to_every_model(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", small_config(), range(5))
    images = images_of(corpus)
    assert {(one.half, one.bulk) for one in images} == {(None, 1)}
    assert len(allotted(corpus.config, images)) == 20
