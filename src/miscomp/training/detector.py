"""Train the learned detector on a folder of photographs, with plants made on the fly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from miscomp.detect.learned_weights import read_network, write_network
from miscomp.detect.network import Answers, DetectorNetwork
from miscomp.errors import UsageError, WeightsError
from miscomp.images import Picture, list_images, read
from miscomp.plant.catalog import KINDS
from miscomp.training.beginning import described, owned
from miscomp.training.checkpoint import read_checkpoint
from miscomp.training.config import DetectorConfig
from miscomp.training.ending import write_best
from miscomp.training.loop import train
from miscomp.training.plant_targets import CHANNELS
from miscomp.training.plants import CODINGS, PlantSource
from miscomp.training.prefetch import Ahead
from miscomp.training.processes import open_accelerator
from miscomp.training.runfolder import Surroundings
from miscomp.training.validation import spread

WEIGHTS = "detector.safetensors"

CHANGED_WEIGHT, DAMAGE_WEIGHT, SHARE_WEIGHT, CATEGORY_WEIGHT, SYMBOL_WEIGHT = 0.3, 0.1, 0.1, 0.3, 0.15
"""Weights of what the single heads are taught, against 1 for the score."""

_VALIDATION_BATCHES = 8
_VALIDATION_SEED = 7_000_000


class TreeLoss:
    """Cross-entropy of the joined score, and of each question's own answer where that is known.

    `changed` is taught every edit, hard negatives too; `suspicion` how visible the codec's damage is, which it must
    tell from the reconstruction alone; `expected` what share of the difference is the codec's.
    """

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Mean loss over the cells that count; x is (b, 6, h, w), `quality` (b, len(CHANNELS), h / 4, w / 4)."""
        answers = cast(Answers, model(x[:, :3], x[:, 3:]))
        answers = Answers(*(answer.float() for answer in answers))
        t = {name: quality[:, number : number + 1] for number, name in enumerate(CHANNELS)}
        score = _mean(_log_loss(answers.log_p, t["wanted"]), t["weight"])
        logits = nn.functional.binary_cross_entropy_with_logits
        changed = _mean(logits(answers.changed, t["edited"], reduction="none"), t["edited_weight"])
        damage = logits(answers.suspicion, t["damage"])
        share = logits(answers.expected, t["share"])
        known = t["category"] >= 0
        labelled = t["weight"] * known
        kinds = nn.functional.cross_entropy(
            answers.categories, t["category"][:, 0].clamp_min(0).long(), reduction="none"
        )
        category = _mean(kinds[:, None], labelled)
        symbol = _mean(logits(answers.symbol, t["symbol"], reduction="none"), labelled)
        loss = score + CHANGED_WEIGHT * changed + DAMAGE_WEIGHT * damage + SHARE_WEIGHT * share
        loss = loss + CATEGORY_WEIGHT * category + SYMBOL_WEIGHT * symbol
        figures = {"score_loss": score, "changed_loss": changed, "category_loss": category, "symbol_loss": symbol}
        return loss, {name: float(value.detach()) for name, value in figures.items()}


