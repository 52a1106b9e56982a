"""Train `lucid` on a folder of photographs, and turn a checkpoint into the weights file that the codec loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from miscomp.codecs.lucid_model import PATCH, LucidConfig, LucidModel
from miscomp.codecs.lucid_weights import write_weights
from miscomp.errors import WeightsError
from miscomp.images import list_images, read
from miscomp.training.config import TrainConfig
from miscomp.training.crops import CropSource
from miscomp.training.loop import CHECKPOINT, read_checkpoint, train
from miscomp.training.losses import RateDistortion

WEIGHTS = "lucid.safetensors"


def train_codec(
    photographs: Path,
    folder: Path,
    config: TrainConfig,
    *,
    widths: LucidConfig | None = None,
    talk: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train on all pictures in a folder; returns the weights file in `folder`, beside checkpoint, settings and log.

    A `folder` with a checkpoint is resumed. Raises `ImageError` for a picture that cannot be read, `UsageError`
    where none is large enough or the device is missing, and `WeightsError` for a damaged checkpoint.
    """
    files = list_images(photographs)
    source = CropSource(
        [read(file).pixels for file in files], crop=config.crop, batch_size=config.batch_size, seed=config.seed
    )
    talk(f"{len(source)} of {len(files)} pictures in {photographs} are used, on {config.device}")
    # The first weights follow from the seed, and the caller's generator stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LucidModel(widths)
        model.start_from(*principal_components(source, model.config.latent))
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = RateDistortion(lmbda_low=config.lmbda_low, lmbda_high=config.lmbda_high)
    train(model, loss, source, config, folder, talk=talk)
    weights = folder / WEIGHTS
    sha256 = export_weights(folder / CHECKPOINT, weights, widths=widths)
    talk(f"wrote {weights}, SHA-256 {sha256}")
    return weights


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


def export_weights(checkpoint: Path, out: Path, *, widths: LucidConfig | None = None) -> str:
    """Write a checkpoint's networks as the codec loads them; returns the file's SHA-256.

    Stored as float16, which halves the file and moves PSNR by less than 0.01 dB. The same checkpoint gives
    the same bytes. Raises `WeightsError` for a file that is no checkpoint of networks of these widths.
    """
    state = read_checkpoint(checkpoint)
    with torch.device("meta"):
        model = LucidModel(widths)
    try:
        model.load_state_dict(state, assign=True)
        return write_weights(model, out, dtype=torch.float16)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise WeightsError(checkpoint, f"does not hold networks of these widths ({problem})") from error
