"""The registry's rows of codecs that are run as programs; see `docs/external_codecs.md`."""

from __future__ import annotations

from miscomp.codecs.rows import CodecRow, Qualities

_BALLE = "Ballé, Minnen, Singh, Hwang, Johnston, ICLR 2018"
_MINNEN = "Minnen, Ballé, Toderici, NeurIPS 2018"
_MINNEN_2020 = "Minnen, Singh, ICIP 2020"
_HIFIC = "Mentzer, Toderici, Tschannen, Agustsson, NeurIPS 2020"

# Name behind `tfci-`, number of models, which is tried first, what it is, paper.
_TFCI = (
    ("bmshj2018-factorized", 8, 3, "factorised prior; trained for MSE", _BALLE),
    ("bmshj2018-factorized-ms-ssim", 8, 3, "factorised prior; trained for MS-SSIM", _BALLE),
    ("bmshj2018-hyperprior", 8, 3, "scale hyperprior; trained for MSE", _BALLE),
    ("bmshj2018-hyperprior-ms-ssim", 8, 3, "scale hyperprior; trained for MS-SSIM", _BALLE),
    ("mbt2018-mean", 8, 3, "mean and scale hyperprior; trained for MSE", _MINNEN),
    ("mbt2018-mean-ms-ssim", 8, 3, "mean and scale hyperprior; trained for MS-SSIM", _MINNEN),
    ("hific", 3, 1, "HiFiC, its authors' weights: lo, mi, hi", _HIFIC),
    ("ms2020", 10, 3, "channel-wise context, 10 slices; trained for MSE", _MINNEN_2020),
    ("ms2020-ms-ssim", 9, 3, "channel-wise context, 8 slices; trained for MS-SSIM", _MINNEN_2020),
)

EXTERNAL: tuple[CodecRow, ...] = (
    CodecRow(
        name="jpeg-ai",
        build="miscomp.codecs.jpeg_ai:open_software",
        recognise="miscomp.codecs.jpeg_ai:codec_of",
        takes_row=True,
        # The target rate in hundredths: the papers' 0.25 bpp is quality 25.
        qualities=Qualities(low=6, high=200, default=25, integer=True, unit="bpp x 100", per_bpp=100),
        suffix=".bits",
        media="application/octet-stream",
        description="JPEG AI by its reference software, run as a program (bring your own)",
        licence="reference software: BSD-style of ITU/ISO, no patent rights; not part of miscomp",
        max_side=65535,
    ),
    *(
        CodecRow(
            name=f"tfci-{name}",
            build="miscomp.codecs.tfci:open_family",
            recognise="miscomp.codecs.tfci:codec_of",
            takes_row=True,
            qualities=Qualities(low=1, high=high, default=default, integer=True),
            suffix=".tfci",
            media="application/octet-stream",
            description=f"{what}; by TensorFlow Compression's tfci.py, run as a program (bring your own)",
            paper=paper,
            licence="tfci.py: Apache-2.0; not part of miscomp",
        )
        for name, high, default, what, paper in _TFCI
    ),
)
