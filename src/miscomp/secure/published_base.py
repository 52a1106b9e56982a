"""Codecs of the papers as bases: one network for one quality, trained as its authors trained it but for the loss.

Of those the six of CompressAI and `stf`. Weights trained for MS-SSIM are no beginning: the loss measures squared
errors, and nothing says which weight of them stands for theirs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.networks.base import Network
from miscomp.codecs.networks.bottleneck import EntropyBottleneck
from miscomp.codecs.networks.stf_coder import ChannelSlices
from miscomp.codecs.published import Published
from miscomp.codecs.published_weights import WeightsOfRow
from miscomp.codecs.spec import CodecSpec, parse_spec
from miscomp.codecs.weight_files import to_bytes, write
from miscomp.errors import UsageError, WeightsError
from miscomp.secure.adversarial import LMBDAS
from miscomp.secure.bases import Base, FirstPass
from miscomp.training.crops import CropSource

TRAINABLE = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
    "stf",
)
"""Rows of the registry that rate and squared error trained."""

_GENERATIVE = ("hific", "cdc")
"""Architectures whose decoders make up what they were not sent."""


class PublishedBase(Base):
    """Networks of a published codec. The qualities of training mean nothing to them: they have one.

    They compute in float32, whatever autocast says: half precision is coarser than the noise that stands for rounding
    of a large latent, and than the last steps of 8-bit pixels.
    """

    def __init__(self, name: str, network: Network, *, lmbda: float) -> None:
        """`network` is trained in place, `lmbda` its rate-distortion weight, for squared errors of values to 255."""
        super().__init__()
        self.name = name
        self.network = network.requires_grad_(True)
        self._lmbda = lmbda
        for density in _densities(network):
            # They have no part in the loss: `export` fits them.
            density.quantiles.requires_grad_(False)

    def first(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> FirstPass:
        with torch.autocast(x.device.type, enabled=False), _drawing_by(noise, x.device):
            out = self.network(x.float())
        return FirstPass(out.x_hat, out.bits)

    def again(self, x: Tensor, quality: Tensor, noise: torch.Generator | None) -> Tensor:
        # Slices predict what rounding took from the ones before them; so there is no way around their entropy model.
        if not self.training or isinstance(self.network, ChannelSlices):
            return self.first(x, quality, noise).x_hat
        with torch.autocast(x.device.type, enabled=False):
            y = self.network.analyse(x.float())
            # What the picture is made of while the others train, with or without a context.
            return self.network.synthesise(y + (torch.rand(y.shape, generator=noise, device=y.device) - 0.5))

    def lmbda(self, quality: Tensor) -> Tensor:
        return torch.full_like(quality, self._lmbda)

    def qualities(self, low: float, high: float) -> tuple[float, float]:
        return 1.0, 1.0

    def codec(self) -> Published:
        """Real coding with a copy of the networks as they are now. Raises `WeightsError` where they cannot code."""
        network = copy.deepcopy(self.network).requires_grad_(False).cpu().float().eval()
        _fit(network, f"{self.name}'s networks in training")
        return Published.of_network(self.name, network)

    def export(self, out: Path, source: CropSource, *, first: int, batches: int) -> str:
        """Write a file for `NAME@file:PATH`, in safetensors; returns the SHA-256.

        Tables follow from the densities alone: no pictures are looked at. Raises `WeightsError` for networks that
        cannot code; then nothing is written.
        """
        network = self.network.cpu().float().eval()
        _fit(network, out)
        try:
            network.latent_coder()
        except ValueError as error:
            raise _cannot_code(out, error) from error
        state = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        return write(out, to_bytes(state, {"architecture": CODECS[self.name].architecture, "lmbda": self._lmbda}))


def open_base(spec: str, start: Path | None, lmbda: float = 0.0) -> PublishedBase:
    """A codec at a quality (`mbt2018@q8`) with its own weights or those of `start`, or `mbt2018@file:PATH`.

    `lmbda` is the rate-distortion weight to train for; 0: that of the quality. Raises `UsageError` for a codec that
    cannot be trained, or where no quality says the weight, and `WeightsError`.
    """
    wanted = parse_spec(spec)
    _check_trainable(wanted)
    if start is not None and wanted.file is not None:
        raise UsageError(f"the base {spec} has a file already, and {start} is to begin with; give one of them")
    row, file = CODECS[wanted.name], start or (None if wanted.file is None else Path(wanted.file))
    # A name alone stands for a default quality; a file is not of that quality for it.
    quality = wanted.quality if file is None or "@q" in spec else None
    if quality is None and not lmbda:
        raise UsageError(
            f"nothing says for which rate-distortion weight {file} is to be trained; give the setting lmbda, such as "
            f"{LMBDAS[2]} for quality 3, or {wanted.name}@q3 as the base and the file as start"
        )
    loaded = WeightsOfRow(row, file).at(int(wanted.quality or row.qualities.default))
    # Copied, because the loaded networks are those that the codec itself keeps in memory.
    network = copy.deepcopy(loaded.network)
    return PublishedBase(wanted.name, network, lmbda=lmbda or LMBDAS[int(quality or 0) - 1])


def _check_trainable(wanted: CodecSpec) -> None:
    row = CODECS[wanted.name]
    if row.architecture in _GENERATIVE:
        raise UsageError(
            f"{row.name} cannot be a base: its decoder is generative, and the losses that train such are not built; "
            f"take lucid, {', '.join(TRAINABLE)}"
        )
    if row.name not in TRAINABLE:
        plain = row.name.removesuffix("-ms-ssim")
        problem = "has no networks"
        if plain in TRAINABLE:
            problem = f"is trained for MS-SSIM, and this training measures squared errors; its sibling is {plain}"
        raise UsageError(f"{row.name} cannot be a base: it {problem}; take lucid, {', '.join(TRAINABLE)}")
    if wanted.bpp is not None or wanted.like is not None:
        raise UsageError(f"the base {wanted} has to be at a quality, such as {row.name}@q3, or {row.name}@file:PATH")


def _densities(network: Network) -> list[EntropyBottleneck]:
    return [module for module in network.modules() if isinstance(module, EntropyBottleneck)]


def _fit(network: Network, where: object) -> None:
    try:
        for density in _densities(network):
            density.fit_quantiles()
    except ValueError as error:
        raise _cannot_code(where, error) from error


def _cannot_code(where: object, error: ValueError) -> WeightsError:
    return WeightsError(where, f"the trained networks cannot code ({error}); train with a lower learning rate")


@contextmanager
def _drawing_by(noise: torch.Generator | None, device: torch.device) -> Iterator[None]:
    """Inside, torch's own generators, which the networks draw from, begin where `noise` says; behind it, as before."""
    if noise is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=noise, device=noise.device))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
