from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn
from toy_codec import ToyBatches, ToyCodec, ToyLoss, toy_codec

from miscomp.errors import UsageError, WeightsError
from miscomp.training.checkpoint import CHECKPOINT, read_checkpoint
from miscomp.training.config import TrainConfig
from miscomp.training.loop import Stopped, train
from miscomp.training.losses import RateDistortion
from miscomp.training.runfolder import BEST, Progress, Surroundings
from miscomp.training.schedule import learning_rate_factor

CONFIG = TrainConfig(steps=20, learning_rate=3e-3, warmup=2, precision="no", save_every=5, log_every=5)
SHORT = replace(CONFIG, steps=8, save_every=4, log_every=3, validate_every=2)


def rows(folder: Path, name: str = "log.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def same_tensors(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(tensor, two[name]) for name, tensor in one.items())


class Killed(Exception):
    pass


class KilledAt(ToyBatches):
    """Batches until a step at which the run is cut off."""

    def __init__(self, step: int) -> None:
        self.step = step

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        if step == self.step:
            raise Killed
        return super().batch(step)


class Judge:
    """A validation that draws from torch's own generator and remembers what it was shown."""

    def __init__(self, losses: list[float] | None = None, identity: str = "one") -> None:
        self.identity = identity
        self.losses = losses
        self.seen: list[tuple[int, bool, bool]] = []

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        torch.rand(step)
        self.seen.append((step, model.training, torch.is_grad_enabled()))
        x, quality = ToyBatches().batch(1000)
        value, figures = ToyLoss()(model, x, quality, Generator().manual_seed(3))
        loss = float(value) if self.losses is None else self.losses[len(self.seen) - 1]
        return [{"quality": 0.0, "loss": loss + 1, **figures}, {"quality": 1.0, "loss": loss - 1, **figures}]


def test_twenty_steps_lower_the_loss_and_write_the_run_folder(tmp_path: Path) -> None:
    lines: list[str] = []
    train(toy_codec(), ToyLoss(), ToyBatches(), CONFIG, tmp_path, around=Surroundings(talk=lines.append))
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert losses[-1] < 0.9 * losses[0]
    assert [row["step"] for row in rows(tmp_path)] == ["5", "10", "15", "20"]
    assert len(lines) == 4
    assert "step 20/20: loss" in lines[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, "config.json", "curves.png", "log.csv"]


def test_the_settings_are_saved_with_versions_and_what_the_caller_knows(tmp_path: Path) -> None:
    around = Surroundings(about={"training_data": {"pictures": 3}})
    train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path, around=around)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert TrainConfig(**{**saved["settings"], "drops": tuple(saved["settings"]["drops"])}) == SHORT
    assert saved["training_data"] == {"pictures": 3}
    assert saved["versions"]["torch"] == torch.__version__
    # Oracle: 768 weights each way for 12 latents, their biases, and 12 scales.
    assert saved["parameters"] == 2 * 768 * 12 + 12 + 3 + 12


@pytest.mark.parametrize("ema", [0.9, 0.0])
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_run_that_was_cut_off_and_resumed_equals_one_that_was_not(tmp_path: Path, how: str, ema: float) -> None:
    config = replace(SHORT, ema=ema)
    whole = train(toy_codec(), ToyLoss(), ToyBatches(), config, tmp_path / "a", around=Surroundings(validate=Judge()))
    cut = tmp_path / "b"
    if how == "killed":
        with pytest.raises(Killed):
            train(toy_codec(), ToyLoss(), KilledAt(7), config, cut, around=Surroundings(validate=Judge()))
    else:
        answers = iter([False, False, False, False, True])
        around = Surroundings(stop=lambda: next(answers), validate=Judge())
        with pytest.raises(Stopped, match="after step 5"):
            train(toy_codec(), ToyLoss(), ToyBatches(), config, cut, around=around)
    torch.manual_seed(99)  # what else goes on in the process does not matter
    resumed = train(toy_codec(), ToyLoss(), ToyBatches(), config, cut, around=Surroundings(validate=Judge()))
    assert same_tensors(whole.state_dict(), resumed.state_dict())
    for name in (CHECKPOINT, BEST):
        assert same_tensors(read_checkpoint(tmp_path / "a" / name), read_checkpoint(cut / name))
    assert rows(tmp_path / "a", "valid.csv") == rows(cut, "valid.csv")
    one, two = rows(tmp_path / "a"), rows(cut)
    for row in (*one, *two):
        del row["seconds_per_step"]
    assert one == two


