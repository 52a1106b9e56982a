"""HiFiC with the weights of its PyTorch port: a generative codec of three rates.

Mentzer, Toderici, Tschannen and Agustsson, "High-Fidelity Generative Image Compression", NeurIPS 2020. What a state
dict of the port does not say, and its checkpoint's `args` do, are two settings of its training: whether pictures were
brought to [-1, 1] (and the generator's output through tanh), and whether latents are Gaussian or logistic. Of the
published weights, those of the low and the high rate are of the first kind, those of the middle rate are logistic.
Here both settings are part of the state, because without them a state dict decodes to another picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from miscomp.codecs.networks.base import Estimate, LatentCoder, Network
from miscomp.codecs.networks.bottleneck import LEAST_LIKELIHOOD
from miscomp.codecs.networks.gdn import lower_bound
from miscomp.codecs.networks.hific_coder import HificCoder, Hyperprior, latent_likelihood
from miscomp.codecs.networks.hific_transforms import ENCODER_REACH, Encoder, Generator
from miscomp.codecs.networks.state_dicts import filled, stripped, width

_STAGES = 5

# What else lies in a state dict of the port: parts of its training, and tables that follow from the weights.
_FOREIGN = re.compile(
    r"(Discriminator|perceptual_loss)\.|Hyperprior\.(hyperprior_entropy_model|prior_entropy_model|prior_density)\."
)
_BLOCK = re.compile(r"Generator\.resblock_\d{1,4}\.conv1\.weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class HificWidths:
    """Channels of each layer; the defaults are the published ones."""

    encoder: tuple[int, ...] = (60, 120, 240, 480, 960)
    generator: tuple[int, ...] = (960, 480, 240, 120, 60)
    latents: int = 220
    hyper: int = 320
    blocks: int = 9
    """Residual blocks of the generator."""


class Hific(Network):
    """The codec's networks; tensors' names are the port's."""

    analysis_reach = ENCODER_REACH
    block = 128

    def __init__(self, widths: HificWidths, *, normalised: bool = False, logistic: bool = False) -> None:
        """`normalised`: inner pictures are in [-1, 1]; `logistic`: latents are not Gaussian."""
        super().__init__()
        self.Encoder = Encoder(widths.encoder, widths.latents)
        self.Generator = Generator(widths.latents, widths.generator, widths.blocks)
        self.Hyperprior = Hyperprior(widths.latents, widths.hyper)
        self.register_buffer("normalised", torch.tensor(float(normalised)))
        self.register_buffer("logistic", torch.tensor(float(logistic)))
        self.synthesis_reach = self.Generator.reach
        self._latents = widths.latents

    @property
    def latent_channels(self) -> int:
        """220 in the published weights."""
        return self._latents

    def _is(self, setting: str) -> bool:
        return bool(self.get_buffer(setting) != 0)

    def analyse(self, x: Tensor) -> Tensor:
        """The encoder."""
        y: Tensor = self.Encoder(2 * x - 1 if self._is("normalised") else x)
        return y

    def synthesise(self, y_hat: Tensor, noise: Tensor | None = None) -> Tensor:
        """The generator."""
        x_hat: Tensor = self.Generator(y_hat)
        return (x_hat.tanh() + 1) / 2 if self._is("normalised") else x_hat

    def forward(self, x: Tensor) -> Estimate:
        """As the port evaluates: z is rounded, y is rounded around its means, halves up.

        While training, the rate sees uniform noise and so do means and scales, but the generator sees rounded latents,
        through which gradients pass as if they were not rounded.
        """
        y = self.analyse(x)
        z = self.Hyperprior.analysis_net(y)
        z_hat = _noisy(z) if self.training else torch.floor(z + 0.5)
        mean, scale = self.Hyperprior.synthesis_mu(z_hat), self.Hyperprior.synthesis_std(z_hat)
        y_hat = _rounded(y - mean) + mean
        y_seen = _noisy(y) if self.training else y_hat
        y_bits = _bits(latent_likelihood(y_seen - mean, scale, logistic=self._is("logistic")))
        z_bits = _bits(self.Hyperprior.hyperlatent_likelihood.likelihood(z_hat))
        return Estimate(self.synthesise(y_hat), y_bits, z_bits)

    def latent_coder(self) -> LatentCoder:
        """Raises `ValueError` for weights that are too large to compute with exactly."""
        return HificCoder(self.Hyperprior, logistic=self._is("logistic"))


