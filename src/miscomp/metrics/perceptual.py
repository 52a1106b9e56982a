"""Differentiable metrics by name: how far two pictures are apart, as losses need it.

Each is an `nn.Module` that takes x and x_hat (b, 3, h, w) in [0, 1] and gives one value per image (b), larger for more
different pictures, 0 for equal ones (but for the logarithms) and with finite gradients everywhere. To add one: a module
and a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from miscomp.errors import WeightsError
from miscomp.registry import Registry, load

if TYPE_CHECKING:
    from torch import nn

    from miscomp.metrics.pretrained import State


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualRow:
    """One metric."""

    name: str
    build: str
    """The class as `module:attribute`; it takes the states of `weights`, in their order."""
    description: str
    """What it measures, and who published it."""
    weights: tuple[str, ...] = ()
    """Files of trained weights that it needs, as `miscomp weights` calls them."""


PERCEPTUAL: Registry[PerceptualRow] = Registry(
    "metric",
    [
        PerceptualRow(name="mse", build="miscomp.metrics.mse:Mse", description="mean squared error"),
        PerceptualRow(
            name="ms-ssim",
            build="miscomp.metrics.ms_ssim_loss:MsSsimLoss",
            description="1 - MS-SSIM (Wang, Simoncelli and Bovik 2003); at least 161 pixels a side",
        ),
        PerceptualRow(
            name="gmsd",
            build="miscomp.metrics.gmsd_loss:GmsdLoss",
            description="deviation of the gradient magnitudes' similarity (Xue, Zhang, Mou and Bovik 2014)",
        ),
        PerceptualRow(
            name="nlpd",
            build="miscomp.metrics.nlpd:Nlpd",
            description="normalised Laplacian pyramid distance (Laparra, Balle, Berardino and Simoncelli 2016)",
        ),
        PerceptualRow(
            name="vgg",
            build="miscomp.metrics.vgg_loss:VggLoss",
            weights=("vgg16",),
            description="squared difference of VGG-16 features (Simonyan and Zisserman 2015), as in SLIC",
        ),
        PerceptualRow(
            name="lpips",
            build="miscomp.metrics.lpips:Lpips",
            weights=("vgg16", "lpips-vgg"),
            description="LPIPS 0.1 on VGG-16 (Zhang, Isola, Efros, Shechtman and Wang 2018)",
        ),
        PerceptualRow(
            name="dists",
            build="miscomp.metrics.dists:Dists",
            weights=("vgg16", "dists"),
            description="structure and texture of VGG-16 features (Ding, Ma, Wang and Simoncelli 2022)",
        ),
        PerceptualRow(
            name="log-mse",
            build="miscomp.metrics.log_mse:LogMse",
            description="PSNR above the lowest that a picture allows, in steps of 20 dB; this project's",
        ),
        PerceptualRow(
            name="log-mse+structure",
            build="miscomp.metrics.log_mse:LogMseStructure",
            description="the same, less what is left of the picture's structure; this project's",
        ),
    ],
)


def open_metric(name: str, states: Mapping[str, State] | None = None) -> nn.Module:
    """The metric of that name, with fixed weights from `states`; those that it does not need are left alone.

    Raises `UnknownName`, `MissingExtra`, `WeightsError` where weights are missing, and `pretrained.Misfit`, a
    `ValueError`, for a state that does not fit.
    """
    row, given = PERCEPTUAL[name], states or {}
    missing = [weights for weights in row.weights if weights not in given]
    if missing:
        raise missing_weights(row.name, missing)
    metric: nn.Module = load(row.build)(*(given[weights] for weights in row.weights))
    return metric.eval().requires_grad_(False)


def missing_weights(name: str, missing: list[str]) -> WeightsError:
    """What to say where files of weights are not there."""
    files = " and ".join(missing)
    return WeightsError(
        f"metric {name}",
        f"needs the trained weights {files}, which are not on this machine; get them with: miscomp weights fetch "
        f"{' '.join(missing)}, or give files of your own",
    )
