"""The Ray engine, in a real cluster of two nodes on this machine; the local engine is what it must equal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import counting_worker
import pytest

from miscomp.corpus.compress import ray_cluster, ray_engine
from miscomp.corpus.compress.engines import EngineOptions, open_engine
from miscomp.corpus.compress.local_engine import LocalEngine
from miscomp.corpus.compress.ray_engine import RayEngine, share_out
from miscomp.corpus.compress.tasks import Outcome, Setup, Task
from miscomp.errors import MissingExtra, UsageError
from miscomp.folders import package_version

FAKES = Path(counting_worker.__file__).parent
SETUP = Setup(specs=("good",), seed=7, max_megapixels=1.0, worker=counting_worker.WORKER)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each."""
    ray_cluster.import_ray(EngineOptions(address="auto"))
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), *sys.path]))
        # A cluster of an earlier run must not be asked for.
        patch.delenv("RAY_ADDRESS", raising=False)
        made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            made.add_node(num_cpus=1)
            yield made
        finally:
            made.shutdown()


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photograph.png"
    path.write_bytes(os.urandom(300_000))  # more than Ray sends within a message
    return path


def tasks_of(specs: Sequence[str], source: Path) -> list[Task]:
    return [Task(image_sha1=f"{n:040x}", model="01L", spec=spec, source=source) for n, spec in enumerate(specs)]


def run(engine: Any, tasks: Sequence[Task], folder: Path, setup: Setup = SETUP) -> list[Outcome]:
    """The outcomes in the order of the tasks, without the times."""
    folder.mkdir(exist_ok=True)
    found = {outcome.task.key: replace(outcome, seconds=0.0) for outcome in engine.run(setup, tasks, folder)}
    assert len(found) == len(tasks)
    return [found[task.key] for task in tasks]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def on(cluster: Any, **options: Any) -> RayEngine:
    port = cluster.address.rpartition(":")[2]
    return RayEngine(EngineOptions(address=f"127.0.0.1:{port}", **options))


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_workers_are_shared_out_in_turn_and_no_node_gets_more_than_it_has_room_for() -> None:
    assert share_out([4, 1, 2], None) == [4, 1, 2]
    assert share_out([4, 1, 2], 5) == [2, 1, 2]
    assert share_out([4, 1, 2], 100) == [4, 1, 2]
    assert share_out([4, 1], 0) == share_out([0, 0], 3) == [0, 0]
    assert share_out([], 3) == []


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="jobs must be 1 or more, got 0"):
        RayEngine(EngineOptions(jobs=0))
    with pytest.raises(UsageError, match="share of a GPU"):
        RayEngine(EngineOptions(gpus_per_worker=-1))


def test_without_ray_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"miscomp\[ray\]"):
        open_engine("ray", EngineOptions())


@pytest.mark.ray
def test_two_nodes_give_what_the_local_engine_gives_byte_by_byte(cluster: Any, photograph: Path) -> None:
    specs = ["good"] * 9 + ["bad", "broken"] + ["good"] * 3
    tasks = [*tasks_of(specs, photograph), replace(tasks_of(["good"], photograph)[0], model="02L", source=Path("none"))]
    by_ray, by_local = photograph.parent / "ray", photograph.parent / "local"
    outcomes = run(on(cluster), tasks, by_ray)
    assert outcomes == run(LocalEngine(EngineOptions(jobs=1)), tasks, by_local)
    assert content(by_ray) == content(by_local)
    assert len(list(by_ray.iterdir())) == 12
    reasons = [outcome.reason for outcome in outcomes]
    assert reasons[9] == "cannot be coded"
    assert reasons[10] == "ZeroDivisionError: a slip; this is a fault in miscomp, please report it"
    assert reasons[-1] == "the photograph cannot be read: No such file or directory; see: miscomp corpus verify"


