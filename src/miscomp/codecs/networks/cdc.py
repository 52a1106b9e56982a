"""`cdc`: a compressor whose decoder is a diffusion model, which starts from noise and is told the picture's content.

Yang and Mandt, "Lossy Image Compression with Conditional Diffusion Models", NeurIPS 2023, x-parameterisation: the U-Net
says what the picture is, not what the noise was. Steps follow Song, Meng and Ermon, "Denoising diffusion implicit
models", ICLR 2021, eq. 12 with no noise but the first: the same latents, seed and step count give the same picture, up
to the machine's rounding in float32. Other seeds give other texture.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri
from torch import Tensor

from miscomp.codecs.networks.base import Estimate, LatentCoder, Network
from miscomp.codecs.networks.cdc_coder import CdcCoder
from miscomp.codecs.networks.cdc_context import Compressor
from miscomp.codecs.networks.cdc_unet import Denoiser
from miscomp.codecs.networks.state_dicts import filled, stripped, width

TRAINED_STEPS = 8193
"""Noise levels of the training; time is a level's index over this."""

NOISE_GAIN = 0.8
"""Standard deviation of what decoding starts from; below the 1 of training the picture is calmer."""

_LEVELS, _CONTENT_LEVELS, _HYPER_LAYERS = 6, 4, 3
_OFFSET = 0.008
_MOST_LOST = 0.999
_NOISE_GRID = 2.0**16
_DRAWN_AT_ONCE = 2**20


class Step(NamedTuple):
    """One step of the sampler: x becomes `clean` times the denoised picture and `noisy` times x."""

    time: float
    clean: float
    noisy: float


@cache
def _kept() -> npt.NDArray[np.float64]:
    """Share of the picture's variance in each noise level (TRAINED_STEPS): the cosine schedule.

    Nichol and Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, eq. 17; the grid of positions
    is the authors' of `cdc`.
    """
    position = np.linspace(0, 1, TRAINED_STEPS + 1)
    share = np.cos((position + _OFFSET) / (1 + _OFFSET) * np.pi / 2) ** 2
    kept: npt.NDArray[np.float64] = np.cumprod(1 - np.clip(1 - share[1:] / share[:-1], 0, _MOST_LOST))
    return kept


