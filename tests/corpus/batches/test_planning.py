from __future__ import annotations

import hmac
import itertools
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from corpora import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import decision, image_row, planned_corpus, reconstruction_row, sha1_of

from miscomp.corpus.batches.planning import (
    Draft,
    Made,
    Share,
    alias_of,
    assign,
    check_labelers,
    choose_agreement,
    cut,
    make_batches,
    name_of,
    share_out,
    shares,
)
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import Corpus, meta
from miscomp.corpus.entries import Assignment, Batch, BatchItem, FailedTask, SourceImage
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import IMAGE, add, fetch
from miscomp.errors import UsageError

PEOPLE = ("ann", "bob", "cem")


def config(**values: object) -> Config:
    batches = {"bulk_images": 10, "batch_size": 6, **values}
    return small_config(halves=[["C1"], ["C2"]], batches=batches)


def make(corpus: Corpus, *, people: tuple[str, ...] = PEOPLE, incomplete: bool = False) -> Made:
    with corpus.writing() as connection:
        made = make_batches(connection, corpus.config, incomplete=incomplete)
        assign(connection, corpus.config, people)
    return made


def items(corpus: Corpus) -> list[BatchItem]:
    with corpus.reading() as connection:
        return fetch(connection, BatchItem)


def contents(corpus: Corpus) -> set[tuple[tuple[str, str], ...]]:
    """The pairs of each batch in their order, without names."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in items(corpus):
        found[one.batch].append((one.image_sha1, one.model))
    return {tuple(pairs) for pairs in found.values()}


def owners(corpus: Corpus) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    with corpus.reading() as connection:
        for one in fetch(connection, Assignment):
            found[one.batch].add(one.labeler)
    return found


def shares_of(corpus: Corpus) -> list[Share]:
    with corpus.reading() as connection:
        return shares(connection)


def bulks(corpus: Corpus) -> dict[str, int]:
    with corpus.reading() as connection:
        return {one.batch: one.bulk for one in fetch(connection, Batch)}


def test_sclics_corpus_becomes_501_batches_in_eight_bulks_within_seconds(tmp_path: Path) -> None:
    """Oracle: the arithmetic of SCLIC's section 3.1: 200 x 8 = 64 x 25, and 163 x 8 = 1,304 = 52 x 25 + 4."""
    corpus = planned_corpus(tmp_path / "corpus", PROFILES["sclic"].config(), range(1563))
    begin = time.perf_counter()
    made = make(corpus)
    assert time.perf_counter() - begin < 20
    per_bulk = Counter(one.bulk for one in made.batches)
    assert per_bulk == {**{bulk: 64 for bulk in range(1, 8)}, 8: 53}
    assert len(made.batches) == 501
    assert Counter(one.size for one in made.batches) == {25: 500, 4: 1}
    assert (made.waiting, made.missing, made.failed, made.unbulked, made.undecided) == ((), 0, 0, 0, 0)
    found = items(corpus)
    assert len({(one.image_sha1, one.model) for one in found}) == len(found) == 12504
    assert len({one.alias for one in found}) == 12504
    given = shares_of(corpus)
    # Two agreement batches of 25 for each of the three, the other 12,454 pairs shared out.
    assert sum(one.pairs for one in given) == 12454 + 3 * 50
    assert max(one.pairs for one in given) - min(one.pairs for one in given) <= 25
    of_bulk = bulks(corpus)
    alone = Counter((of_bulk[batch], min(people)) for batch, people in owners(corpus).items() if len(people) == 1)
    assert len(alone) == 24  # everybody has some of every bulk
    assert all(20 <= number <= 22 for (bulk, _), number in alone.items() if bulk < 8)


def test_all_versions_of_a_picture_are_in_one_bulk_and_each_pair_is_in_one_batch(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(45))
    make(corpus)
    of_bulk = bulks(corpus)
    places: defaultdict[str, set[int]] = defaultdict(set)
    for one in items(corpus):
        places[one.image_sha1].add(of_bulk[one.batch])
    assert set(places) == {sha1_of(number) for number in range(45)}
    assert all(len(found) == 1 for found in places.values())
    pairs = Counter((one.image_sha1, one.model) for one in items(corpus))
    assert len(pairs) == 90 and set(pairs.values()) == {1}
    with corpus.reading() as connection:
        half = {one.image_sha1: one.half for one in fetch(connection, SourceImage)}
    assert {(half[one.image_sha1], one.model[:2]) for one in items(corpus)} == {(0, "01"), (1, "02")}


