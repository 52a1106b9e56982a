from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import postgres
import pytest
from corpora import BOXES, TIME, label, small_config, small_corpus
from hypothesis import given
from hypothesis import strategies as st
from planned import decision, image_row, planned_corpus, reconstruction_row, sha1_of

from miscomp.corpus import manifest as manifests
from miscomp.corpus.batches.planning import assign, make_batches, shares
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import MANIFEST, Corpus, create_corpus, meta
from miscomp.corpus.entries import Environment, FailedTask, LabelEvent, MultiFlag, Reconstruction, Rejected, SourceImage
from miscomp.corpus.inventory import spread
from miscomp.corpus.labels import current_labels, multi_pairs
from miscomp.corpus.manifest import manifest_of, read_manifest, summary, write_manifest
from miscomp.corpus.manifest_form import Manifest
from miscomp.corpus.profiles import PROFILES
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, add, count, fetch
from miscomp.corpus.selection import Verdict, allotted, verdicts
from miscomp.errors import InputError

PASSWORD = "hunter2hunter2"


def busy_corpus(folder: Path) -> Corpus:
    """Everything that is counted, in several kinds: two halves, screened, batched, labelled, failed, removed."""
    config = small_config(halves=[["C1"], ["C2"]], batches={"bulk_images": 4, "batch_size": 3, "labelers": ["ann"]})
    corpus = planned_corpus(folder, config, range(14), there=lambda image, model: image.image_sha1 != sha1_of(5))
    with corpus.writing() as connection:
        add(connection, [image_row(90, source="other", licence="CC-BY-4.0", split="train")])
        for number in range(14):
            choice = "exclude" if number == 3 else "include"
            add(connection, [decision(number, "eva", choice), decision(number, "udo", choice)])
        add(connection, [decision(90, "eva", "borderline")])
        rejected = {"source": "made", "reason": "why", "time": TIME}
        for number, kind in enumerate(("small", "small", "corrupt")):
            add(connection, [Rejected(origin_sha256="", name=f"{number}", kind=kind, **rejected)])
        removed = {"removed": "2026-01-01T00:00:00Z", "removed_reason": "asked for", "name": ""}
        connection.execute(IMAGE.update().where(IMAGE.c.image_sha1 == sha1_of(7)).values(removed))
        add(connection, [Environment(environment="0" * 16, content='{"python": "3.11", "nan": NaN}')])
        add(connection, [Environment(environment="1" * 16, content="[" * 100_000)])
        for model, reason in (("01L", "no memory"), ("01H", "no memory")):
            add(connection, [FailedTask(image_sha1=sha1_of(5), model=model, attempts=3, reason=reason, time=TIME)])
        make_batches(connection, config, incomplete=True)
        assign(connection, config, ("ann", "bob"))
        first = label(sha1_of(0), "01L", BOXES[0], "ann", multi=True)
        drawn = [first, label(sha1_of(0), "01L", BOXES[1], "ann"), label(sha1_of(1), "02L", BOXES[0], "bob")]
        changed = label(
            sha1_of(0), "01L", BOXES[0], "ann", uuid="1" * 32, action="change", replaces=first.uuid, multi=True
        )
        gone = label(sha1_of(1), "02L", BOXES[0], "bob", uuid="2" * 32, action="delete", replaces=drawn[2].uuid)
        found = label(sha1_of(2), "01L", BOXES[0], "fused", origin="detector")
        add(connection, [*drawn, changed, gone, found])
        for number, multi in enumerate((True, False)):  # a changed mind
            flag = MultiFlag(
                uuid=f"{number}", image_sha1=sha1_of(4), model="01L", labeler="bob", multi=multi, time=TIME
            )
            add(connection, [flag])
        add(connection, [MultiFlag(uuid="9", image_sha1=sha1_of(6), model="01L", labeler="bob", multi=True, time=TIME)])
    return corpus


def made(corpus: Corpus) -> Manifest:
    with corpus.reading() as connection:
        return manifest_of(connection, corpus)


