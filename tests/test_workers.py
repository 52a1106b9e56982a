"""Processes for tasks: what they tell, what becomes of a dead one, and that none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import miscomp
from miscomp.workers import cores, memory, run_in_processes

SERVER = """
import os, signal, time
from contextlib import contextmanager

@contextmanager
def serve(setup):
    def work(task):
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "leave":
            os._exit(3)
        if task == "sleep":
            open(setup, "w").write(str(os.getpid()))
            time.sleep(60)
        return [task * 2, setup] if task != "tell" else iter([1, 2, 3])
    yield work
"""

PARENT = """
import sys
from collections import deque
from served import serve
from miscomp.workers import run_in_processes
if __name__ == "__main__":
    list(run_in_processes(serve, sys.argv[1], deque(["sleep"]), 1))
"""


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    (tmp_path / "served.py").write_text(SERVER)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("served", None)
    import served  # type: ignore[import-not-found]

    found: Callable[..., object] = served.serve
    return found


def test_every_task_is_told_of_and_a_dead_process_is_replaced(serve: Callable[..., object]) -> None:
    waiting = deque(["a", "die", "tell", "leave", "b"])
    told: list[tuple[str, object, str]] = []
    with closing(run_in_processes(serve, "s", waiting, 1)) as messages:  # type: ignore[arg-type]
        for message in messages:
            told.append((message.task, message.value, message.died))
            if message.task == "leave":
                waiting.append("again")
    assert [(task, value) for task, value, died in told if not died] == [
        ("a", "aa"), ("a", "s"), ("tell", 1), ("tell", 2), ("tell", 3), ("b", "bb"), ("b", "s"),
        ("again", "againagain"), ("again", "s"),
    ]  # fmt: skip
    reasons = {task: died for task, _, died in told if died}
    assert set(reasons) == {"die", "leave"}
    assert "SIGKILL" in reasons["die"] and "exit code 3" in reasons["leave"]


def test_nothing_to_do_starts_nothing(serve: Callable[..., object]) -> None:
    assert list(run_in_processes(serve, None, deque[str](), 4)) == []  # type: ignore[arg-type]


def test_a_process_in_the_middle_of_a_task_ends_when_its_parent_is_killed(
    tmp_path: Path, serve: Callable[..., object]
) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    path = os.pathsep.join([str(Path(miscomp.__file__).parents[1]), str(tmp_path)])
    note = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(note)], env={**os.environ, "PYTHONPATH": path}
    )
    with _ended(parent):
        worker = _read_pid(note)
        assert _is_alive(worker)
        parent.kill()
        parent.wait()
        for _ in range(100):
            if not _is_alive(worker):
                return
            time.sleep(0.05)
        os.kill(worker, signal.SIGKILL)
        raise AssertionError("the process goes on")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _read_pid(note: Path) -> int:
    for _ in range(400):
        if note.exists() and note.read_text():
            return int(note.read_text())
        time.sleep(0.05)
    raise AssertionError("the process does not begin")


def _is_alive(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked for is not alive."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"


def test_the_machine_tells_what_it_has() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    assert memory() == 0 or memory() > 2**26