@pytest.mark.ray
def test_both_nodes_work_and_closing_ends_their_processes(cluster: Any, photograph: Path) -> None:
    import ray

    told = photograph.parent / "told"
    told.mkdir()
    incoming = photograph.parent / "incoming"
    incoming.mkdir()
    outcomes = on(cluster).run(SETUP, tasks_of([f"tell:{told}"] * 200, photograph), incoming)
    while len(list(told.iterdir())) < 2:
        assert next(outcomes).reason == ""
    outcomes.close()
    nodes, processes = zip(*(path.name.split("-") for path in told.iterdir()), strict=True)
    assert len(set(nodes)) == 2
    assert not ray.is_initialized()
    deadline = time.monotonic() + 10
    while not all(gone(int(process)) for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(list(incoming.glob("01L-*"))) < 100


@pytest.mark.ray
def test_a_killed_worker_costs_the_task_it_was_at_and_is_replaced(cluster: Any, photograph: Path) -> None:
    kill = f"kill:{photograph.parent / 'killed'}"
    tasks = tasks_of(["good"] * 5 + [kill] + ["good"] * 5, photograph)
    outcomes = run(on(cluster, jobs=1), tasks, photograph.parent / "incoming")
    failed = [outcome for outcome in outcomes if outcome.reason]
    assert [outcome.task for outcome in failed] == [tasks[5]]
    assert "ended (killed, or out of memory)" in failed[0].reason
    again = run(LocalEngine(EngineOptions(jobs=1)), [tasks[5]], photograph.parent / "incoming")
    assert [outcome.reason for outcome in again] == [""]
    assert len(list((photograph.parent / "incoming").iterdir())) == 11


@pytest.mark.ray
def test_workers_that_cannot_start_are_not_tried_for_ever(
    cluster: Any, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "MAX_FAILED_STARTS", 1)
    tasks = tasks_of(["good"], photograph)
    with pytest.raises(UsageError, match=r"cannot start: weights\.pt: is not installed"):
        run(on(cluster, jobs=1), tasks, tmp_path / "one", replace(SETUP, specs=("unopenable",)))
    with pytest.raises(UsageError, match="end before they are ready"):
        run(on(cluster), tasks, tmp_path / "two", replace(SETUP, specs=("dying",)))


@pytest.mark.ray
def test_nodes_with_other_versions_are_refused_before_work_begins(
    cluster: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver's side alone: the nodes' processes are others.
    monkeypatch.setattr(
        ray_cluster, "package_version", lambda name: "9.9" if name == "torch" else package_version(name)
    )
    here = re.escape(f"has torch {package_version('torch')} (here 9.9): its results would differ")
    with pytest.raises(UsageError, match=here):
        run(on(cluster), tasks_of(["good"], photograph), photograph.parent / "incoming")
    assert content(photograph.parent / "incoming") == {}


@pytest.mark.ray
def test_a_cluster_without_gpus_cannot_give_any(cluster: Any, photograph: Path) -> None:
    with pytest.raises(UsageError, match="no node with a GPU"):
        run(on(cluster, gpus_per_worker=0.5), tasks_of(["good"], photograph), photograph.parent / "incoming")


@pytest.mark.ray
def test_a_cluster_that_fails_is_an_error_and_is_left(
    cluster: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    kind: Any = ray.exceptions.RaySystemError

    def fail(*_: Any) -> None:
        raise kind(ValueError("a scripted fault"))

    monkeypatch.setattr(ray_engine, "nodes_of", fail)
    with pytest.raises(UsageError, match=r"the Ray cluster failed: .*a scripted fault"):
        run(on(cluster), tasks_of(["good"], photograph), photograph.parent / "incoming")
    assert not ray.is_initialized()


@pytest.mark.ray
def test_a_node_that_is_lost_costs_one_task_and_one_that_joins_is_used(
    cluster: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "_LOOK_AROUND_S", 0.5)
    told = photograph.parent / "told"
    told.mkdir()
    incoming = photograph.parent / "incoming"
    incoming.mkdir()
    extra = cluster.add_node(num_cpus=1)
    tasks = tasks_of([f"tell:{told}"] * 300, photograph)
    outcomes = []

    def nodes() -> set[str]:
        return {path.name.split("-")[0] for path in told.glob("*-*")}

    for outcome in on(cluster).run(SETUP, tasks, incoming):
        outcomes.append(outcome)
        if extra is not None and len(nodes()) == 3:
            cluster.remove_node(extra, allow_graceful=False)
            extra = None
            cluster.add_node(num_cpus=1)
        elif len(nodes()) == 4:
            (told / "hurry").touch()
    assert len(nodes()) == 4
    assert sorted(outcome.task.key for outcome in outcomes) == sorted(task.key for task in tasks)
    failed = [outcome for outcome in outcomes if outcome.reason]
    assert len(failed) <= 1
    assert len(list(incoming.glob("01L-*"))) == 300 - len(failed)


@pytest.mark.ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_an_address_where_no_cluster_is_says_so(address: str, photograph: Path) -> None:
    with pytest.raises(UsageError, match=rf"the Ray cluster at {re.escape(address)} cannot be used: "):
        run(RayEngine(EngineOptions(address=address)), tasks_of(["good"], photograph), photograph.parent)


OWN = """
import sys
from pathlib import Path
from miscomp.corpus.compress.engines import EngineOptions, open_engine
from miscomp.corpus.compress.tasks import Setup, Task
import os, subprocess, counting_worker

OUTSIDER = "import ray, sys; ray.init(address=sys.argv[1])"
folder = Path(sys.argv[1])
setup = Setup(specs=("good",), seed=7, max_megapixels=1.0, worker=counting_worker.WORKER)
specs = ["good", f"kill:{folder / 'killed'}", "good", "good"]
tasks = [
    Task(image_sha1=f"{n:040x}", model="01L", spec=spec, source=folder / "photograph.png")
    for n, spec in enumerate(specs)
]
found = []
for outcome in open_engine("ray", EngineOptions(jobs=1)).run(setup, tasks, folder / "incoming"):
    if not found:
        import ray

        address = ray.get_runtime_context().gcs_address
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        plain["RAY_NUM_REDIS_GET_RETRIES"] = "1"
        done = subprocess.run(
            [sys.executable, "-c", OUTSIDER, address], env=plain, capture_output=True, text=True, timeout=60
        )
        print("outsider", done.returncode, "InvalidAuthToken" in done.stderr)
    found.append(bool(outcome.reason))
print("failed", sum(found), "of", len(found))
"""


@pytest.mark.ray
def test_a_cluster_of_its_own_lets_nobody_in_and_says_nothing_on_stdout(photograph: Path) -> None:
    (photograph.parent / "incoming").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAKES), *sys.path])}
    environment = {name: value for name, value in environment.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OWN, str(photograph.parent)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["outsider 1 True", "failed 1 of 4"]
    assert len(list((photograph.parent / "incoming").iterdir())) == 3
