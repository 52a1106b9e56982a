"""Which trained weights the published codecs and metrics have, and where their authors keep them.

To add a codec's files: one more row of `_FAMILIES`; a metric's: one more of `METRIC_CHECKPOINTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from miscomp.errors import UnknownName, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One file of weights: a codec at one quality, or what a metric needs."""

    name: str
    """How it is asked for: `mbt2018@q3`, `vgg16`."""
    codec: str = ""
    """The registry row; empty for a metric's."""
    quality: int = 0
    """From 1 on; 0 for a metric's, which has none."""
    filename: str
    """Its name in the cache: as published, but for `vgg.pth` and `weights.pt`, which say too little."""
    url: str
    """Where `miscomp weights fetch` gets it; empty for a file that its user has to bring."""
    sha256: str
    """Its first digits, as many as are known (8 for CompressAI's, 64 at best); empty where its authors give none."""
    source: str
    """Whose training it is and where to look for it, in words."""
    licence: str
    note: str = ""
    """What to know before figures are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The files of a registry row, qualities from 1 on."""

    files: tuple[str, ...]
    root: str
    """What stands before the file's name in its address; empty for files that their user has to bring."""
    source: str
    licence: str
    digits: tuple[str, ...] = ()
    """First digits of each file's SHA-256; none where they are not known."""
    notes: tuple[str, ...] = ()
    """One for each file, or one for all."""


_COMPRESSAI = "https://compressai.s3.amazonaws.com/models/v1/"
_CDC = "https://huggingface.co/rhyang/CDC_params/resolve/main/x_param/"

# Stem of the file names, and the digits that stand in them. The spelling with `_` and the added words are CompressAI's.
_DIGITS = {
    "bmshj2018-factorized": (
        "bmshj2018-factorized-prior",
        "446d5c7f 87279a02 5c6f152b 1ed4405a 866ba797 9b02ea3a 6dfd6734 5232faa3",
    ),
    "bmshj2018-factorized-ms-ssim": (
        "bmshj2018-factorized-ms-ssim",
        "9781d705 4a584386 5352f123 4f91b847 b3a88897 ee028763 8c265a29 8811bd14",
    ),
    "bmshj2018-hyperprior": (
        "bmshj2018-hyperprior",
        "7eb97409 93677231 6d87be32 de1b779c f8b614e1 1ab9c41e 3804dcbd a583f0cf",
    ),
    "bmshj2018-hyperprior-ms-ssim": (
        "bmshj2018-hyperprior-ms-ssim",
        "5cf249be 1ff60d1f 92dd7878 4377354e c34afc8d 3a6d8229 8747d3bc cc15b5f3",
    ),
    "mbt2018-mean": ("mbt2018-mean", "e522738d e54a039d 723404a8 6dba02a3 d504e8eb a19628ab d5d441d1 8089ae3e"),
    "mbt2018-mean-ms-ssim": (
        "mbt2018-mean-ms-ssim",
        "5bf9c0b6 e2a1bf3f 640ce819 12626c13 1be7f059 b83bf379 ddf9644c 0cc7b94f",
    ),
    "mbt2018": ("mbt2018", "3f36cd77 43b70cdd 22901978 456e2af9 b4a046dd 7052e5ea 8ba2bf82 dd0097aa"),
    "mbt2018-ms-ssim": ("mbt2018-ms-ssim", "2878436b c41cb208 d0dd64e8 a120e037 9b30e3b7 f8b3626f 16e6ff50 0cb49d43"),
    "cheng2020-anchor": ("cheng2020-anchor", "dad2ebff a29008eb e49be189 98b0b468 23852949 4c052b1a"),
    "cheng2020-anchor-ms-ssim": ("cheng2020_anchor-ms-ssim", "20f521db c7ff5812 c23e22d5 0e658304 c0a95e77 f2dc1913"),
    "cheng2020-attn": ("cheng2020_attn-mse", "465f2b64 e0805385 2d07bbdf f7b0ccf2 26c8920e 730501f2"),
    "cheng2020-attn-ms-ssim": ("cheng2020_attn-ms-ssim", "c5381d91 5dad201d 5c9be841 8b2f647e 5ca1f34c 216423ec"),
}

_LAMBDA_MSE = ("0.0018", "0.0035", "0.0067", "0.013", "0.025", "0.0483", "0.0932", "0.18")
_LAMBDA_MS_SSIM = ("2.4", "4.58", "8.73", "16.64", "31.73", "60.5", "115.37", "220")


def _compressai(codec: str, stem: str, digits: tuple[str, ...]) -> _Family:
    metric, lambdas = ("MS-SSIM", _LAMBDA_MS_SSIM) if codec.endswith("-ms-ssim") else ("MSE", _LAMBDA_MSE)
    return _Family(
        files=tuple(f"{stem}-{quality}-{start}.pth.tar" for quality, start in enumerate(digits, start=1)),
        root=_COMPRESSAI,
        source="trained by InterDigital for CompressAI (github.com/InterDigitalInc/CompressAI, compressai/zoo)",
        licence="none stated for the weights; CompressAI's repository is BSD-3-Clause-Clear",
        digits=digits,
        notes=tuple(f"trained for {metric}, lambda {value}" for value in lambdas[: len(digits)]),
    )