def test_every_count_can_be_taken_from_the_database_again(tmp_path: Path) -> None:
    """Oracle: the records themselves, counted one by one in Python."""
    corpus = busy_corpus(tmp_path / "corpus")
    found = made(corpus)
    with corpus.reading() as connection:
        images = fetch(connection, SourceImage)
        rows = fetch(connection, Reconstruction)
        labels = current_labels(connection)
        verdict = verdicts(connection, corpus.config)
        multi = multi_pairs(connection, labels)
        given_out = shares(connection)
    here = [one for one in images if one.bulk and verdict.get(one.image_sha1, Verdict.EXCLUDED) != Verdict.EXCLUDED]
    assert {(one.source, one.licence, one.split): one.added for one in found.sources} == Counter(
        (one.source, one.licence, one.split) for one in images
    )
    assert {name: number for name, number in found.screening.verdicts.model_dump().items() if number} == {
        "included": 12,
        "excluded": 1,
        "pending": 1,
    }
    assert (found.screening.screeners, found.screening.decisions) == (2, 29)
    assert [(one.source, one.kind, one.files) for one in found.rejected] == [
        ("made", "corrupt", 1),
        ("made", "small", 2),
    ]
    assert {one.model: one.done for one in found.models} == Counter(one.model for one in rows)
    assert {one.model: one.allotted for one in found.models} == Counter(
        model.model for _, model in allotted(corpus.config, here)
    )
    assert {one.model: one.failed for one in found.models} == {"01L": 1, "01H": 1, "02L": 0, "02H": 0}
    assert sum(one.removed for one in found.models) == sum(one.image_sha1 == sha1_of(7) for one in rows) == 2
    assert {one.half: (one.pictures, one.bulks) for one in found.halves} == {
        half: (len(group), len({one.bulk for one in group}))
        for half in (0, 1)
        for group in [[one for one in here if one.half == half]]
    }
    assert {one.bulk: one.pictures for one in found.bulks} == Counter(one.bulk for one in here)
    assert sum(one.pairs for one in found.bulks) == found.batches.pairs
    assert found.batches.pairs == 22 and found.batches.agreement == 2 and found.batches.unassigned == 0
    assert [(one.labeler, one.batches, one.pairs, one.agreement_batches) for one in found.labelers] == [
        (one.labeler, one.batches, one.pairs, one.agreement_batches) for one in given_out
    ]
    assert {(one.labeler, one.origin): one.boxes for one in found.annotations} == Counter(
        (one.labeler, one.origin) for one in labels
    )
    assert {(one.labeler, one.origin): one.pairs for one in found.annotations} == {
        key: len({(one.image_sha1, one.model) for one in labels if (one.labeler, one.origin) == key})
        for key in {(one.labeler, one.origin) for one in labels}
    }
    assert found.multi_pairs == len(multi) == 2
    assert [one.model_dump() for one in found.removed] == [
        {"image_sha1": sha1_of(7), "removed": "2026-01-01T00:00:00Z", "reason": "asked for"}
    ]
    assert [one.model_dump() for one in found.failures] == [{"reason": "no memory", "tasks": 2}]
    assert [(one.reconstructions, one.content) for one in found.environments] == [
        (len(rows), {"python": "3.11", "nan": "NaN"}),
        (0, "[" * 100_000),
    ]