def test_validation_does_not_change_what_is_learned(tmp_path: Path) -> None:
    plain = train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path / "plain")
    judge, state = Judge(), torch.random.get_rng_state()
    judged = train(
        toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path / "judged", around=Surroundings(validate=judge)
    )
    assert same_tensors(plain.state_dict(), judged.state_dict())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert judge.seen == [(step, False, False) for step in (2, 4, 6, 8)]
    assert float(judged.state_dict()["calls"]) == 8
    plain = train(toy_codec(), ToyLoss(), ToyBatches(), replace(SHORT, ema=0.0), tmp_path / "last")
    around = Surroundings(validate=Judge())
    judged = train(toy_codec(), ToyLoss(), ToyBatches(), replace(SHORT, ema=0.0), tmp_path / "too", around=around)
    assert same_tensors(plain.state_dict(), judged.state_dict())


def test_the_best_network_by_mean_loss_is_kept_beside_the_last(tmp_path: Path) -> None:
    lines: list[str] = []
    around = Surroundings(talk=lines.append, validate=Judge([3.0, 1.0, 2.0, 2.0]))
    steady = replace(SHORT, decay=0.0)
    train(toy_codec(), ToyLoss(), ToyBatches(), steady, tmp_path, around=around)
    best = torch.load(tmp_path / BEST, weights_only=True)
    assert (best["step"], best["valid_loss"]) == (4, 1.0)
    assert [line.endswith("the best so far") for line in lines if "validation" in line] == [True, True, False, False]
    assert [(row["step"], row["quality"], row["loss"]) for row in rows(tmp_path, "valid.csv")[:2]] == [
        ("2", "0", "4"),
        ("2", "1", "2"),
    ]
    # A longer run goes on comparing with the best; pictures that are others begin anew.
    longer = Surroundings(validate=Judge([1.5]))
    train(toy_codec(), ToyLoss(), ToyBatches(), replace(steady, steps=10), tmp_path, around=longer)
    assert torch.load(tmp_path / BEST, weights_only=True)["step"] == 4
    other = Surroundings(validate=Judge([1.5], identity="two"))
    train(toy_codec(), ToyLoss(), ToyBatches(), replace(steady, steps=12), tmp_path, around=other)
    assert torch.load(tmp_path / BEST, weights_only=True)["step"] == 12


def test_progress_is_told_after_every_step_and_then_the_lines_are_its_own(tmp_path: Path) -> None:
    lines: list[str] = []
    told: list[Progress] = []
    around = Surroundings(talk=lines.append, progress=told.append)
    train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path, around=around)
    assert [(one.step, one.steps) for one in told] == [(step, 8) for step in range(1, 9)]
    assert [one.step for one in told if one.line] == [3, 6, 8]
    assert told[0].figures.keys() == {"loss", "estimated_bpp", "psnr_db"}
    assert lines == []


def test_a_finished_run_that_is_resumed_changes_nothing(tmp_path: Path) -> None:
    train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path)
    before = read_checkpoint(tmp_path / CHECKPOINT)
    model = train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path)
    assert same_tensors(model.state_dict(), before)


def test_a_checkpoint_without_an_average_begins_one_at_its_model(tmp_path: Path) -> None:
    plain = train(toy_codec(), ToyLoss(), ToyBatches(), replace(SHORT, ema=0.0), tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del state["log"], state["request"]
    torch.save(state, tmp_path / CHECKPOINT)
    averaged = train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path)
    assert same_tensors(plain.state_dict(), averaged.state_dict())


def test_the_average_is_what_a_run_gives_and_what_is_read_back(tmp_path: Path) -> None:
    model = toy_codec()
    given = train(model, ToyLoss(), ToyBatches(), SHORT, tmp_path)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert same_tensors(state["model"], dict(model.state_dict()))
    assert same_tensors(state["ema"], dict(given.state_dict()))
    assert not same_tensors(state["ema"], state["model"])
    assert same_tensors(read_checkpoint(tmp_path / CHECKPOINT), state["ema"])
    assert state["ema_updates"] == 8


