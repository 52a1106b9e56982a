"""Imports point one way and do nothing; the checkers themselves are tried on trees with planted faults."""

from __future__ import annotations

import ast
import graphlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import miscomp

SOURCE = Path(miscomp.__file__).parent

ROOMS: tuple[tuple[str, ...], ...] = (
    ("__init__",),
    ("errors",),
    ("taxonomy",),
    ("records",),
    ("registry",),
    ("folders",),
    ("tables",),
    ("workers",),
    ("colour", "formats", "images", "jxl", "tensors"),
    ("metrics",),
    ("codecs",),
    ("pairs", "pairset"),
    ("detect",),
    ("describe",),
    ("plant",),
    ("training",),
    ("report",),
    ("disclose",),
    ("audit",),
    ("evaluate",),
    ("benchmark",),
    ("secure",),
    ("corpus",),
    ("stats",),
    ("annotate",),
    ("web",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
"""A module or folder of a row imports from its own row and from those above."""

ORDER = {name: place for place, row in enumerate(ROOMS) for name in row}

TARGET = re.compile(r"miscomp(\.\w+)+(?=:\w+$)")
"""A registry's `module:attribute`."""


def module_of(file: Path, root: Path) -> str:
    """`codecs.catalog` for `root/codecs/catalog.py`, `codecs` for its `__init__`."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Line and module (`codecs.catalog`) of every import, or a `!` and what is wrong with its form."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "miscomp":
                    yield node.lineno, f"!write 'from {alias.name} import name' instead of 'import {alias.name}'"
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "!a relative import; write it from miscomp on"
        elif isinstance(node, ast.ImportFrom) and node.module == "miscomp":
            names = ", ".join(alias.name for alias in node.names)
            yield node.lineno, f"!write 'from miscomp.{names} import name' instead of 'from miscomp import {names}'"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("miscomp."):
            module = str(node.module).removeprefix("miscomp.")
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield node.lineno, inner if inner in modules else module


def targets_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and module of each `module:attribute` that a registry imports on first use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := TARGET.match(node.value)):
            yield node.lineno, found[0].removeprefix("miscomp.")


def faults(root: Path) -> list[str]:
    """Everything wrong with the imports of the package in `root`."""
    found = []
    files = {module_of(file, root): file for file in sorted(root.rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        where, room = file.relative_to(root), module.split(".")[0]
        if room not in ORDER:
            found.append(f"{where}: {room!r} is a new room; place it in ROOMS of {Path(__file__).name}")
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = list(imports_of(tree, set(files)))
        for line, other in [*imports, *targets_of(tree)]:
            if other.startswith("!"):
                found.append(f"{where}:{line}: {other[1:]}")
            elif ORDER.get(other.split(".")[0], -1) > ORDER[room]:
                found.append(f"{where}:{line}: {room} must not import {other}, which comes later")
        graph[module] = {other for _, other in imports if other in files}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append(f"modules import each other in a circle: {' -> '.join(error.args[1])}")
    return found


def test_imports_point_one_way_and_have_one_form() -> None:
    assert faults(SOURCE) == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "records.py",
            "def late():\n    from miscomp.codecs.base import Codec\n",
            "records must not import codecs.base",
        ),
        ("records.py", "ROW = 'miscomp.detect.text:read'\n", "records must not import detect.text"),
        ("detect/text.py", "from miscomp.report.run import Run\n", "detect must not import report.run"),
        ("codecs/base.py", "from . import container\n", "relative"),
        ("codecs/base.py", "from miscomp import images\n", "from miscomp.images import name"),
        ("codecs/base.py", "import miscomp.images\n", "from miscomp.images import name"),
        ("parlour.py", "", "place it in ROOMS"),
        ("records.py", "from miscomp.records import Box\n", "circle"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    for file, good in {"__init__.py": "", "errors.py": "", "images.py": "from miscomp.errors import E\n"}.items():
        (tmp_path / file).write_text(good, encoding="utf-8")
    assert faults(tmp_path) == []
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    (fault,) = faults(tmp_path)
    assert complaint in fault and name.removesuffix(".py") in fault.replace("circle: ", "")


IMPORT_ALL = """
import importlib, json, logging, random, socket, sys, warnings
import cv2, numpy, torch
from PIL import Image

reached = []
socket.socket.connect = lambda self, address: reached.append(str(address))
socket.getaddrinfo = lambda *arguments, **options: reached.append(str(arguments)) or []

def state():
    root = logging.getLogger()
    return {
        "torch threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch seed": torch.initial_seed(),
        "torch settings": (str(torch.get_default_dtype()), torch.is_grad_enabled(), torch.backends.cudnn.benchmark,
                           torch.are_deterministic_algorithms_enabled()),
        "cv2 threads": cv2.getNumThreads(),
        "random": hash(random.getstate()),
        "numpy random": hash(numpy.random.get_state()[1].tobytes()),
        "root logger": (root.level, [type(handler).__name__ for handler in root.handlers]),
        "pixel limit": Image.MAX_IMAGE_PIXELS,
        "network": len(reached),
    }

changes, before = {}, state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = state()
    if changed := [key for key in before if before[key] != after[key]]:
        changes[name] = changed
    before = after
json.dump(changes, sys.stdout)
"""

PLANTED = {
    "torch threads": "import torch\ntorch.set_num_threads(torch.get_num_threads() + 1)",
    "torch seed": "import torch\ntorch.manual_seed(7)",
    "numpy random": "import numpy\nnumpy.random.seed(7)",
    "random": "import random\nrandom.seed(7)",
    "root logger": "import logging\nlogging.basicConfig()",
    "network": "import socket\nwith socket.socket() as s:\n    s.connect(('192.0.2.1', 80))",
}


def test_importing_does_nothing(tmp_path: Path) -> None:
    """One process imports every module, then modules with one planted side effect each."""
    planted = {f"planted_{number}": kind for number, kind in enumerate(PLANTED)}
    for name, kind in planted.items():
        (tmp_path / f"{name}.py").write_text(PLANTED[kind], encoding="utf-8")
    names = [f"miscomp.{module_of(file, SOURCE)}" for file in sorted(SOURCE.rglob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names, *planted],
        capture_output=True,
        check=False,
        text=True,
        env={"PYTHONPATH": f"{SOURCE.parent}:{tmp_path}", "PATH": "", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [kind] for name, kind in planted.items()}
