"""What the paper on SLIC reports on the Kodak images: Tables 3 and 4 of Huang and Wu, "A Secure Learned Image Codec
for Authenticity Verification via Self-Destructive Compression", Big Data and Cognitive Computing 9(1):14, 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SOURCE = "Huang and Wu, Big Data and Cognitive Computing 9(1):14, 2025, Tables 3 and 4, Kodak"

WARNING = (
    "The paper says PSNR; its published code stretches both pictures to the full range first (here: normalised PSNR). "
    "Which of the two its tables hold is not known."
)

_EDITS = ("crop", "blur", "median", "sharpen", "lighten", "equalise", "affine", "jpeg")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSlic:
    """Means over the 24 Kodak images, in dB; the rates are not published."""

    name: str
    """Codec and metric that it was trained with."""
    psnr_db: float
    """Of the first compression to the original."""
    again_db: float
    """Of the re-compression to the first compression."""
    edits_db: Mapping[str, float] = field(default_factory=dict)
    """Of the re-compression to the edited picture, by the edit's name here; empty where it is not in Table 4."""


def _edited(*values: float) -> dict[str, float]:
    return dict(zip(_EDITS, values, strict=True))


PUBLISHED = (
    PublishedSlic(
        name="Balle2018 + LPIPS",
        psnr_db=39.74,
        again_db=5.68,
        edits_db=_edited(7.20, 6.62, 5.75, 5.89, 5.75, 5.22, 6.54, 8.69),
    ),
    PublishedSlic(
        name="Balle2018 + DISTS",
        psnr_db=39.81,
        again_db=5.11,
        edits_db=_edited(6.50, 7.48, 6.04, 5.14, 6.44, 5.37, 9.68, 7.29),
    ),
    PublishedSlic(
        name="Minnen2018 + LPIPS",
        psnr_db=40.35,
        again_db=5.52,
        edits_db=_edited(6.99, 6.39, 6.07, 6.77, 5.72, 6.07, 7.89, 11.55),
    ),
    PublishedSlic(
        name="Cheng2020 + LPIPS",
        psnr_db=39.53,
        again_db=5.79,
        edits_db=_edited(5.85, 7.41, 6.81, 6.99, 7.17, 5.83, 6.42, 8.19),
    ),
    PublishedSlic(name="Balle2018 + GMSD", psnr_db=39.74, again_db=8.42),
    PublishedSlic(name="Balle2018 + NLPD", psnr_db=40.67, again_db=30.64),
    PublishedSlic(name="Balle2018 + VGG loss", psnr_db=40.72, again_db=43.05),
    PublishedSlic(name="Balle2018 + MSE", psnr_db=40.70, again_db=47.87),
    PublishedSlic(name="Balle2018 + MS-SSIM", psnr_db=40.60, again_db=47.27),
)
"""Table 4's Kodak rows and then what Table 3 alone has; the two agree where they overlap."""