def test_positions_count_from_one_and_a_batch_says_its_size(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(45))
    made = make(corpus)
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for one in items(corpus):
        positions[one.batch].append(one.position)
    assert positions == {one.batch: list(range(1, one.size + 1)) for one in made.batches}


def test_the_same_seed_gives_the_same_batches_and_shares_and_another_seed_others(tmp_path: Path) -> None:
    def plan(name: str, seed: int, numbers: list[int]) -> set[tuple[tuple[tuple[str, str], ...], frozenset[str]]]:
        chosen = config().model_copy(update={"seed": seed})
        corpus = planned_corpus(tmp_path / name, chosen, numbers)
        make(corpus)
        people = owners(corpus)
        found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for one in items(corpus):
            found[one.batch].append((one.image_sha1, one.model))
        return {(tuple(pairs), frozenset(people[batch])) for batch, pairs in found.items()}

    numbers = list(range(45))
    first = plan("first", 0, numbers)
    assert plan("again", 0, numbers[::-1]) == first  # the order of adding does not matter, nor does the secret
    assert plan("other", 1, numbers).isdisjoint(first)


def test_names_follow_from_the_secret_and_tell_neither_bulk_nor_half(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(200))
    make(corpus)
    with corpus.reading() as connection:
        secret = meta(connection, "secret")
    for one in items(corpus):
        expected = hmac.new(secret.encode(), f"alias {one.image_sha1} {one.model}".encode(), "sha256").hexdigest()
        assert one.alias == expected[:40]
        assert one.alias != alias_of("another secret", one.image_sha1, one.model)
    of_bulk = bulks(corpus)
    assert all(re.fullmatch(r"b[1-9]\d{5}", name) for name in of_bulk)
    in_order = [of_bulk[name] for name in sorted(of_bulk)]
    # Sorted by bulk the names would have one change of bulk after another 19 times; by chance nearly always.
    assert sum(a != b for a, b in itertools.pairwise(in_order)) > len(in_order) / 2


def test_a_name_that_is_taken_is_not_given_again() -> None:
    first = name_of("secret", 1, 0, set())
    second = name_of("secret", 1, 0, {first})
    assert second != first and name_of("secret", 1, 0, set()) == first
    crowded = {f"b{number}" for number in range(100_000, 1_000_000)}
    assert len(name_of("secret", 1, 0, crowded)) == 8


def test_a_bulk_waits_until_all_its_pairs_are_there_and_with_incomplete_it_does_not(tmp_path: Path) -> None:
    missing = {sha1_of(3): "01H", sha1_of(8): "01H"}
    one_half = small_config(batches={"bulk_images": 10, "batch_size": 6, "agreement_batches": 0})

    def there(image: SourceImage, model: str) -> bool:
        return missing.get(image.image_sha1) != model

    corpus = planned_corpus(tmp_path / "corpus", one_half, range(20), there=there)
    with corpus.writing() as connection:
        add(connection, [FailedTask(image_sha1=sha1_of(3), model="01H", attempts=3, reason="no", time="")])
    made = make(corpus)
    with corpus.reading() as connection:
        place = {one.image_sha1: one.bulk for one in fetch(connection, SourceImage)}
    waiting = {place[sha1] for sha1 in missing}
    assert {one.bulk for one in made.waiting} == waiting
    assert {(one.there, one.allotted) for one in made.waiting} <= {(38, 40), (39, 40)}
    assert (made.missing, made.failed) == (2, 1)
    assert {one.bulk for one in made.batches} == {1, 2} - waiting
    before = contents(corpus)
    second = make(corpus, incomplete=True)
    assert second.waiting == () and second.missing == 2
    assert len(items(corpus)) == 78
    with corpus.writing() as connection:
        add(connection, [reconstruction_row(sha1, model) for sha1, model in missing.items()])
    third = make(corpus)
    assert sum(one.size for one in third.batches) == 2  # further batches of the same bulks
    assert {one.bulk for one in third.batches} == waiting
    assert before < contents(corpus) and len(items(corpus)) == 80


