"""The notebooks of the documents run from top to bottom.

In a process of their own, because a kernel is talked to by sockets, which tests may not open. Oracles: the commands'
own exit codes, counts that follow from how many pictures, models and boxes there are.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import miscomp

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))

CLOSED = """
import socket as _socket
def _refuse(self, address, _connect=_socket.socket.connect):
    if self.family != _socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"a notebook reached for the network: {address}")
    return _connect(self, address)
_socket.socket.connect = _refuse
import warnings as _warnings
_warnings.simplefilter("error")
_warnings.filterwarnings("ignore", module="ipykernel")  # the kernel's own, as it shuts down
"""
"""What runs before the first cell."""

EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.insert(0, nbformat.v4.new_code_cell(sys.stdin.read()))
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def execute(notebook: Path, folder: Path) -> list[str]:
    """Run a notebook in a folder and return what its cells printed. A failed cell's error is an `AssertionError`."""
    home = {name: str(folder / "home") for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    home["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MISCOMP_")}
    environment |= home | {"PYTHONPATH": str(Path(miscomp.__file__).parents[1]), "JUPYTER_PLATFORM_DIRS": "1"}
    made = folder / "made.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(notebook), str(made)],
        input=CLOSED, cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    cells = json.loads(made.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    return ["".join(output["text"]) for output in outputs if output["output_type"] == "stream"]


def test_there_are_notebooks_and_they_are_small_and_hold_no_outputs() -> None:
    assert [path.name for path in NOTEBOOKS] == ["agreement.ipynb", "corpus.ipynb"]
    for path in NOTEBOOKS:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert path.stat().st_size < 100_000
        assert not [cell for cell in content["cells"] if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_the_corpus_notebook_runs(tmp_path: Path) -> None:
    printed = "\n".join(execute(NOTEBOOKS[1], tmp_path))
    assert "12 reconstructions, 24 boxes by ['example-code']" in printed
    assert "annotated: 6 crops" in printed and "that reach into them 0" in printed
    assert (tmp_path / "corpus-walk" / "sample" / "contact_sheet.png").is_file()


@pytest.mark.slow
def test_the_agreement_notebook_runs_and_finds_what_theory_says(tmp_path: Path) -> None:
    printed = "\n".join(execute(NOTEBOOKS[0], tmp_path))
    assert "majority: 2 of 4 boxes count, 2 in no tile" in printed
    assert "largest: 4 of 4 boxes count, 0 in no tile" in printed
    assert "the four make up all tiles: True" in printed
    known = re.findall(r"wrong: alpha [\d.]+ \[([\d.]+), ([\d.]+)\], in theory ([\d.]+)", printed)
    assert len(known) == 6 and all(float(low) <= float(theory) <= float(high) for low, high, theory in known)
    assert "nobody draws anything: c-total 1.0 and alpha None" in printed
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings; warnings.warn('old')", "UserWarning"),
        ("import urllib.request as r; r.urlopen('http://192.0.2.1')", "a notebook reached for the network"),
    ],
)
def test_a_cell_that_fails_or_warns_or_leaves_the_machine_fails(code: str, error: str, tmp_path: Path) -> None:
    fields: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }
    notebook = {"cells": [fields], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = tmp_path / "bad.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    with pytest.raises(AssertionError, match=error):
        execute(path, tmp_path)
