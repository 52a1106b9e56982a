"""Which kind of codec each name of the registry stands for, and why.

What decides is how the decoder was made, not how its pictures look. A decoder that was trained with an adversary, or
that draws from a learned distribution, is generative: it was rewarded for what looks real where the file says nothing.
One that was trained to come close to the original (squared error, MS-SSIM) is neural. Both can miscompress.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from miscomp.codecs.catalog import CODECS
from miscomp.disclose.statement import Coding

_CLASSICAL = ("jpeg", "webp", "avif", "jpeg-xl", "jpeg2000")

_TRAINED = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)
"""Each also in a form that was trained for MS-SSIM."""

_TFCI_TRAINED = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "ms2020")

_NEURAL = (
    "lucid",
    # Its adversary is a second compression, not a judge of what looks real: nothing rewards invented detail.
    "slic",
    *(f"{name}{metric}" for name in _TRAINED for metric in ("", "-ms-ssim")),
    "stf",
    # By what is published of its training: squared error and MS-SSIM, no judge of what looks real.
    "jpeg-ai",
    *(f"tfci-{name}{metric}" for name in _TFCI_TRAINED for metric in ("", "-ms-ssim")),
)

_GENERATIVE = (
    # A conditional GAN: its discriminator rewards texture that looks real.
    "hific",
    "tfci-hific",
    # Conditional diffusion: decoding begins at noise drawn from a seed, another seed gives other detail.
    "cdc",
    # The same decoder without the perceptual loss: closer to the original, still drawn from a distribution.
    "cdc-mse",
)

KINDS: Mapping[str, Coding] = MappingProxyType(
    {
        **dict.fromkeys(_CLASSICAL, Coding.CLASSICAL),
        **dict.fromkeys(_NEURAL, Coding.NEURAL),
        **dict.fromkeys(_GENERATIVE, Coding.GENERATIVE),
    }
)
"""Of every row of the registry of codecs."""


def kind_of(name: str) -> Coding:
    """The kind of a codec of the registry. Raises `UnknownName` for any other name."""
    return KINDS[CODECS[name].name]
