from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from miscomp import images
from miscomp.cli.train_commands import Caught, app, showing_training
from miscomp.codecs.lucid import Lucid
from miscomp.errors import UsageError
from miscomp.training.crops import CropSource
from miscomp.training.runfolder import Progress
from miscomp.training.unet_jpeg import read_unet_jpeg


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
    saved = saved["settings"]
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


def test_validation_and_a_start_can_be_asked_for(photographs: Path, tmp_path: Path) -> None:
    common = ["--config", str(tmp_path / "settings.toml"), "--steps", "1"]
    first = tmp_path / "first"
    CliRunner().invoke(app, ["codec", str(photographs), "-o", str(first), *common], catch_exceptions=False)
    options = ["--valid", str(photographs), "--start-from", str(first / "lucid.safetensors")]
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["codec", str(photographs), "-o", str(out), *common, *options])
    assert result.exit_code == 0, result.output
    assert "validation after step 1: loss" in result.stderr
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert [settings["valid"], settings["start"]] == [options[1], options[3]]


def test_jpegsim_is_trained_like_the_others(photographs: Path, tmp_path: Path) -> None:
    settings = tmp_path / "narrow.toml"
    settings.write_text('crop = 64\nbatch_size = 1\nprecision = "no"\nwidth = 2\nresidual = true\n')
    options = ["--config", str(settings), "--steps", "1", "--valid", str(photographs)]
    out = tmp_path / "run"
    result = CliRunner().invoke(app, ["jpegsim", str(photographs), "-o", str(out), *options], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (0, f"{out / 'unet_jpeg.safetensors'}\n")
    assert "validation after step 1: loss" in result.stderr and "identity_psnr_db" in result.stderr
    network = read_unet_jpeg(out / "unet_jpeg.safetensors").network
    assert (network.width, network.residual) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_a_checkpoint_its_exit_code_and_how_to_go_on(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Interrupting(CropSource):
        def batch(self, step: int) -> tuple[Tensor, Tensor]:
            if step == 2 and not (tmp_path / "sent").exists():
                (tmp_path / "sent").touch()
                signal.raise_signal(number)
            return super().batch(step)

    monkeypatch.setattr("miscomp.training.codec.CropSource", Interrupting)
    monkeypatch.setattr("miscomp.training.codec.principal_components", components)
    before = signal.getsignal(number)
    arguments = ["codec", str(photographs), "-o", str(tmp_path / "run"), "--config", str(tmp_path / "settings.toml")]
    result = CliRunner().invoke(app, [*arguments, "--steps", "4"])
    assert result.exit_code == 128 + number
    assert "stopped after step 3; give the same command again to go on" in result.stderr
    assert signal.getsignal(number) is before
    result = CliRunner().invoke(app, [*arguments, "--steps", "4"], catch_exceptions=False)
    assert (result.exit_code, "goes on after step 3" in result.stderr) == (0, True)


def components(source: CropSource, count: int) -> tuple[Tensor, Tensor]:
    """Any orthonormal basis, without drawing batches."""
    return torch.eye(count, 768), torch.ones(count)


def test_a_bar_is_shown_on_a_terminal_and_file_names_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    with showing_training(Caught()) as around:
        assert around.progress is not None and not around.stop()
        around.talk("run [red]a[/red]\x1b[2J is used")
        around.progress(Progress(step=3, steps=9, figures={"loss": 1.5, "psnr_db": 30.25}, line=""))
    shown = capsys.readouterr().err
    assert "run [red]a[/red]" in shown and "\x1b[2J" not in shown
    assert "3/9" in shown and "loss 1.5, psnr_db 30.25" in shown


def test_the_help_ends_with_an_example() -> None:
    result = CliRunner().invoke(app, ["codec", "--help"])
    assert "Example: miscomp train codec" in result.stdout


def test_the_command_is_known_without_importing_torch() -> None:
    code = "import sys; import miscomp.cli.train_commands; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