def _log_loss(log_p: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of a probability given by its logarithm."""
    log_p = log_p.clamp(-30, -1e-6)
    return -(wanted * log_p + (1 - wanted) * torch.log(-torch.expm1(log_p)))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1)


class DetectorValidation:
    """The loss, and how well the score tells planted cells from others, on plants in pictures that are not learned."""

    def __init__(self, pictures: Sequence[Picture], config: DetectorConfig) -> None:
        """Raises `UsageError` where no picture is large enough."""
        source = _source([picture.pixels for picture in pictures], config, seed=_VALIDATION_SEED)
        self._batches = [source.batch(number) for number in range(_VALIDATION_BATCHES)]
        self._loss = TreeLoss()
        hashes = "".join(picture.pixel_sha256 for picture in pictures)
        left_out = f"{config.leave_out_kinds} {config.leave_out_codecs} {config.plants} {config.negatives}"
        about = f"{_VALIDATION_BATCHES} {config.crop} {config.batch_size} {left_out} {hashes}"
        self.identity = hashlib.sha256(about.encode("utf-8")).hexdigest()

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        """One row: means over the batches, and the average precision over cells."""
        sums: dict[str, float] = {}
        scores, wanted = [], []
        device = next(model.parameters()).device
        for pair, maps in self._batches:
            x, t = pair.to(device), maps.to(device)
            value, figures = self._loss(model, x, t, torch.Generator(device))
            for name, figure in {"loss": float(value), **figures}.items():
                sums[name] = sums.get(name, 0.0) + figure / len(self._batches)
            log_p = cast(Answers, model(x[:, :3], x[:, 3:])).log_p.float()
            counted = t[:, 1:2] > 0
            scores.append(log_p[counted].cpu())
            wanted.append(t[:, :1][counted].cpu())
        return [{**sums, "cell_average_precision": average_precision(torch.cat(scores), torch.cat(wanted))}]


def average_precision(scores: Tensor, wanted: Tensor) -> float:
    """Mean precision at the ranks of what is wanted (n), best score first; ties in the order given."""
    order = torch.argsort(scores, descending=True, stable=True)
    hits = wanted[order].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum().clamp_min(1))


def train_detector(
    photographs: Path,
    folder: Path,
    config: DetectorConfig,
    *,
    around: Surroundings | None = None,
) -> Path:
    """Train on all pictures in a folder; returns the weights file in `folder`, beside everything else of the run.

    The weights are those of the best validation, or of the last step where there is none. Raises what
    `training.codec.train_codec` raises, and `UnknownName` for kinds or codecs to leave out that do not exist.
    """
    around = around or Surroundings()
    pictures = [read(file) for file in list_images(photographs)]
    source = _source([picture.pixels for picture in pictures], config, seed=config.seed)
    about: dict[str, Any] = {"training_data": {"folder": str(photographs), **described(pictures)}}
    validate = None
    if config.valid:
        judged = spread([read(file) for file in list_images(Path(config.valid))], config.valid_pictures)
        validate = DetectorValidation(judged, config)
        about["validation_data"] = {"folder": config.valid, **described(judged)}
    model = _beginning(config)
    accelerator = open_accelerator(config)
    if not accelerator.is_main_process:
        around = Surroundings(stop=around.stop)
    around.talk(f"{len(source)} of {len(pictures)} pictures in {photographs} are used, on {config.device}")
    around = replace(around, validate=validate, about=about)
    with owned(folder, config, weights=WEIGHTS), Ahead(source, stride=accelerator.num_processes) as ahead:
        train(model, TreeLoss(), ahead, config, folder, around=around)
        return write_best(folder / WEIGHTS, config, around, export=export_network)


def _source(pictures: Sequence[Any], config: DetectorConfig, *, seed: int) -> PlantSource:
    return PlantSource(
        pictures,
        kinds=[KINDS[name] for name in _left(KINDS.names, config.leave_out_kinds)],
        codecs=_left(tuple(CODINGS), config.leave_out_codecs),
        crop=config.crop,
        batch_size=config.batch_size,
        seed=seed,
        plants=config.plants,
        negatives=config.negatives,
    )


def _left(names: Sequence[str], left_out: str) -> list[str]:
    """The names without those that are left out. Raises `UsageError` for one that is not among them."""
    out = [name.strip() for name in left_out.split(",") if name.strip()]
    for name in out:
        if name not in names:
            raise UsageError(f"there is no {name!r} to leave out; known: {', '.join(names)}")
    return [name for name in names if name not in out]


def _beginning(config: DetectorConfig) -> DetectorNetwork:
    """The network before the first step: that of the weights file to start from, or one drawn at random."""
    if config.start:
        return read_network(Path(config.start)).network.requires_grad_(True)
    # The first weights follow from the seed, and the caller's generator stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = DetectorNetwork()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def export_network(checkpoint: Path, out: Path) -> str:
    """Write a checkpoint's network as the detector loads it; returns the file's SHA-256.

    Raises `WeightsError` for a file that is no checkpoint of this network.
    """
    state = read_checkpoint(checkpoint)
    with torch.device("meta"):
        network = DetectorNetwork()
    try:
        network.load_state_dict(state, assign=True)
        return write_network(network, out)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise WeightsError(checkpoint, f"does not hold the detector's network ({problem})") from error