def test_one_pair_without_pixels_keeps_its_bulk_waiting(tmp_path: Path) -> None:
    one_bulk = small_config(batches={"agreement_batches": 0})
    corpus = planned_corpus(tmp_path / "corpus", one_bulk, range(5), there=lambda *_: False)
    with corpus.writing() as connection:
        for number in range(5):
            for model in ("01L", "01H", "02L", "02H"):
                file = "" if (number, model) == (2, "02L") else "reconstructions/x"  # as in a release of tables alone
                add(connection, [reconstruction_row(sha1_of(number), model, file=file)])
    made = make(corpus)
    assert [(one.there, one.allotted) for one in made.waiting] == [(19, 20)] and made.missing == 1
    make(corpus, incomplete=True)
    assert len(items(corpus)) == 19 and (sha1_of(2), "02L") not in {
        (one.image_sha1, one.model) for one in items(corpus)
    }


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(45))
    make(corpus)
    before = items(corpus), owners(corpus)
    assert make(corpus).batches == ()
    assert (items(corpus), owners(corpus)) == before


def test_pictures_that_were_removed_or_screened_out_are_left_out(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(12))
    with corpus.writing() as connection:
        connection.execute(
            IMAGE.update().where(IMAGE.c.image_sha1 == sha1_of(0)).values(removed="2026-01-01T00:00:00Z")
        )
        for number in range(1, 11):
            choice = "exclude" if number == 1 else "include"
            add(connection, [decision(number, "eva", choice), decision(number, "udo", choice)])
    made = make(corpus)
    assert {one.image_sha1 for one in items(corpus)} == {sha1_of(number) for number in range(2, 11)}
    assert made.undecided == 1
    with corpus.writing() as connection:
        later = make_batches(connection, corpus.config, unscreened=True)
    assert [one.size for one in later.batches] == [2] and later.undecided == 0


def test_compressed_pictures_that_no_bulk_has_are_put_into_one(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(4))
    with corpus.writing() as connection:
        add(connection, [image_row(50), image_row(51)])
        add(connection, [reconstruction_row(sha1_of(50), model) for model in ("01L", "01H", "02L", "02H")])
    made = make(corpus)
    assert made.unbulked == 1
    assert len([one for one in items(corpus) if one.image_sha1 == sha1_of(50)]) == 2
    assert not [one for one in items(corpus) if one.image_sha1 == sha1_of(51)]


def test_agreement_batches_are_given_to_everybody_and_the_others_to_one_each(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(45))
    made = make(corpus)
    given = owners(corpus)
    common = {one.batch for one in made.batches if one.kind == "agreement"}
    assert len(common) == 2 and all(given[batch] == set(PEOPLE) for batch in common)
    assert all(len(people) == 1 for batch, people in given.items() if batch not in common)
    assert set(given) == {one.batch for one in made.batches}
    assert {one.size for one in made.batches if one.batch in common} == {6}
    of_bulk = {one.batch: one.bulk for one in made.batches}
    with corpus.reading() as connection:
        half = {one.bulk: one.half for one in fetch(connection, SourceImage)}
    assert {half[of_bulk[batch]] for batch in common} == {0, 1}  # they speak for all codecs
    assert not [one for one in make(corpus).batches if one.kind == "agreement"]


def test_agreement_batches_are_full_where_there_are_full_ones_and_as_many_as_there_can_be() -> None:
    def draft(bulk: int, size: int) -> Draft:
        return Draft(bulk=bulk, half=None, pairs=tuple((sha1_of(bulk), f"{size}{place}") for place in range(size)))

    drafts = [draft(1, 3), draft(1, 6), draft(2, 2), draft(2, 6)]
    assert choose_agreement(drafts, 2, seed=0, size=6) == {1, 3}
    assert choose_agreement(drafts, 9, seed=0, size=6) == {0, 1, 2, 3}
    assert choose_agreement([], 2, seed=0, size=6) == set()
    alike = [draft(bulk, 6) for bulk in range(1, 20)]
    chosen = {frozenset(choose_agreement(alike, 2, seed=seed, size=6)) for seed in range(20)}
    assert len(chosen) > 10


