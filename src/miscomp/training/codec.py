"""Train `lucid` on a folder of photographs, and turn a checkpoint into the weights file that the codec loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from miscomp.codecs.lucid_model import PATCH, LucidConfig, LucidModel
from miscomp.codecs.lucid_weights import read_weights, write_weights
from miscomp.errors import WeightsError
from miscomp.images import Picture, list_images, read
from miscomp.training.beginning import described, owned
from miscomp.training.calibration import Fit
from miscomp.training.checkpoint import read_checkpoint
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource
from miscomp.training.ending import write_best
from miscomp.training.loop import train
from miscomp.training.losses import Loss, RateDistortion
from miscomp.training.processes import open_accelerator
from miscomp.training.runfolder import Surroundings
from miscomp.training.validation import Validation

WEIGHTS = "lucid.safetensors"
RECONSTRUCTIONS = "reconstructions"


def train_codec(
    photographs: Path,
    folder: Path,
    config: TrainConfig,
    *,
    widths: LucidConfig | None = None,
    around: Surroundings | None = None,
) -> Path:
    """Train on all pictures in a folder; returns the weights file in `folder`, beside everything else of the run.

    The weights are those of the best validation, or of the last step where there is none. A `folder` with a
    checkpoint is resumed. Raises `ImageError` for a picture that cannot be read, `UsageError` where none is
    large enough, the device is missing, another run writes to `folder` or it holds weights of another origin,
    `WeightsError` for a damaged checkpoint or file to start from, and `Stopped` where the run was asked to end early.
    """
    around = around or Surroundings()
    pictures = [read(file) for file in list_images(photographs)]
    source = CropSource(
        [picture.pixels for picture in pictures], crop=config.crop, batch_size=config.batch_size, seed=config.seed
    )
    loss = RateDistortion(lmbda_low=config.lmbda_low, lmbda_high=config.lmbda_high)
    about: dict[str, Any] = {"training_data": {"folder": str(photographs), **described(pictures)}}
    validate = None
    if config.valid:
        judged = [read(file) for file in list_images(Path(config.valid))]
        validate = _validation(judged, loss, folder, config)
        about["validation_data"] = {"folder": config.valid, **described(judged)}
    model = _beginning(config, source, widths)
    # Opened last: what is wrong with the request shows before several processes wait for each other.
    if not open_accelerator(config).is_main_process:
        around = Surroundings(stop=around.stop)
    around.talk(f"{len(source)} of {len(pictures)} pictures in {photographs} are used, on {config.device}")
    around = replace(around, validate=validate, about=about)
    with owned(folder, config, weights=WEIGHTS):
        train(model, loss, source, config, folder, around=around)
        return _finish(folder, model.config, source, config, around)


def _validation(pictures: Sequence[Picture], loss: Loss, folder: Path, config: TrainConfig) -> Validation:
    judged_by = f"{config.lmbda_low} {config.lmbda_high}"
    return Validation(pictures, loss, folder / RECONSTRUCTIONS, count=config.valid_pictures, judged_by=judged_by)


def _beginning(config: TrainConfig, source: CropSource, widths: LucidConfig | None) -> LucidModel:
    """The networks before the first step: those of the weights file to start from, or principal components."""
    if config.start:
        model = read_weights(Path(config.start)).model.requires_grad_(True)
        if widths is not None and model.config != widths:
            raise WeightsError(config.start, f"has the widths {model.config}, this run needs {widths}")
        return model
    # The first weights follow from the seed, and the caller's generator stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LucidModel(widths)
        model.start_from(*principal_components(source, model.config.latent))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _finish(folder: Path, widths: LucidConfig, source: CropSource, config: TrainConfig, around: Surroundings) -> Path:
    around.talk(f"fits the range coder's tables to {config.fit_batches} batches")
    # Batches that training did not see: those after its last.
    fit = Fit(source, config.steps * open_accelerator(config).num_processes, config.fit_batches)

    def export(checkpoint: Path, out: Path) -> str:
        return export_weights(checkpoint, out, widths=widths, fit=fit)

    return write_best(folder / WEIGHTS, config, around, export=export)


def principal_components(source: CropSource, count: int, *, batches: int = 200) -> tuple[Tensor, Tensor]:
    """The `count` main directions (count, 768) of the source's 16 x 16 patches, and their standard deviations.

    Patches are in [-0.5, 0.5] and laid out as by pixel_unshuffle. A codec that starts from them needs no
    training to pass JPEG's ceiling, where random transforms need tens of thousands of steps to get near.
    """
    total = torch.zeros(3 * PATCH**2, 3 * PATCH**2, dtype=torch.float64)
    patches = 0
    for step in range(batches):
        x, _ = source.batch(step)
        rows = torch.nn.functional.pixel_unshuffle(x - 0.5, PATCH).permute(0, 2, 3, 1).flatten(0, 2).double()
        total += rows.T @ rows
        patches += len(rows)
    values, vectors = torch.linalg.eigh(total / patches)
    main = torch.arange(len(values) - 1, len(values) - 1 - count, -1)
    return vectors[:, main].T.float().contiguous(), values[main].clamp_min(0).sqrt().float()


def export_weights(checkpoint: Path, out: Path, *, widths: LucidConfig | None = None, fit: Fit | None = None) -> str:
    """Write a checkpoint's networks as the codec loads them; returns the file's SHA-256.

    The transforms are stored as float16, which halves the file and moves PSNR by less than 0.01 dB. `fit` is what the
    range coder's tables are fitted to; they are a Gaussian's where there is none. The same checkpoint gives the same
    bytes. Raises `WeightsError` for a file that is no checkpoint of networks of these widths.
    """
    state = read_checkpoint(checkpoint)
    with torch.device("meta"):
        model = LucidModel(widths)
    try:
        model.load_state_dict(state, assign=True)
        frequencies = fit.frequencies(model.float()) if fit is not None and fit.batches else None
        return write_weights(model, out, frequencies=frequencies, dtype=torch.float16)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise WeightsError(checkpoint, f"does not hold networks of these widths ({problem})") from error
