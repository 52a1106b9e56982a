"""The registry's rows of published neural codecs: their authors' networks, this package's `.misc` files."""

from __future__ import annotations

from miscomp.codecs.rows import CodecRow, Qualities

_BALLE = "Ballé, Minnen, Singh, Hwang, Johnston, ICLR 2018"
_MINNEN = "Minnen, Ballé, Toderici, NeurIPS 2018"
_CHENG = "Cheng, Sun, Takeuchi, Katto, CVPR 2020"

# Name, highest and default quality, kMAC per pixel to decode at the widest, rates on Kodak of MSE and MS-SSIM, what it
# is, paper.
_COMPRESSAI = (
    ("bmshj2018-factorized", 8, 3, 94, "0.12 to 1.83", "0.12 to 1.18", "factorised prior", _BALLE),
    ("bmshj2018-hyperprior", 8, 3, 97, "0.13 to 1.66", "0.11 to 1.16", "scale hyperprior", _BALLE),
    ("mbt2018-mean", 8, 3, 109, "0.12 to 1.62", "0.10 to 1.16", "mean and scale hyperprior", _MINNEN),
    ("mbt2018", 8, 3, 144, "0.11 to 1.59", "0.10 to 1.14", "hyperprior and context model", _MINNEN),
    ("cheng2020-anchor", 6, 3, 587, "0.12 to 0.81", "0.10 to 0.59", "residual blocks, context model", _CHENG),
    ("cheng2020-attn", 6, 3, 637, "0.12 to 0.81", "0.09 to 0.60", "residual blocks, attention, context model", _CHENG),
)


def _row(
    name: str,
    format_id: int,
    *,
    architecture: str,
    qualities: tuple[int, int],
    kmac: int,
    bpp: str,
    what: tuple[str, str],
) -> CodecRow:
    high, default = qualities
    return CodecRow(
        name=name,
        build="miscomp.codecs.published:Published",
        takes_row=True,
        qualities=Qualities(low=1, high=high, default=default, integer=True),
        suffix=".misc",
        media="application/octet-stream",
        description=what[0],
        paper=what[1],
        licence="Apache-2.0",
        format_id=format_id,
        max_side=65536,
        architecture=architecture,
        kmac=kmac,
        seeded=architecture == "cdc",
        typical_bpp=bpp,
    )


def _rows() -> tuple[CodecRow, ...]:
    rows: list[CodecRow] = []
    for number, (name, high, default, kmac, mse, ms_ssim, what, paper) in enumerate(_COMPRESSAI):
        for offset, (suffix, metric, bpp) in enumerate((("", "MSE", mse), ("-ms-ssim", "MS-SSIM", ms_ssim))):
            rows.append(
                _row(
                    name + suffix,
                    2 + 2 * number + offset,
                    architecture=name,
                    qualities=(high, default),
                    kmac=kmac,
                    bpp=bpp,
                    what=(f"{what}; trained for {metric}", paper),
                )
            )
    return tuple(rows)


PUBLISHED: tuple[CodecRow, ...] = (
    *_rows(),
    _row(
        "stf",
        14,
        architecture="stf",
        qualities=(6, 3),
        kmac=411,
        bpp="0.12 to 0.90",
        what=("window attention, channel slices; trained for MSE", "Zou, Song, Zhang, CVPR 2022"),
    ),
    _row(
        "hific",
        15,
        architecture="hific",
        qualities=(3, 1),
        kmac=664,
        bpp="0.14, 0.30, 0.45 aimed at",
        what=("generative; 1 lo, 2 mi, 3 hi", "Mentzer, Toderici, Tschannen, Agustsson, NeurIPS 2020"),
    ),
    *(
        _row(
            name,
            format_id,
            architecture="cdc",
            qualities=(3, 2),
            kmac=45400,
            bpp="",
            what=(f"conditional diffusion, 65 steps; x-parameterisation, {what}", "Yang, Mandt, NeurIPS 2023"),
        )
        for name, format_id, what in (("cdc", 16, "LPIPS weight 0.9"), ("cdc-mse", 17, "LPIPS weight 0"))
    ),
)
