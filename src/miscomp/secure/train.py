"""Train a codec that destroys its own pictures when it compresses them again, on the one training loop."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from miscomp.codecs.quality_map import BLOCK
from miscomp.errors import WeightsError
from miscomp.images import Picture, Pixels, list_images, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.secure.adversarial import Passes, SelfDestructing, SelfDestruction
from miscomp.secure.attacks import Attacked, Attacker
from miscomp.secure.bases import Base, open_base
from miscomp.secure.config import SecureConfig
from miscomp.secure.metric_weights import open_metric_with_files
from miscomp.tensors import to_pixels, to_tensor
from miscomp.training.beginning import described, owned
from miscomp.training.checkpoint import read_checkpoint
from miscomp.training.config import LoopConfig
from miscomp.training.crops import CropSource
from miscomp.training.ending import write_best
from miscomp.training.jpeg_simulation import open_simulation
from miscomp.training.loop import train
from miscomp.training.processes import open_accelerator
from miscomp.training.runfolder import Surroundings
from miscomp.training.sheet import Shown, draw_sheet
from miscomp.training.validation import centre, spread

WEIGHTS = "slic.safetensors"
_VALIDATED_CROP = 256
_SHOWN = 4


class SecureValidation:
    """The training's own loss on fixed crops under edits that are drawn once and for all; then pictures to look at."""

    def __init__(self, pictures: Sequence[Picture], loss: SelfDestruction, folder: Path, config: SecureConfig) -> None:
        chosen = spread(pictures, config.valid_pictures)
        self._crops = [centre(picture.pixels, _VALIDATED_CROP) for picture in chosen]
        self._loss = loss
        self._folder = folder
        own = {name: value for name, value in asdict(config).items() if name not in asdict(LoopConfig())}
        hashes = "".join(picture.pixel_sha256 for picture in chosen)
        self.identity = hashlib.sha256(f"{_VALIDATED_CROP} {own} {hashes}".encode()).hexdigest()

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        """One row: means over the crops, taken in pairs so that each has a donor for splices."""
        sums: dict[str, list[float]] = {}
        device = next(model.parameters()).device
        for number in range(len(self._crops)):
            pair = [self._crops[number], self._crops[(number + 1) % len(self._crops)]]
            x = torch.cat([to_tensor(crop) for crop in _same_size(pair)]).to(device)
            noise = torch.Generator(device).manual_seed(number)
            value, figures = self._loss(model, x, _middle(x), noise)
            for name, figure in {"loss": float(value), **figures}.items():
                sums.setdefault(name, []).append(figure)
        self._show(model, step)
        return [{name: sum(values) / len(values) for name, values in sums.items()}]

    def _show(self, model: nn.Module, step: int) -> None:
        """Draw originals beside what the first and the second compression make of them."""
        lines = []
        device = next(model.parameters()).device
        for crop in self._crops[:_SHOWN]:
            x = to_tensor(crop).to(device)
            quality = self._loss.quality(_middle(x))
            out: Passes = model(x, (quality, quality), torch.Generator(device).manual_seed(0), _unedited)
            x1, x2 = to_pixels(out.x1), to_pixels(out.x2.nan_to_num())
            labels = (f"x1: {psnr_pixels(crop, x1):.2f} dB", f"x2: {psnr_pixels(x1, x2):.2f} dB against x1")
            lines.append([Shown(crop, "original"), *map(Shown, (x1, x2), labels)])
        self._folder.mkdir(parents=True, exist_ok=True)
        write_png(self._folder / "validation.png", draw_sheet(f"after step {step}", lines))


def _same_size(crops: Sequence[Pixels]) -> list[Pixels]:
    height, width = (min(crop.shape[side] for crop in crops) for side in (0, 1))
    return [crop[:height, :width] for crop in crops]


def _middle(x: Tensor) -> Tensor:
    """The middle of the range of qualities, for every block."""
    return torch.full((len(x), 1, x.shape[2] // BLOCK, x.shape[3] // BLOCK), 0.5, device=x.device)


def _unedited(x1: Tensor) -> Attacked:
    return Attacked(x1, "none")


def train_secure(photographs: Path, folder: Path, config: SecureConfig, *, around: Surroundings | None = None) -> Path:
    """Train on all pictures in a folder; returns the weights file in `folder`, beside everything else of the run.

    The weights are those of the best validation, or of the last step where there is none. Raises what
    `training.codec.train_codec` raises, and `UnknownName` for a metric, base or simulation that does not exist.
    """
    around = around or Surroundings()
    base = open_base(config.base, Path(config.start) if config.start else None, lmbda=config.lmbda)
    loss = _loss(config, base)
    pictures = [read(file) for file in list_images(photographs)]
    source = CropSource(
        [picture.pixels for picture in pictures], crop=config.crop, batch_size=config.batch_size, seed=config.seed
    )
    about: dict[str, Any] = {"training_data": {"folder": str(photographs), **described(pictures)}}
    validate = None
    if config.valid:
        judged = [read(file) for file in list_images(Path(config.valid))]
        validate = SecureValidation(judged, loss, folder / "reconstructions", config)
        about["validation_data"] = {"folder": config.valid, **described(judged)}
    if not open_accelerator(config).is_main_process:
        around = Surroundings(stop=around.stop)
    around.talk(f"{len(source)} of {len(pictures)} pictures in {photographs} are used, on {config.device}")
    around = replace(around, validate=validate, about=about)
    model = SelfDestructing(base).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with owned(folder, config, weights=WEIGHTS):
        train(model, loss, source, config, folder, around=around)
        return _finish(folder, model, source, config, around)


def _loss(config: SecureConfig, base: Base) -> SelfDestruction:
    simulation = open_simulation(config.jpeg, Path(config.jpeg_weights) if config.jpeg_weights else None)
    attacker = Attacker(
        kinds=[name.strip() for name in config.attacks.split(",") if name.strip()],
        jpeg=simulation.to(config.device),
        jpeg_quality=(config.jpeg_low, config.jpeg_high),
        blur_most=config.blur_most,
        blur_kernel=config.blur_kernel,
        followed=config.followed,
        shifted=config.shifted,
    )
    metric = open_metric_with_files(config.metric, {}).to(config.device)
    return SelfDestruction(metric, attacker, config, base)


def _finish(
    folder: Path, model: SelfDestructing, source: CropSource, config: SecureConfig, around: Surroundings
) -> Path:
    around.talk("fits the tables that the rate depends on, and writes the weights")
    # Batches that training did not see: those after its last.
    first = config.steps * open_accelerator(config).num_processes

    def export(checkpoint: Path, out: Path) -> str:
        return export_weights(checkpoint, model, out, source=source, first=first, batches=config.fit_batches)

    return write_best(folder / WEIGHTS, config, around, export=export)


def export_weights(
    checkpoint: Path, model: SelfDestructing, out: Path, *, source: CropSource, first: int, batches: int
) -> str:
    """Write a checkpoint's networks as the codec loads them; returns the file's SHA-256.

    `model` takes the checkpoint's weights. Raises `WeightsError` for a file that is no checkpoint of such networks.
    """
    try:
        model.load_state_dict(read_checkpoint(checkpoint))
        return model.base.export(out, source, first=first, batches=batches)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise WeightsError(checkpoint, f"does not hold networks of this base ({problem})") from error
