"""Several processes, and a machine that has nothing but what training needs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import train_toy
from torch import Tensor
from toy_codec import ToyBatches, toy_codec

from miscomp.images import write_png
from miscomp.training.checkpoint import read_checkpoint
from miscomp.training.loop import train
from miscomp.training.runfolder import Surroundings

FAKES = Path(train_toy.__file__).parent


def launch(folder: Path) -> None:
    """Start two processes on the CPU, as a launcher does on GPUs."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(FAKES / "train_toy.py"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(FAKES), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr


class Doubled(ToyBatches):
    """The batches of both processes as one."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        (x, quality), (x_other, quality_other) = super().batch(2 * step), super().batch(2 * step + 1)
        return torch.cat([x, x_other]), torch.cat([quality, quality_other])


def test_two_processes_learn_as_one_with_twice_the_batch_and_only_one_writes(tmp_path: Path) -> None:
    launch(tmp_path / "two")
    main, other = (json.loads((tmp_path / f"{index}.json").read_text()) for index in (0, 1))
    assert (main["processes"], main["first"]["end"], other["first"]["end"]) == (2, *["stopped after step 4"] * 2)
    assert main["parameters"] == other["parameters"]
    assert main["second"]["told"][0].startswith("goes on after step 4")
    assert other["first"]["told"] == other["second"]["told"] == []
    # Oracle: one process that sees both batches at once; sums of floats come in another order.
    model = toy_codec()
    around = Surroundings(validate=train_toy.Judge())
    train(model, train_toy.QuietLoss(), Doubled(), train_toy.CONFIG, tmp_path / "one", around=around)
    for name, parameter in model.named_parameters():
        assert torch.allclose(torch.tensor(main["parameters"][name]), parameter, atol=1e-5), name
    average = read_checkpoint(tmp_path / "two" / "checkpoint.pt")
    for name, tensor in read_checkpoint(tmp_path / "one" / "checkpoint.pt").items():
        assert name == "calls" or torch.allclose(average[name], tensor, atol=1e-5), name
    for table in ("log.csv", "valid.csv"):
        for mine, other in zip(figures(tmp_path / "one" / table), figures(tmp_path / "two" / table), strict=True):
            assert mine == pytest.approx(other, rel=1e-3)


def figures(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if name != "seconds_per_step"} for row in rows]


BARE = """
import importlib.metadata, re, sys

def needed_by(*names):
    found, waiting = set(), list(names)
    while waiting:
        name = re.sub("[-_.]+", "-", re.match(r"[\\w.-]+", waiting.pop())[0]).lower()
        if name in found:
            continue
        found.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [need for need in needs if "extra ==" not in need]
    return found

allowed = needed_by("torch", "numpy", "pillow", "safetensors", "accelerate", "typer", "rich", "click")
owners = importlib.metadata.packages_distributions()

class Bare:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        having = {re.sub("[-_.]+", "-", owner).lower() for owner in owners.get(name.partition(".")[0], ["miscomp"])}
        return self.finder.find_spec(name, path, target) if having & (allowed | {"miscomp"}) else None

sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
for absent in ("constriction", "cv2", "scipy"):
    try:
        __import__(absent)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{absent} should be missing")
from miscomp.cli.app import main
main(sys.argv[1:])
"""


def test_training_needs_nothing_but_the_packages_of_a_bare_gpu_machine(tmp_path: Path) -> None:
    pixels: Any = np.random.default_rng(0).integers(0, 256, (70, 80, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    write_png(tmp_path / "pictures" / "a.png", pixels)
    (tmp_path / "settings.toml").write_text('crop = 64\nbatch_size = 1\nprecision = "no"\nsteps = 2\n')
    arguments = ["train", "codec", "pictures", "-o", "run", "--config", "settings.toml", "--valid", "pictures"]
    done = subprocess.run(
        [sys.executable, "-c", BARE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "step 2/2: loss" in done.stderr
    assert (tmp_path / "run" / "reconstructions" / "validation.png").is_file()