def test_views_are_counted_by_pair_and_not_by_batch(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    assert {one.labeler: one.seen for one in made(corpus).labelers} == {"ann": 12, "bob": 12}


@given(st.lists(st.floats(0.01, 5), min_size=2, max_size=60))
def test_a_spread_is_what_numpy_says(values: list[float]) -> None:
    """Oracle: NumPy's mean, standard deviation with n - 1, and linearly interpolated percentiles."""
    found = spread([*values, None])
    assert found is not None and found.n == len(values)
    expected = [np.mean(values), np.std(values, ddof=1), *np.percentile(values, (25, 50, 75))]
    assert [found.mean, found.std, found.q25, found.median, found.q75] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_spread_of_one_value_has_no_deviation_and_of_none_there_is_none() -> None:
    one = spread([0.25])
    assert one is not None and one.std is None and (one.mean, one.q25, one.median, one.q75) == (0.25,) * 4
    assert spread([None, float("nan"), float("inf")]) is None


def test_the_same_database_gives_the_same_bytes_and_they_read_back(tmp_path: Path) -> None:
    corpus = busy_corpus(tmp_path / "corpus")
    write_manifest(corpus)
    first = (corpus.folder / MANIFEST).read_bytes()
    write_manifest(corpus)
    assert (corpus.folder / MANIFEST).read_bytes() == first
    assert read_manifest(corpus.folder / MANIFEST) == made(corpus)
    assert not list(corpus.folder.glob("*.partial"))


def test_the_secret_and_the_password_are_never_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISCOMP_CORPUS_DATABASE", f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    settings: dict[str, object] = {"database": {"url": f"postgresql+psycopg://user:{PASSWORD}@host/name"}}
    corpus = small_corpus(tmp_path / "corpus", images=1, labels=False, **settings)
    write_manifest(corpus)
    text = (corpus.folder / MANIFEST).read_text()
    with corpus.reading() as connection:
        assert meta(connection, "secret") not in text
        assert meta(connection, "corpus") in text
    assert PASSWORD not in text and "elsewhere" not in text and str(tmp_path) not in text


def test_the_title_is_the_folders_name_until_the_settings_give_one(tmp_path: Path) -> None:
    assert made(create_corpus(tmp_path / "street", small_config())).about.title == "street"
    about = {"title": "Streets", "creators": ["A. Person"]}
    assert made(create_corpus(tmp_path / "other", small_config(about=about))).about.title == "Streets"


def test_models_of_before_that_the_settings_no_longer_have_are_still_counted(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", images=1, labels=False)
    with corpus.writing() as connection:
        add(connection, [reconstruction_row(fetch(connection, SourceImage)[0].image_sha1, "99X", bpp=None)])
    counts = {one.model: (one.done, one.bpp is None, one.versions) for one in made(corpus).models}
    assert list(counts) == ["01L", "01H", "02L", "02H", "99X"]
    assert counts["99X"] == (1, True, ("made 1",))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"multi_pairs": "many"}, "multi_pairs: .*found 'many'"),
        ({"miscomp_manifest": 2}, "has form 2, this release knows up to 1; update miscomp"),
        ({"miscomp_manifest": None}, "no manifest"),
        ({"miscomp_manifest": 0}, "miscomp_manifest: "),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_with_the_key(tmp_path: Path, change: dict[str, object], said: str) -> None:
    corpus = create_corpus(tmp_path / "corpus", Config())
    write_manifest(corpus)
    path = corpus.folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=said):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / MANIFEST
    path.write_bytes(content)
    with pytest.raises(InputError, match="manifest"):
        read_manifest(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "none.json")


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 10)
    (tmp_path / MANIFEST).write_text("{}" + " " * 20)
    with pytest.raises(InputError, match="at most 10"):
        read_manifest(tmp_path / MANIFEST)


def test_the_summary_counts_what_the_manifest_counts(tmp_path: Path) -> None:
    corpus = busy_corpus(tmp_path / "corpus")
    found = made(corpus)
    with corpus.reading() as connection:
        said = summary(connection, corpus.config)
        assert said["reconstructions"] == count(connection, Reconstruction) == 26
        assert said["label events"] == count(connection, LabelEvent) == 6
        assert said["failed tasks"] == count(connection, FailedTask) == 2
        assert said["rejected files"] == count(connection, Rejected) == 3
    assert said["images"] == 14 and said["removed at a person's request"] == 1
    assert said["screening"] == {"included": 12, "excluded": 1, "pending": 1}
    assert said["batches"] == found.batches.batches and said["pairs in batches"] == 22
    assert said["boxes"] == {"ann (simulated)": 2, "fused (detector)": 1}
    assert json.dumps(said)


def test_sclics_table_of_bit_rates_has_a_row_for_every_model_and_is_made_in_a_blink(tmp_path: Path) -> None:
    """Oracle: NumPy over the rows of each model; SCLIC's appendix, Table 3, has these columns."""
    corpus = planned_corpus(tmp_path / "corpus", PROFILES["sclic"].config(), range(1563))
    begin = time.perf_counter()
    write_manifest(corpus)
    assert time.perf_counter() - begin < 10  # 0.15 s where nothing else runs
    found = read_manifest(corpus.folder / MANIFEST)
    assert sum(one.done for one in found.models) == 12504
    with corpus.reading() as connection:
        for one in found.models:
            rates = [row.bpp for row in fetch(connection, Reconstruction, RECONSTRUCTION.c.model == one.model)]
            known = [rate for rate in rates if rate is not None]
            assert one.bpp is not None and one.bpp.n == one.allotted == len(known)
            assert one.bpp.mean == pytest.approx(np.mean(known))
            assert one.bpp.median == pytest.approx(np.median(known))


@pytest.mark.postgres
def test_a_server_counts_as_sqlite_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the same corpus in SQLite; batches and shares follow from the seed in both."""
    pytest.importorskip("psycopg")
    expected = made(busy_corpus(tmp_path / "corpus")).model_dump(exclude={"corpus"})
    with postgres.needed() as server:
        monkeypatch.setenv("MISCOMP_CORPUS_DATABASE", server.database("counted"))
        corpus = busy_corpus(tmp_path / "server" / "corpus")
        found = made(corpus).model_dump(exclude={"corpus"})
        assert corpus.engine.dialect.name == "postgresql"
        corpus.engine.dispose()
    assert found == expected