def _noisy(value: Tensor) -> Tensor:
    return value + torch.empty_like(value).uniform_(-0.5, 0.5)


def _rounded(value: Tensor) -> Tensor:
    return value + (torch.floor(value + 0.5) - value).detach()


def _bits(likelihood: Tensor) -> Tensor:
    """(b, ...) to (b). The port adds the bound once more."""
    return -torch.log2(lower_bound(likelihood, LEAST_LIKELIHOOD) + LEAST_LIKELIHOOD).flatten(1).sum(1)


def state_of(state: Mapping[str, Tensor], args: Mapping[str, object]) -> dict[str, Tensor]:
    """What `from_state` needs: a checkpoint's `model_state_dict` with the two settings that stand in its `args`.

    Raises `ValueError` where they do not, or for a training whose decoder draws noise.
    """
    normalised, likelihood = args.get("normalize_input_image"), args.get("likelihood_type")
    if not isinstance(normalised, bool) or likelihood not in ("gaussian", "logistic"):
        raise ValueError(
            f"its args say normalize_input_image={normalised!r} and likelihood_type={likelihood!r}; "
            "allowed: True or False, and gaussian or logistic"
        )
    if args.get("sample_noise", False) is not False:
        raise ValueError("its args say sample_noise: such a decoder draws noise, which no stream can repeat")
    chosen = {"normalised": normalised, "logistic": likelihood == "logistic"}
    return dict(state) | {name: torch.tensor(float(value)) for name, value in chosen.items()}


def state_of_file(state: Mapping[str, Tensor], about: Mapping[str, str | int | float]) -> dict[str, Tensor]:
    """`state_of` with the settings that stand as `args.` beside a file's weights; a state that has them is kept."""
    args = {name.removeprefix("args."): value for name, value in about.items()}
    if "normalised" not in state:
        return state_of(state, args)
    if "likelihood_type" in args:
        said = state_of(state, args)
        if any(float(said[name]) != float(state[name]) for name in ("normalised", "logistic") if name in state):
            raise ValueError("its args and its tensors say different things of its training")
    return dict(state)


def from_state(state: Mapping[str, Tensor]) -> Hific:
    """The codec of a state dict as `state_of` or `Hific.state_dict` gives it; what only training needs is left out.

    Raises `ValueError` for a state dict of another architecture, or one without its two settings.
    """
    named = stripped(state)
    kept = {name: tensor for name, tensor in named.items() if not _FOREIGN.match(name)}
    widths = _widths(kept)
    for setting in ("normalised", "logistic"):
        if setting not in kept:
            raise ValueError(
                f"does not say whether it is {setting}: its tensors alone do not tell which picture they stand for; "
                "give the whole checkpoint, whose args do"
            )
        if kept[setting].numel() != 1 or float(kept[setting]) not in (0, 1):
            raise ValueError(f"{setting} is {kept[setting].flatten()[:3].tolist()}; allowed: 0 or 1")
    return filled(lambda: Hific(widths), kept)


def _widths(state: Mapping[str, Tensor]) -> HificWidths:
    stages = range(1, _STAGES)
    generator = tuple(width(state, f"Generator.upconv_block{stage}.0.weight", 1) for stage in stages)
    return HificWidths(
        encoder=tuple(width(state, f"Encoder.conv_block{stage}.1.weight") for stage in (*stages, _STAGES)),
        generator=(width(state, "Generator.conv_block_init.2.weight"), *generator),
        latents=width(state, "Encoder.conv_block_out.1.weight"),
        hyper=width(state, "Hyperprior.analysis_net.conv1.weight"),
        blocks=sum(_BLOCK.fullmatch(name) is not None for name in state),
    )
