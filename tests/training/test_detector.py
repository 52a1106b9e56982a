"""Training the detector. Oracles: losses computed by hand, scikit-learn's average precision, files of the run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import lawn, with_disc
from sklearn.metrics import average_precision_score
from tiny_network import TINY, tiny_network

from miscomp.detect.learned_weights import read_network
from miscomp.detect.network import Answers, DetectorNetwork
from miscomp.errors import UsageError, WeightsError
from miscomp.images import write_png
from miscomp.plant.catalog import KINDS
from miscomp.training.config import DetectorConfig
from miscomp.training.detector import TreeLoss, average_precision, export_network, train_detector
from miscomp.training.plant_targets import CHANNELS
from miscomp.training.plants import CODINGS
from miscomp.training.runfolder import Surroundings

LEFT_OUT = ",".join(name for name in KINDS.names if name not in ("contour", "recoloured", "texture"))
CODECS_LEFT_OUT = ",".join(name for name in CODINGS if name not in ("jpeg", "webp"))
CONFIG = DetectorConfig(
    steps=2, batch_size=1, crop=128, precision="no", leave_out_kinds=LEFT_OUT, leave_out_codecs=CODECS_LEFT_OUT
)


class Fixed(torch.nn.Module):
    """Answers given beforehand."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, x: torch.Tensor, x_hat: torch.Tensor) -> Answers:
        return self.answers


def loss_of(logit: float, **channels: float) -> dict[str, float]:
    one = torch.full((1, 1, 2, 2), logit)
    sure = torch.full_like(one, 30.0)
    answers = Answers(sure, one, -sure, -sure, one, torch.zeros(1, 3, 2, 2))
    maps = {name: 0.0 for name in CHANNELS} | {"category": -1.0} | channels
    wanted = torch.stack([torch.full((2, 2), maps[name]) for name in CHANNELS])[None]
    _, figures = TreeLoss()(Fixed(answers), torch.rand(1, 6, 8, 8), wanted, torch.Generator())
    return figures


def test_the_scores_loss_is_the_cross_entropy_of_what_was_wanted() -> None:
    p = 1 / (1 + math.exp(-0.7))
    assert loss_of(0.7, wanted=1, weight=2)["score_loss"] == pytest.approx(-math.log(p), rel=1e-3)
    assert loss_of(0.7, wanted=0, weight=1)["score_loss"] == pytest.approx(-math.log(1 - p), rel=1e-3)


def test_cells_without_weight_do_not_count() -> None:
    figures = loss_of(0.7, wanted=1, weight=0)
    assert set(figures.values()) == {0.0}


def test_categories_are_taught_where_there_is_one() -> None:
    assert loss_of(0.7, wanted=1, weight=1, category=2)["category_loss"] == pytest.approx(math.log(3), rel=1e-5)


def test_average_precision_agrees_with_an_oracle() -> None:
    rng = np.random.default_rng(0)
    scores, wanted = rng.normal(size=300), rng.random(300) < 0.2
    ours = average_precision(torch.from_numpy(scores), torch.from_numpy(wanted).float())
    assert ours == pytest.approx(average_precision_score(wanted, scores), abs=1e-9)


def test_a_run_writes_weights_that_the_detector_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(2):
        write_png(photos / f"{seed}.png", with_disc(lawn(150, 160, seed=seed), (80, 70), 36))
    monkeypatch.setattr("miscomp.training.detector.DetectorNetwork", lambda: DetectorNetwork(TINY))
    monkeypatch.setattr("miscomp.training.detector._VALIDATION_BATCHES", 1)
    told: list[str] = []
    config = DetectorConfig(**{**CONFIG.__dict__, "valid": str(photos), "validate_every": 1})
    weights = train_detector(photos, tmp_path / "run", config, around=Surroundings(talk=told.append))
    loaded = read_network(weights)
    assert loaded.network.config == TINY
    assert loaded.sha256 in told[-1]
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["training_data"]["pictures"] == 2 and saved["settings"]["leave_out_codecs"] == CODECS_LEFT_OUT
    assert "cell_average_precision" in (tmp_path / "run" / "valid.csv").read_text()


def test_names_to_leave_out_must_exist(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", lawn(150, 150))
    for name, value in (("leave_out_kinds", "goblins"), ("leave_out_codecs", "jpg")):
        config = DetectorConfig(**{**CONFIG.__dict__, name: value})
        with pytest.raises(UsageError, match=f"there is no '{value}' to leave out; known: "):
            train_detector(tmp_path, tmp_path / "run", config)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"model": tiny_network().state_dict()}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="does not hold the detector's network"):
        export_network(tmp_path / "c.pt", tmp_path / "out")