def test_a_labeler_who_joins_gets_what_is_free_and_nobody_loses_anything(tmp_path: Path) -> None:
    one_half = small_config(batches={"bulk_images": 10, "batch_size": 4, "agreement_batches": 1})
    corpus = planned_corpus(tmp_path / "corpus", one_half, range(20), there=lambda image, _: image.bulk == 1)
    make(corpus, people=("ann", "bob"))
    before = owners(corpus)
    with corpus.writing() as connection:
        later = [one for one in fetch(connection, SourceImage) if one.bulk == 2]
        models = ("01L", "01H", "02L", "02H")
        add(connection, [reconstruction_row(one.image_sha1, model) for one in later for model in models])
    make(corpus, people=("ann", "bob", "cem"))
    after = owners(corpus)
    assert all(before[batch] <= after[batch] for batch in before)
    assert {batch for batch in before if after[batch] != before[batch]} == {
        batch for batch, people in before.items() if len(people) > 1
    }  # the agreement batch
    pairs = {one.labeler: one.pairs for one in shares_of(corpus)}
    # 80 pairs: 19 batches of 4 beside the agreement batch; ann and bob shared 9 of them before.
    assert max(pairs.values()) - min(pairs.values()) <= 4
    assert sum(pairs.values()) == 76 + 3 * 4


def test_without_labelers_batches_are_made_and_wait_for_some(tmp_path: Path) -> None:
    corpus = planned_corpus(tmp_path / "corpus", config(), range(20))
    assert make(corpus, people=()).batches
    assert shares_of(corpus) == []
    make(corpus, people=("ann",))
    assert [(one.labeler, one.pairs) for one in shares_of(corpus)] == [("ann", 40)]


@settings(max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 25), max_size=60),
    people=st.integers(1, 6),
    bulk_count=st.integers(1, 5),
)
def test_shares_differ_by_at_most_one_batch(sizes: list[int], people: int, bulk_count: int) -> None:
    batches = [
        Batch(batch=f"b{number}", bulk=number * bulk_count // max(len(sizes), 1) + 1, kind="normal", size=size)
        for number, size in enumerate(sizes)
    ]
    labelers = [f"person{number}" for number in range(people)]
    given_out = share_out(batches, labelers, load={})
    assert [batch for batch, _ in given_out] == [one.batch for one in batches]
    pairs = Counter({labeler: 0 for labeler in labelers})
    for one, (_, labeler) in zip(batches, given_out, strict=True):
        pairs[labeler] += one.size
    assert max(pairs.values()) - min(pairs.values()) <= max(sizes, default=0)


def test_shares_are_spread_over_bulks() -> None:
    batches = [Batch(batch=f"b{bulk}{n}", bulk=bulk, kind="normal", size=25) for bulk in (1, 2, 3) for n in range(64)]
    of_bulk = {one.batch: one.bulk for one in batches}
    counts = Counter((of_bulk[batch], labeler) for batch, labeler in share_out(batches, PEOPLE, load={}))
    assert len(counts) == 9 and set(counts.values()) <= {21, 22}


@given(st.integers(0, 60), st.integers(1, 25), st.integers(0, 5))
def test_a_bulk_is_cut_into_full_batches_and_a_rest(pairs: int, size: int, seed: int) -> None:
    known = [(sha1_of(number), "01L") for number in range(pairs)]
    found = cut(3, known, seed=seed, size=size)
    assert sorted(pair for one in found for pair in one) == sorted(known)
    assert [len(one) for one in found[:-1]] == [size] * (len(found) - 1)
    assert cut(3, known[::-1], seed=seed, size=size) == found


@pytest.mark.parametrize("names", [["ann", "ann"], ["ann", "Ann"], [""], ["../up"], ["a/b"], ["ann\n"], ["ä"], [".x"]])
def test_labelers_names_can_be_folders_and_are_told_apart(names: list[str]) -> None:
    with pytest.raises(UsageError, match="labeler"):
        check_labelers(names)
    assert check_labelers(["ann", "labeler-1"]) == ("ann", "labeler-1")