def test_the_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = TrainConfig(steps=100, warmup=10, decay=0.25)
    # Oracle: by hand.
    expected = {0: 0.1, 9: 1.0, 10: 1.0, 74: 1.0, 75: 1.0, 80: 0.8, 99: 0.04}
    assert {step: learning_rate_factor(step, config) for step in expected} == pytest.approx(expected)


def test_the_learning_rate_drops_at_shares_of_the_steps() -> None:
    config = TrainConfig(steps=100, warmup=0, decay=0.0, drops=(0.5, 0.9), drop_factor=0.2)
    # Oracle: by hand; `decay` 0 still ends with the last step at the drops' level.
    expected = {0: 1.0, 49: 1.0, 50: 0.2, 89: 0.2, 90: 0.04, 99: 0.04}
    assert {step: learning_rate_factor(step, config) for step in expected} == pytest.approx(expected)


def test_a_longer_run_begins_like_a_shorter_one_until_that_decays() -> None:
    short, long = TrainConfig(steps=1000, decay=0.25), TrainConfig(steps=5000, decay=0.25)
    for step in (0, 100, 300, 749):
        assert learning_rate_factor(step, short) == learning_rate_factor(step, long)


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    class Broken(ToyLoss):
        def __call__(
            self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
        ) -> tuple[Tensor, dict[str, float]]:
            value, figures = super().__call__(model, x, quality, noise)
            return value * float("nan"), figures

    before = dict(toy_codec().named_parameters())
    model = train(toy_codec(), Broken(), ToyBatches(), SHORT, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.named_parameters())
    assert rows(tmp_path)[-1]["skipped"] == "8"


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "other widths"])
def test_a_damaged_or_foreign_checkpoint_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({"step": 3, "model": toy_codec().state_dict(), "optimizer": {}}, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "foreign":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        torch.save({"step": 3, "model": ToyCodec(latent=5).state_dict(), "optimizer": {}}, path)
    with pytest.raises(WeightsError, match=rf"{CHECKPOINT}: is not a checkpoint of this model"):
        train(toy_codec(), ToyLoss(), ToyBatches(), CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_damaged_best_network_is_refused_by_name(tmp_path: Path) -> None:
    around = Surroundings(validate=Judge())
    train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path, around=around)
    (tmp_path / BEST).write_text("not a network")
    with pytest.raises(WeightsError, match=r"best\.pt: is not the best network of a run; delete"):
        train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path, around=around)


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "trap",))  # type: ignore[return-value]

    torch.save({"step": 0, "model": Trap(), "optimizer": {}}, tmp_path / CHECKPOINT)
    with pytest.raises(WeightsError):
        train(toy_codec(), ToyLoss(), ToyBatches(), CONFIG, tmp_path)
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / CHECKPOINT)
    assert not (tmp_path / "trap").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said() -> None:
    config = TrainConfig(device="cuda")
    with pytest.raises(UsageError, match="no CUDA device"):
        train(toy_codec(), ToyLoss(), ToyBatches(), config, Path("never-made"))
    assert not Path("never-made").exists()


def test_the_loss_is_rate_plus_weighted_distortion() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor, quality: Tensor, noise: Generator) -> object:
            from miscomp.codecs.lucid_model import LucidOutput

            return LucidOutput(x + 0.1, torch.full((x.shape[0],), 64.0 * 64))

    x, quality = torch.zeros(1, 3, 64, 64), torch.full((1, 1, 4, 4), 0.5)
    value, figures = RateDistortion(lmbda_low=0.0008, lmbda_high=0.08)(Fixed(), x, quality, Generator())
    # Oracle: at quality 0.5 the balancing weight is 1, lmbda = 0.008, so 1 + 0.008 * 255^2 * 0.01.
    assert float(value) == pytest.approx(1 + 0.008 * 255**2 * 0.01, rel=1e-5)
    assert figures == pytest.approx({"estimated_bpp": 1.0, "psnr_db": 20.0}, rel=1e-5)


def test_a_run_cannot_go_on_with_another_seed(tmp_path: Path) -> None:
    train(toy_codec(), ToyLoss(), ToyBatches(), SHORT, tmp_path)
    with pytest.raises(UsageError, match="begun with seed 0 and cannot go on with 5"):
        train(toy_codec(), ToyLoss(), ToyBatches(), replace(SHORT, seed=5), tmp_path)
