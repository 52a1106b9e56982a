"""Train UNetJPEG on a folder of photographs against the JPEG that Pillow makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from miscomp.errors import UsageError, WeightsError
from miscomp.images import Picture, Pixels, list_images, read
from miscomp.metrics.psnr import psnr
from miscomp.tensors import to_tensor
from miscomp.training.beginning import described, owned
from miscomp.training.checkpoint import read_checkpoint
from miscomp.training.config import JpegSimConfig
from miscomp.training.crops import CropSource
from miscomp.training.ending import write_best
from miscomp.training.jpeg_simulation import real_jpeg
from miscomp.training.loop import train
from miscomp.training.processes import open_accelerator
from miscomp.training.runfolder import Surroundings
from miscomp.training.unet_jpeg import UNetJpeg, read_unet_jpeg, write_unet_jpeg
from miscomp.training.validation import centre, spread

WEIGHTS = "unet_jpeg.safetensors"
VALIDATED_QUALITIES = (10, 30, 50, 70, 90)

_LOWEST_QUALITY, _HIGHEST_QUALITY = 10, 100
"""Drawn evenly in training, both ends included (SLIC, appendix A.1)."""
_LARGEST_CROP = 256
_SMALLEST_PICTURE = 64
_QUALITY_STREAM = 1


class JpegPairs:
    """Random crops with 8 bits beside what JPEG at a random quality makes of them."""

    def __init__(self, photographs: Sequence[Pixels], config: JpegSimConfig) -> None:
        """Photographs with a side below the crop are left out; raises `UsageError` where none is left."""
        self._crops = CropSource(photographs, crop=config.crop, batch_size=config.batch_size, seed=config.seed)
        self._seed = config.seed

    def __len__(self) -> int:
        """Photographs large enough to be used."""
        return len(self._crops)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Crops and their JPEG, (b, 6, crop, crop) in [0, 1], and the qualities (b), whole numbers."""
        crops, _ = self._crops.batch(step)
        x = (crops * 255).round() / 255
        rng = np.random.default_rng((self._seed, step, _QUALITY_STREAM))
        drawn = rng.integers(_LOWEST_QUALITY, _HIGHEST_QUALITY, len(x), endpoint=True)
        quality = torch.from_numpy(drawn).float()
        return torch.cat((x, real_jpeg(x, quality)), dim=1), quality


class JpegLoss:
    """Mean squared error between what the network makes of a picture and what JPEG does."""

    def __call__(
        self, model: nn.Module, x: Tensor, quality: Tensor, noise: Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The error, and the batch's mean PSNR in dB; x is (b, 6, h, w), a picture and its JPEG, `quality` (b)."""
        simulated = model(x[:, :3], quality).float()
        loss = nn.functional.mse_loss(simulated, x[:, 3:])
        return loss, {"psnr_db": float(psnr(x[:, 3:], simulated.detach()).mean())}


class JpegValidation:
    """How near the network comes to JPEG, on the centres of pictures that are not learned; the same every time."""

    def __init__(self, pictures: Sequence[Picture], *, count: int) -> None:
        """At most `count` pictures, spread evenly; raises `UsageError` where none has 64 x 64 pixels."""
        usable = [picture for picture in pictures if min(picture.height, picture.width) >= _SMALLEST_PICTURE]
        if not usable:
            least = f"{_SMALLEST_PICTURE} x {_SMALLEST_PICTURE}"
            raise UsageError(f"validation needs pictures of at least {least} pixels, none of {len(pictures)} is")
        chosen = spread(usable, count)
        self._crops = [to_tensor(centre(picture.pixels, _LARGEST_CROP)) for picture in chosen]
        hashes = "".join(picture.pixel_sha256 for picture in chosen)
        about = f"{VALIDATED_QUALITIES} {_LARGEST_CROP} {hashes}"
        self.identity = hashlib.sha256(about.encode("ascii")).hexdigest()

    def __call__(self, model: nn.Module, step: int) -> list[dict[str, float]]:
        """A row for each quality, means over the pictures: MSE, PSNR against JPEG, and that of the untouched picture.

        A network that does not pass `identity_psnr_db` simulates JPEG worse than nothing at all does.
        """
        device = next(model.parameters()).device
        rows = []
        for level in VALIDATED_QUALITIES:
            quality = torch.tensor([float(level)])
            sums = {"loss": 0.0, "psnr_db": 0.0, "identity_psnr_db": 0.0}
            for x in self._crops:
                wanted = real_jpeg(x, quality)
                simulated = model(x.to(device), quality.to(device)).float().cpu()
                sums["loss"] += float(nn.functional.mse_loss(simulated, wanted))
                sums["psnr_db"] += float(psnr(wanted, simulated))
                sums["identity_psnr_db"] += float(psnr(wanted, x))
            rows.append({"quality": level, **{name: total / len(self._crops) for name, total in sums.items()}})
        return rows


def train_jpegsim(
    photographs: Path, folder: Path, config: JpegSimConfig, *, around: Surroundings | None = None
) -> Path:
    """Train on all pictures in a folder; returns the weights file in `folder`, beside everything else of the run.

    The weights are those of the best validation, or of the last step where there is none. Raises what
    `training.codec.train_codec` raises.
    """
    around = around or Surroundings()
    pictures = [read(file) for file in list_images(photographs)]
    pairs = JpegPairs([picture.pixels for picture in pictures], config)
    about: dict[str, Any] = {"training_data": {"folder": str(photographs), **described(pictures)}}
    validate = None
    if config.valid:
        judged = [read(file) for file in list_images(Path(config.valid))]
        validate = JpegValidation(judged, count=config.valid_pictures)
        about["validation_data"] = {"folder": config.valid, **described(judged)}
    model = _beginning(config)
    if not open_accelerator(config).is_main_process:
        around = Surroundings(stop=around.stop)
    around.talk(f"{len(pairs)} of {len(pictures)} pictures in {photographs} are used, on {config.device}")
    around = replace(around, validate=validate, about=about)
    with owned(folder, config, weights=WEIGHTS):
        train(model, JpegLoss(), pairs, config, folder, around=around)
        export = partial(export_unet_jpeg, width=config.width, residual=config.residual)
        return write_best(folder / WEIGHTS, config, around, export=export)


def _beginning(config: JpegSimConfig) -> UNetJpeg:
    """The network before the first step: that of the weights file to start from, or one drawn at random."""
    if config.start:
        network = read_unet_jpeg(Path(config.start)).network
        if (network.width, network.residual) != (config.width, config.residual):
            found = f"has the width {network.width} and residual {network.residual}"
            raise WeightsError(config.start, f"{found}, this run needs {config.width} and {config.residual}")
        return network.requires_grad_(True)
    # The first weights follow from the seed, and the caller's generator stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = UNetJpeg(config.width, residual=config.residual)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def export_unet_jpeg(checkpoint: Path, out: Path, *, width: int, residual: bool) -> str:
    """Write a checkpoint's network as `read_unet_jpeg` loads it; returns the file's SHA-256.

    Raises `WeightsError` for a file that is no checkpoint of such a network.
    """
    state = read_checkpoint(checkpoint)
    with torch.device("meta"):
        network = UNetJpeg(width, residual=residual)
    try:
        network.load_state_dict(state, assign=True)
        return write_unet_jpeg(network, out)
    except (RuntimeError, ValueError) as error:
        problem = str(error).strip().partition("\n")[0]
        raise WeightsError(checkpoint, f"does not hold UNetJPEG of width {width} ({problem})") from error