def _cdc(lpips: str, ending: str, betas: tuple[str, ...]) -> _Family:
    return _Family(
        files=tuple(f"image-l2-use_weight5-vimeo-d64-t8193-b{beta}-x-cosine-01-float32-{ending}.pt" for beta in betas),
        root=_CDC,
        source="trained by CDC's authors (huggingface.co/rhyang/CDC_params, x_param)",
        licence="none stated for the weights; the repository buggyyang/CDC_compression is MIT",
        notes=tuple(f"x-parameterisation, LPIPS weight {lpips}, rate weight {beta}" for beta in betas),
    )


_FAMILIES: dict[str, _Family] = {
    **{codec: _compressai(codec, stem, tuple(digits.split())) for codec, (stem, digits) in _DIGITS.items()},
    "stf": _Family(
        files=tuple(f"stf_{value.removeprefix('0.')}.pth.tar" for value in _LAMBDA_MSE[:6]),
        root="",
        source="trained by STF's authors; github.com/Googolxx/STF links to the files",
        licence="none stated for the weights; the repository Googolxx/STF says MIT (LICENSE) and Apache-2.0 (setup.py)",
        notes=tuple(f"trained for MSE, lambda {value}" for value in _LAMBDA_MSE[:6]),
    ),
    "hific": _Family(
        files=("hific_low.pt", "hific_med.pt", "hific_hi.pt"),
        root="",
        source="trained by J. Tan for the PyTorch port of HiFiC (zenodo.org/record/4026003), not by HiFiC's authors",
        licence="Apache-2.0, the port's",
        notes=(
            "lo: aimed at 0.14 bpp",
            "mi: aimed at 0.30 bpp; other than lo and hi it was trained with logistic latents",
            "hi: aimed at 0.45 bpp; a user of the port measured 0.30 (issue 25 there)",
        ),
    ),
    "cdc": _cdc("0.9", "aux0.9lpips_2", ("0.2048", "0.1024", "0.0512")),
    "cdc-mse": _cdc("0", "aux0.0_2", ("0.0128", "0.0064", "0.0032")),
}

CODECS_WITH_CHECKPOINTS: tuple[str, ...] = tuple(_FAMILIES)
"""The registry rows that have checkpoints."""

METRIC_CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        name="vgg16",
        filename="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
        source="VGG-16 trained on ImageNet for torchvision (github.com/pytorch/vision)",
        licence="none stated for the weights; torchvision's repository is BSD-3-Clause",
        note="528 MB; the metrics vgg, lpips and dists need its convolutions",
    ),
    Checkpoint(
        name="lpips-vgg",
        filename="lpips-v0.1-vgg.pth",
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth",
        # Of lpips/weights/v0.1/vgg.pth in the authors' package lpips 0.1.4 on PyPI.
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        source="trained by LPIPS' authors (github.com/richzhang/PerceptualSimilarity, lpips/weights/v0.1)",
        licence="BSD-2-Clause, the repository's",
        note="linear layers of LPIPS 0.1; the metric lpips needs them beside vgg16",
    ),
    Checkpoint(
        name="dists",
        filename="dists-weights.pt",
        url="https://raw.githubusercontent.com/dingkeyan93/DISTS/master/DISTS_pytorch/weights.pt",
        # Of DISTS_pytorch/weights.pt in the authors' package DISTS-pytorch 0.1 on PyPI.
        sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
        source="trained by DISTS' authors (github.com/dingkeyan93/DISTS, DISTS_pytorch)",
        licence="MIT, the repository's",
        note="alpha and beta of DISTS; the metric dists needs them beside vgg16",
    ),
)
"""What the differentiable metrics need; one file each."""

_QUALITY = re.compile(r"q(\d{1,3})", re.ASCII)


def checkpoints_of(codec: str) -> tuple[Checkpoint, ...]:
    """The checkpoints of a registry row, qualities rising; empty for a codec without."""
    family = _FAMILIES.get(codec)
    if family is None:
        return ()
    none = ("",) * len(family.files)
    notes = family.notes if len(family.notes) != 1 else family.notes * len(family.files)
    return tuple(
        Checkpoint(
            name=f"{codec}@q{quality}",
            codec=codec,
            quality=quality,
            filename=file,
            url=family.root and family.root + file,
            sha256=digits,
            source=family.source,
            licence=family.licence,
            note=note,
        )
        for quality, (file, digits, note) in enumerate(
            zip(family.files, family.digits or none, notes or none, strict=True), start=1
        )
    )


def all_checkpoints() -> tuple[Checkpoint, ...]:
    """Every checkpoint of every registry row, then those of metrics."""
    codecs = (checkpoint for codec in CODECS_WITH_CHECKPOINTS for checkpoint in checkpoints_of(codec))
    return (*codecs, *METRIC_CHECKPOINTS)


def find_checkpoints(text: str) -> tuple[Checkpoint, ...]:
    """What `NAME` (all its qualities) or `NAME@q3` asks for. Raises `UnknownName` or `UsageError`."""
    name, at, setting = text.partition("@")
    found = checkpoints_of(name) or tuple(one for one in METRIC_CHECKPOINTS if one.name == name)
    if not found:
        known = (*CODECS_WITH_CHECKPOINTS, *(one.name for one in METRIC_CHECKPOINTS))
        raise UnknownName("name of published weights", name, known)
    if not at:
        return found
    match = _QUALITY.fullmatch(setting)
    chosen = tuple(checkpoint for checkpoint in found if match and checkpoint.quality == int(match[1]))
    if not chosen:
        allowed = f"{name} for all its qualities, or one of {found[0].name} to {found[-1].name}"
        raise UsageError(f"{text!r} names no weights of {name}; write {allowed if found[0].codec else name}")
    return chosen
