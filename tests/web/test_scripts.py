"""The pages' scripts: their own unit tests under Node, and a strict lint of all of them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import miscomp.web

ROOT = Path(__file__).parents[2]
STATIC = Path(str(miscomp.web.__file__)).parent / "static"
SCRIPTS = Path(__file__).parent / "scripts"


def find_node() -> str | None:
    """Node of this machine, else the one that Playwright's wheel brings for itself."""
    found = shutil.which("node")
    playwright = importlib.util.find_spec("playwright")
    if found or playwright is None or playwright.origin is None:
        return found
    driver = Path(playwright.origin).parent / "driver"
    return next((str(path) for path in (driver / "node", driver / "node.exe") if path.is_file()), None)


def find_oxlint() -> str | None:
    """oxlint beside this Python, as a virtual environment need not be on the path, else on the path."""
    return shutil.which("oxlint", path=str(Path(sys.executable).parent)) or shutil.which("oxlint")


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env=environment)


NODE, OXLINT = find_node(), find_oxlint()
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed, nor Playwright's; the scripts are not run")
needs_oxlint = pytest.mark.skipif(OXLINT is None, reason="oxlint is not installed; the scripts are not linted")


@needs_node
@pytest.mark.parametrize(
    "path", sorted(SCRIPTS.glob("*.test.mjs")), ids=lambda path: path.name.removesuffix(".test.mjs")
)
def test_the_scripts_own_tests_pass(path: Path) -> None:
    done = run([str(NODE), "--test", "--test-reporter=tap", str(path)])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout, "no test ran"


@needs_oxlint
def test_the_scripts_have_no_lint() -> None:
    done = run([str(OXLINT), "-c", ".oxlintrc.json", "--deny-warnings", str(STATIC), str(SCRIPTS)])
    assert done.returncode == 0, done.stdout


@needs_oxlint
def test_the_lint_sees_a_fault(tmp_path: Path) -> None:
    (tmp_path / "faulty.js").write_text("export const f = (a) => { var b = a == 1; return missing(eval('2')); };\n")
    done = run([str(OXLINT), "-c", ".oxlintrc.json", str(tmp_path)])
    assert done.returncode != 0
    assert all(rule in done.stdout for rule in ("no-undef", "no-eval", "eqeqeq", "no-unused-vars", "no-var")), (
        done.stdout
    )


def test_no_script_or_style_comes_from_elsewhere_or_breaks_the_content_policy() -> None:
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        for word in ("https://", "import('http", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
            assert word not in text, f"{path.name} has {word}"