def sampler_steps(count: int) -> list[Step]:
    """The steps from pure noise to the picture; levels are evenly spaced, the noisiest first."""
    levels = [TRAINED_STEPS - 1] if count == 1 else [(TRAINED_STEPS - 1) * i // (count - 1) for i in range(count)]
    kept = _kept()[levels].tolist()
    steps: list[Step] = []
    for level, now, following in zip(levels, kept, [1.0, *kept[:-1]], strict=True):
        noisy = ((1 - following) / (1 - now)) ** 0.5
        steps.insert(0, Step(level / TRAINED_STEPS, following**0.5 - noisy * now**0.5, noisy))
    return steps


class Cdc(Network):
    """The published networks: `denoise_fn` makes pictures, `context_fn` what is sent.

    The U-Net's attention takes in the whole picture, so that a block of it never comes out as in the whole: blocks
    are decoded each with its part of one picture's noise and blended where they overlap. A step takes about 0.1 GB and
    2.0 GB per megapixel besides the weights' 0.2 GB; up to 768 pixels a side a picture is one block.
    """

    block = 48
    align = 2
    analysis_reach = 3
    blended = 8
    seeded = True
    steps = 65

    def __init__(self, denoiser: Denoiser, compressor: Compressor) -> None:
        super().__init__()
        self.denoise_fn = denoiser
        self.context_fn = compressor

    @property
    def latent_channels(self) -> int:
        """256 in the published weights."""
        return int(self.context_fn.hyper_enc.get_parameter("0.0.weight").shape[1])

    def analyse(self, x: Tensor) -> Tensor:
        """The encoder."""
        return self.context_fn.encode(x * 2 - 1)

    @torch.no_grad()
    def synthesise(self, y_hat: Tensor, noise: Tensor | None = None) -> Tensor:
        """`steps` steps of the U-Net from `noise`, the picture clamped after each, so that it is within [0, 1].

        Sides of y_hat are even. Raises `ValueError` for other latents, another noise or 0 steps.
        """
        batch, _, height, width = y_hat.shape
        shape = (batch, 3, height * self.stride, width * self.stride)
        if noise is None or noise.shape != shape:
            found = "none" if noise is None else tuple(noise.shape)
            raise ValueError(f"cdc decodes latents of {height} x {width} from noise of {shape}, got {found}")
        if height % 2 or width % 2:
            raise ValueError(f"cdc decodes latents of even sides, got {height} x {width}")
        if not 1 <= self.steps <= self.most_steps:
            raise ValueError(f"cdc decodes in 1 to {self.most_steps} steps, not {self.steps}")
        given = self.denoise_fn.conditions(self.context_fn.content(y_hat))
        x = noise
        for step in sampler_steps(self.steps):
            clean = self.denoise_fn(x, x.new_full((1, 1), step.time), given).clamp_(-1, 1)
            x = clean.mul_(step.clean).add_(x, alpha=step.noisy)
        return x.add_(1).mul_(0.5)

    def noise(self, seed: int, height: int, width: int) -> Tensor:
        """Gaussian noise of the standard deviation NOISE_GAIN, (1, 3, height, width), for a seed of 64 bits.

        The raw numbers of Philox are the same in all versions of its library. What becomes of them in float64 is
        rounded to multiples of 2^-16, so that a machine's last bits would tell once in some 10^10 values.
        Raises `ValueError` for another seed.
        """
        if not 0 <= seed < 2**64:
            raise ValueError(f"a seed is a whole number from 0 to 2^64 - 1, not {seed}")
        source = np.random.Philox(key=seed)
        values = np.empty(3 * height * width, dtype=np.float32)
        for start in range(0, values.size, _DRAWN_AT_ONCE):
            part = values[start : start + _DRAWN_AT_ONCE]
            uniform = ((source.random_raw(part.size) >> np.uint64(12)) + 0.5) * 2.0**-52
            part[:] = np.rint(ndtri(uniform) * (NOISE_GAIN * _NOISE_GRID)) / _NOISE_GRID
        return torch.from_numpy(values).view(1, 3, height, width)

    def forward(self, x: Tensor) -> Estimate:
        """As `Network` says, x_hat from the noise of seed 0.

        The loss that the U-Net is trained by is not part of this: x_hat carries no gradient.
        """
        y_hat, y_bits, z_bits = self.context_fn.estimate(self.analyse(x))
        noise = self.noise(0, x.shape[2], x.shape[3]).to(x)
        return Estimate(self.synthesise(y_hat, noise.expand(x.shape)), y_bits, z_bits)

    def latent_coder(self) -> LatentCoder:
        return CdcCoder(self.context_fn)


def from_state(state: Mapping[str, Tensor]) -> Cdc:
    """The networks of a published checkpoint's `ema` (or of its `model`), in evaluation mode.

    The schedule that a checkpoint holds is compared with the published one, never used; weights of the loss are passed
    over. Raises `ValueError` for another architecture or another schedule.
    """
    named = stripped(state)
    averaged = "ema_model."
    if any(name.startswith(averaged) for name in named):
        named = {name[len(averaged) :]: tensor for name, tensor in named.items() if name.startswith(averaged)}
    _check_schedule(named)
    named = {name: tensor for name, tensor in named.items() if not name.startswith(("train_", "loss_fn_vgg."))}
    time = width(named, "denoise_fn.time_mlp.2.weight")
    blocks = "block1.block.0.weight"
    levels = [width(named, f"denoise_fn.downs.{level}.0.{blocks}") for level in range(_LEVELS)]
    encoder = [width(named, f"context_fn.enc.{level}.0.{blocks}") for level in range(_CONTENT_LEVELS)]
    decoder = [width(named, f"context_fn.dec.{level}.1.conv.weight", 1) for level in range(_CONTENT_LEVELS)]
    hyper = [width(named, f"context_fn.hyper_enc.{layer}.0.weight") for layer in range(_HYPER_LAYERS)]
    content = decoder[::-1]
    return filled(lambda: Cdc(Denoiser(time, levels, content), Compressor(encoder, decoder, hyper)), named)


def _check_schedule(state: Mapping[str, Tensor]) -> None:
    found = state.get("train_alphas_cumprod")
    if found is None:
        return
    if found.shape != (TRAINED_STEPS,) or not np.allclose(found.double().numpy(force=True), _kept(), atol=1e-5):
        raise ValueError(
            f"was trained under another noise schedule than the {TRAINED_STEPS} cosine steps of cdc's "
            "x-parameterisation; the epsilon-parameterisation is another codec"
        )
