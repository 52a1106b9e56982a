from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from miscomp import images
from miscomp.cli.train_commands import app
from miscomp.codecs.lucid import Lucid
from miscomp.errors import UsageError


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    images.write_png(folder / "a.png", np.random.default_rng(0).integers(0, 256, (70, 80, 3), dtype=np.uint8))
    (tmp_path / "settings.toml").write_text('crop = 64\nbatch_size = 1\nprecision = "no"\nsteps = 9\n')
    return folder


def test_a_run_writes_weights_and_settings_and_talks_on_stderr(photographs: Path, tmp_path: Path) -> None:
    out, settings, weights = tmp_path / "run", tmp_path / "settings.toml", tmp_path / "new" / "lucid.safetensors"
    options = ["--config", str(settings), "--steps", "1", "--seed", "4", "--weights-out", str(weights)]
    result = CliRunner().invoke(app, ["codec", str(photographs), "-o", str(out), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == f"{weights}\n"
    assert "step 1/1: loss" in result.stderr
    saved = json.loads((out / "config.json").read_text())
    assert (saved["steps"], saved["seed"], saved["crop"]) == (1, 4, 64)
    assert weights.read_bytes() == (out / "lucid.safetensors").read_bytes()
    same = CliRunner().invoke(
        app, ["codec", str(photographs), "-o", str(out), *options[:-1], str(out / "lucid.safetensors"), "--force"]
    )
    assert (same.exit_code, same.stdout) == (0, f"{out / 'lucid.safetensors'}\n")
    assert Lucid(weights).compress(np.zeros((3, 3, 3), np.uint8), 0.5)


def test_weights_that_exist_are_not_overwritten_without_force(photographs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_text("precious")
    arguments = ["codec", str(photographs), "-o", str(tmp_path / "run"), "--weights-out", str(weights)]
    with pytest.raises(UsageError, match="exists"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert weights.read_text() == "precious"
    assert not (tmp_path / "run").exists()


def test_a_file_is_no_run_folder(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("precious")
    with pytest.raises(UsageError, match="run is a file; a run needs a folder"):
        CliRunner().invoke(app, ["codec", str(photographs), "-o", str(tmp_path / "run")], catch_exceptions=False)
    assert (tmp_path / "run").read_text() == "precious"


def test_the_help_ends_with_an_example() -> None:
    result = CliRunner().invoke(app, ["codec", "--help"])
    assert "Example: miscomp train codec" in result.stdout


def test_the_command_is_known_without_importing_torch() -> None:
    code = "import sys; import miscomp.cli.train_commands; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
