"""The driver of `miscomp corpus compress`, with a worker that follows a script; the undisturbed run is the oracle."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import corpus_worker
import pytest
from corpora import MODELS, add_picture, picture, small_config
from corpus_worker import attempts

from miscomp.corpus.compress.attempts import attempt, open_worker
from miscomp.corpus.compress.engines import EngineOptions
from miscomp.corpus.compress.incoming import RESULT, SET_ASIDE, place
from miscomp.corpus.compress.local_engine import LocalEngine
from miscomp.corpus.compress.plan import CompressOptions
from miscomp.corpus.compress.run import CompressReport, Progress, compress_corpus, plan_only
from miscomp.corpus.compress.tasks import Outcome, Setup, Task
from miscomp.corpus.config import Config, write_toml
from miscomp.corpus.corpus import INCOMING, Corpus, create_corpus, open_corpus
from miscomp.corpus.entries import (
    Choice,
    Decision,
    Environment,
    FailedTask,
    ModelEntry,
    Reconstruction,
    SourceImage,
    new_uuid,
    now,
)
from miscomp.corpus.schema import IMAGE, add, fetch
from miscomp.errors import InputError, UnknownName, UsageError

FAKES = Path(__file__).parents[2] / "fakes"


class InThisProcess:
    """An engine without processes."""

    def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
        worker = open_worker(setup)
        for task in tasks:
            yield attempt(worker, task, incoming)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "script"
    folder.mkdir()
    monkeypatch.setenv(corpus_worker.VARIABLE, str(folder))
    monkeypatch.syspath_prepend(str(FAKES))  # also searched by processes started from here
    return folder


def write_script(folder: Path, script: dict[str, list[str]]) -> None:
    (folder / "script.json").write_text(json.dumps(script))


def corpus_of(folder: Path, *, images: int = 2, **settings: Any) -> Corpus:
    corpus = create_corpus(folder, small_config(**settings))
    for number in range(images):
        add_picture(corpus, picture(number, width=48, height=48), name=f"{number}.png")
    return corpus


def options(**values: Any) -> CompressOptions:
    return CompressOptions(worker=corpus_worker.NAME, **values)


def run(corpus: Corpus, engine: Any = None, **values: Any) -> CompressReport:
    return compress_corpus(corpus, engine or InThisProcess(), options(**values))


def _without_times(row: Reconstruction) -> dict[str, Any]:
    return asdict(replace(row, encode_s=None, decode_s=None, made=""))


def tables(corpus: Corpus) -> dict[str, list[dict[str, Any]]]:
    """Every table that a run writes, without its times."""
    with corpus.reading() as connection:
        return {
            "reconstructions": [_without_times(one) for one in fetch(connection, Reconstruction)],
            "models": [asdict(one) for one in fetch(connection, ModelEntry)],
            "environments": [asdict(one) for one in fetch(connection, Environment)],
            "images": [asdict(replace(one, added="")) for one in fetch(connection, SourceImage)],
            "failed": [asdict(replace(one, time="")) for one in fetch(connection, FailedTask)],
        }


def files(corpus: Corpus) -> dict[str, str]:
    """SHA-256 of every result and of whatever lies in `incoming/`."""
    return {
        path.relative_to(corpus.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for top in ("streams", "reconstructions", INCOMING)
        for path in sorted((corpus.folder / top).rglob("*"))
        if path.is_file()
    }


def keys(corpus: Corpus) -> list[str]:
    with corpus.reading() as connection:
        return [f"{model.model}-{one.image_sha1}" for one in fetch(connection, SourceImage) for model in MODELS]


def test_every_allotted_pair_is_made_once_and_a_second_run_has_nothing_to_do(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", images=3)
    report = run(corpus)
    assert (report.complete, report.done, len(report.plan.tasks)) == (True, 12, 12)
    with corpus.reading() as connection:
        rows = fetch(connection, Reconstruction)
        (environment,) = fetch(connection, Environment)
    assert sorted(f"{one.model}-{one.image_sha1}" for one in rows) == sorted(keys(corpus))
    for one in rows:
        stream, png = corpus.file(one.stream_file).read_bytes(), corpus.file(one.file).read_bytes()
        assert one.stream_sha256 == hashlib.sha256(stream).hexdigest() and one.stream_bytes == len(stream)
        assert one.sha256 == hashlib.sha256(png).hexdigest()
        assert one.bpp == 8 * len(stream) / (48 * 48)
        assert one.environment == environment.environment
    assert {one.psnr for one in rows} & {float("inf")}
    assert list((corpus.folder / INCOMING).iterdir()) == []
    again = run(corpus)
    assert (again.complete, again.done, again.plan.there) == (True, 0, 12)
    assert len(attempts(script)) == 12


def test_halves_decide_who_is_compressed_by_what_unless_all_is_asked_for(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", images=4, halves=[["C1"], ["C2"]])
    assert plan_only(corpus, options()).models == {"01L": 2, "01H": 2, "02L": 2, "02H": 2}
    assert run(corpus).done == 8
    with corpus.reading() as connection:
        half = {one.image_sha1: one.half for one in fetch(connection, SourceImage)}
        made = {(half[one.image_sha1], one.model[:2]) for one in fetch(connection, Reconstruction)}
    assert made == {(0, "01"), (1, "02")}
    every = run(corpus, every=True)
    assert (every.done, every.plan.there) == (8, 8)


def test_a_dry_run_changes_nothing(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", halves=[["C1"], ["C2"]])
    before = tables(corpus)
    plan = plan_only(corpus, options())
    assert len(plan.tasks) == 4 and [one.model for one in plan.stand_ins] == ["02L"]
    assert tables(corpus) == before and before["images"][0]["half"] is None
    assert not (corpus.folder / INCOMING).exists() and attempts(script) == []


def test_models_and_a_limit_narrow_the_work(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    with pytest.raises(UnknownName, match="02L"):
        run(corpus, models=("02X",))
    assert run(corpus, models=("02L", "01H"), limit=3).done == 3
    assert {one.split("-")[0] for one in attempts(script)} == {"02L", "01H"}


def test_pictures_that_wait_for_a_screener_are_left_out_and_counted(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", images=3)
    with corpus.reading() as connection:
        first = fetch(connection, SourceImage)[0].image_sha1
    decision = Decision(
        uuid=new_uuid(), image_sha1=first, screener="a", choice=Choice.INCLUDE.value, note="", time=now()
    )
    with corpus.writing() as connection:
        add(connection, [decision])
    report = run(corpus)
    assert (report.done, report.plan.pending) == (4, 2)
    assert run(corpus, unscreened=True).done == 8


def test_a_task_that_fails_twice_then_works_is_done_and_one_that_does_not_is_listed(
    tmp_path: Path, script: Path
) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    flaky, hopeless, *_ = keys(corpus)
    write_script(script, {flaky: ["fail", "fault"], hopeless: ["fail"] * 3})
    told: list[Progress] = []
    report = compress_corpus(corpus, InThisProcess(), options(), progress=told.append)
    assert (report.done, [f"{one.model}-{one.image_sha1}" for one in report.failed]) == (7, [hopeless])
    assert report.failed[0].attempts == 3 and "this attempt is to fail" in report.failed[0].reason
    assert [one.outcome for one in told if one.task.key == flaky] == ["again", "again", "done"]
    assert [one.outcome for one in told if one.task.key == hopeless] == ["again", "again", "failed"]
    assert told[-1].done == told[-1].total == 8
    with corpus.reading() as connection:
        assert fetch(connection, FailedTask) == list(report.failed)
    later = run(corpus)
    assert later.complete and later.done == 1 and tables(corpus)["failed"] == []


def test_a_worker_that_dies_costs_its_task_an_attempt_and_is_replaced(tmp_path: Path, script: Path) -> None:
    """Against the same work in this process, undisturbed: order, engine and accidents do not matter."""
    calm, rough = corpus_of(tmp_path / "calm"), corpus_of(tmp_path / "rough")
    assert run(calm).complete
    (script / "log.txt").unlink()
    first, second, *_ = keys(rough)
    write_script(script, {first: ["die"], second: ["die", "die", "die"]})
    report = run(rough, LocalEngine(EngineOptions(jobs=2)))
    assert (report.done, len(report.failed)) == (7, 1)
    assert "SIGKILL" in report.failed[0].reason and f"{report.failed[0].model}-{report.failed[0].image_sha1}" == second
    assert attempts(script).count(first) == 2
    assert run(rough).done == 1
    assert (tables(rough), files(rough)) == (tables(calm), files(calm))


def test_workers_that_cannot_be_started_end_the_run_instead_of_failing_every_task(
    tmp_path: Path, script: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = corpus_of(tmp_path / "corpus", models=[MODELS[0].model_dump()], images=6)
    with pytest.raises(UsageError, match="no worker can be started: its process ended with exit code 1"):
        compress_corpus(corpus, LocalEngine(EngineOptions(jobs=3)), CompressOptions(worker="corpus_worker:Unable"))
    assert "no memory for the weights" in capfd.readouterr().err
    assert run(corpus).complete


def test_too_small_a_disk_is_said_before_and_a_full_one_stops_the_work_with_nothing_lost(
    tmp_path: Path, script: Path
) -> None:
    corpus = corpus_of(tmp_path / "corpus", compress={"min_free_gib": 1})
    with pytest.raises(InputError, match=r"the disk is too small: about 0\.00 GiB needed, 1\.00 GiB free, 1\.00 GiB"):
        run(corpus, free_bytes=lambda folder: 2**30)
    assert attempts(script) == []
    rooms = iter([2**31, 2**31, 2**29])
    from miscomp.corpus.compress import run as compress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "_TAKE_AT_MOST", 1)
        stopped = run(corpus, free_bytes=lambda folder: next(rooms))
    assert "nearly full" in stopped.stopped and stopped.done == 2 and not stopped.complete
    assert len(files(corpus)) == 4
    assert run(corpus).done == 6 and sorted(attempts(script)) == sorted(keys(corpus))


def test_a_disk_that_is_full_while_a_result_is_written_is_no_fault_of_the_task(tmp_path: Path, script: Path) -> None:
    class Full(InThisProcess):
        def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
            yield from super().run(setup, tasks[:1], incoming)
            yield Outcome(task=tasks[1], reason="No space left on device", full=True)
            raise AssertionError("went on")

    corpus = corpus_of(tmp_path / "corpus")
    report = run(corpus, Full())
    assert (report.done, report.failed) == (1, ()) and "No space left" in report.stopped


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done(
    tmp_path: Path, script: Path, signal_number: int, request: pytest.FixtureRequest
) -> None:
    # A process that was started in the background may have been told to ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    corpus = corpus_of(tmp_path / "corpus")

    class Interrupted(InThisProcess):
        def run(self, setup: Setup, tasks: Sequence[Task], incoming: Path) -> Generator[Outcome]:
            for number, outcome in enumerate(super().run(setup, tasks, incoming)):
                if number == 2:
                    os.kill(os.getpid(), signal_number)
                yield outcome

    at_first = signal.getsignal(signal.SIGTERM)
    report = run(corpus, Interrupted())
    assert report.stopped == "it was interrupted" and report.done == 3
    assert signal.getsignal(signal.SIGTERM) == at_first
    assert run(corpus).done == 5 and len(attempts(script)) == 8


def test_what_was_whole_is_taken_in_and_what_does_not_fit_is_set_aside(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    (task, damaged, cut, foreign, removed, *_) = plan_only(corpus, options()).tasks
    assert run(corpus, models=("02H",), limit=1).done == 1  # so that the models are in the database
    with corpus.writing() as connection:
        from miscomp.corpus.compress.availability import find_available, resolved_specs
        from miscomp.corpus.schema import put

        put(connection, find_available(corpus.config.models, resolved_specs(corpus.config)).entries)
    incoming = corpus.folder / INCOMING
    for one in (task, damaged, cut, removed):
        place(incoming, one, corpus_worker.coded(one, one.source.read_bytes()))
    other = replace(foreign, image_sha1="0" * 40)
    place(incoming, other, corpus_worker.coded(other, foreign.source.read_bytes()))
    (incoming / damaged.key / RESULT).write_text('{"miscomp_result": 1')
    (incoming / cut.key / "reconstruction.png").write_bytes(b"cut")
    (incoming / ".unfinished-x").mkdir()
    (incoming / ".unfinished-x" / "stream").write_bytes(b"half")
    (incoming / "stray.txt").write_text("mine")
    (incoming / f"01L-{'1' * 40}").mkdir()
    (incoming / f"09X-{removed.image_sha1}").mkdir()
    (incoming / f"09X-{removed.image_sha1}" / "reconstruction.png").write_bytes(b"a face")
    lying = replace(other, image_sha1=cut.image_sha1, model=other.model)
    place(incoming, lying, corpus_worker.coded(lying, cut.source.read_bytes()))
    stated = json.loads((incoming / lying.key / RESULT).read_text())
    (incoming / lying.key / RESULT).write_text(json.dumps({**stated, "stream_bytes": 1}))
    assert task.image_sha1 == damaged.image_sha1 == cut.image_sha1 != removed.image_sha1
    with corpus.writing() as connection:
        connection.execute(IMAGE.update().where(IMAGE.c.image_sha1 == removed.image_sha1).values(removed="today"))
    before = len(attempts(script))
    report = run(corpus)
    assert report.recovered == 1 and not report.complete
    assert task.key not in attempts(script)[before:] and {damaged.key, cut.key} <= set(attempts(script)[before:])
    why = " ".join(report.set_aside)
    assert len(report.set_aside) == 5 and "no such picture" in why and "reconstruction.png is damaged" in why
    assert "has not the 1 bytes that it states" in why
    assert {one.name for one in (incoming / SET_ASIDE).iterdir()} == {
        *(one.key for one in (damaged, cut, other, lying)),
        "stray.txt",
    }
    assert [one.name for one in incoming.iterdir()] == [SET_ASIDE]
    assert not [name for name in files(corpus) if removed.image_sha1 in name and removed.model in name]
    assert run(corpus).complete


def test_a_kill_between_any_two_steps_of_taking_in_loses_nothing(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call that changes the disk or the database is the last one once; the undisturbed run is the oracle."""
    from miscomp.corpus.compress import results

    models = [one.model_dump() for one in MODELS[:2]]
    calm = corpus_of(tmp_path / "calm", images=1, models=models)
    assert run(calm).complete

    class Killed(BaseException):
        pass

    left = 0

    def counting(module: Any, name: str) -> None:
        plain = getattr(module, name)

        def call(*arguments: Any, **values: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return plain(*arguments, **values)

        monkeypatch.setattr(module, name, call)

    counting(os, "replace")
    counting(results, "add")
    counting(results, "_remove")
    counting(Path, "unlink")
    counting(Path, "rmdir")
    steps = 0
    for step in range(1, 100):
        left = 10**9
        corpus = corpus_of(tmp_path / f"corpus{step}", images=1, models=models)
        begun = len(attempts(script))
        left = step
        try:
            run(corpus)
        except Killed:
            steps += 1
        else:
            break
        finally:
            left = 10**9
        assert run(corpus).complete
        assert (tables(corpus), files(corpus)) == (tables(calm), files(calm))
        assert len(attempts(script)) - begun == 2
    assert steps > 10


def test_one_name_means_one_thing(tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    run(corpus, limit=2)
    models = [replace_spec(one.model_dump(), "jpeg@q10", "jpeg@q11") for one in MODELS]
    changed = Config.model_validate({**corpus.config.model_dump(), "models": models})
    (corpus.folder / "corpus.toml").write_text(write_toml(changed))
    with pytest.raises(
        UsageError, match=r"01L is jpeg@q11 in corpus\.toml, and its results here were made by jpeg@q10"
    ):
        run(open_corpus(corpus.folder))
    with corpus.writing() as connection:
        from miscomp.corpus.schema import MODEL

        connection.execute(MODEL.update().where(MODEL.c.model == "02L").values(weights_sha256="ab" * 32))
        connection.execute(MODEL.update().where(MODEL.c.model == "02H").values(version="Pillow 1"))
    with pytest.raises(UsageError, match="02L has the weights none now, and was abab"):
        run(corpus)
    report = run(corpus, models=("02H",))
    assert report.complete and "its first results were made by Pillow 1" in report.plan.warnings[0]


def replace_spec(model: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {**model, "spec": new} if model["spec"] == old else model


def test_models_that_cannot_be_run_are_left_out_or_stop_the_work_before_it_begins(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISCOMP_WEIGHTS", str(tmp_path / "none"))
    absent = {"model": "03L", "codec": "C3", "spec": "jpeg-ai@0.25bpp"}
    corpus = corpus_of(tmp_path / "corpus", models=[*(one.model_dump() for one in MODELS), absent])
    with pytest.raises(UsageError, match=r"03L .*MISCOMP_JPEG_AI"):
        run(corpus, strict=True)
    assert attempts(script) == [] and tables(corpus)["images"][0]["bulk"] is None
    report = run(corpus)
    assert (report.done, report.plan.left_out, report.complete) == (8, 2, False)
    assert [one.model for one in report.plan.missing] == ["03L"]


def test_only_one_driver_at_a_time(tmp_path: Path, script: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus")
    with corpus.owned(), pytest.raises(UsageError, match="another command"):
        run(corpus)


@pytest.mark.postgres
def test_a_database_on_a_server_holds_the_same(tmp_path: Path, script: Path) -> None:
    from postgres import needed

    here = corpus_of(tmp_path / "here", halves=[["C1"], ["C2"]])
    assert run(here).complete
    with needed() as running:
        there = corpus_of(tmp_path / "there", halves=[["C1"], ["C2"]], database={"url": running.database("compress")})
        first = run(there, limit=2)
        assert (first.done, run(there).done) == (2, 2)
        assert (tables(there), files(there)) == (tables(here), files(here))
        there.engine.dispose()
