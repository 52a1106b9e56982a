"""Ready sets of codecs and rates for `miscomp corpus init`."""

from __future__ import annotations

from dataclasses import dataclass

from miscomp.corpus.config import Config, Model
from miscomp.registry import Registry

_LOW, _HIGH = 0.25, 0.75
"""The target rates of SCLIC in bits per pixel (section 3.1)."""
_TFC = "the paper used TensorFlow Compression's checkpoint; CompressAI's is another training of the same architecture"
_HIFIC = "the paper used its authors' checkpoint in TensorFlow Compression; this is another training, of a PyTorch port"
_SCLIC_HALVES = (("C1", "C3", "C5", "C6"), ("C2", "C3", "C4", "C6"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A set of models by name."""

    name: str
    about: str
    models: tuple[Model, ...]
    halves: tuple[tuple[str, ...], ...] = ()

    def config(self) -> Config:
        """The settings of a corpus with these models, everything else as in SCLIC."""
        return Config(models=self.models, halves=self.halves)


def _pair(number: int, low: str, high: str, *, rates: tuple[float, float], stand_in: str = "") -> tuple[Model, ...]:
    """The low and the high model of a codec, named as SCLIC does: `03L`, `03H`."""
    return tuple(
        Model(model=f"{number:02d}{letter}", codec=f"C{number}", spec=spec, target_bpp=rate, stand_in=stand_in)
        for letter, spec, rate in zip("LH", (low, high), rates, strict=True)
    )


def _sclic(first_three: tuple[Model, ...]) -> tuple[Model, ...]:
    """SCLIC's codecs; what differs between its profiles is where C1 to C3 come from."""
    # STF: the main text's lambda 0.067 is a slip, the appendix and the rate say 0.0067. CDC: rate weights 2048 and 512.
    return (
        *first_three,
        *_pair(4, "stf@q3", "stf@q5", rates=(_LOW, _HIGH)),
        *_pair(5, "cdc@q1+seed0", "cdc@q3+seed0", rates=(_LOW, _HIGH)),
        *_pair(6, "jpeg-ai@0.25bpp", "jpeg-ai@0.75bpp", rates=(_LOW, _HIGH)),
    )


PROFILES: Registry[Profile] = Registry(
    "profile",
    [
        Profile(
            name="sclic",
            about="SCLIC's C1 to C6 at two rates; C1 to C3 by stand-ins that `miscomp weights fetch` can get",
            models=_sclic(
                (
                    *_pair(
                        1,
                        "bmshj2018-hyperprior@q3",
                        "bmshj2018-hyperprior@q7",
                        rates=(_LOW, _HIGH),
                        stand_in=_TFC,
                    ),
                    *_pair(
                        2,
                        "bmshj2018-hyperprior-ms-ssim@0.25bpp",
                        "bmshj2018-hyperprior-ms-ssim@0.75bpp",
                        rates=(_LOW, _HIGH),
                        stand_in=_TFC,
                    ),
                    *_pair(3, "hific@q1", "hific@q3", rates=(0.14, 0.45), stand_in=_HIFIC),
                )
            ),
            halves=_SCLIC_HALVES,
        ),
        Profile(
            name="sclic-tfci",
            about="the same with the paper's own C1 to C3, by TensorFlow Compression's tfci.py, which you bring",
            models=_sclic(
                (
                    *_pair(1, "tfci-bmshj2018-hyperprior@q3", "tfci-bmshj2018-hyperprior@q7", rates=(_LOW, _HIGH)),
                    *_pair(
                        2,
                        "tfci-bmshj2018-hyperprior-ms-ssim@0.25bpp",
                        "tfci-bmshj2018-hyperprior-ms-ssim@0.75bpp",
                        rates=(_LOW, _HIGH),
                    ),
                    *_pair(3, "tfci-hific@q1", "tfci-hific@q3", rates=(0.14, 0.45)),
                )
            ),
            halves=_SCLIC_HALVES,
        ),
        Profile(
            name="builtin",
            about="what needs no weights of others: lucid, JPEG and AVIF at SCLIC's two target rates",
            models=(
                *_pair(1, "lucid@0.25bpp", "lucid@0.75bpp", rates=(_LOW, _HIGH)),
                *_pair(2, "jpeg@0.25bpp", "jpeg@0.75bpp", rates=(_LOW, _HIGH)),
                *_pair(3, "avif@0.25bpp", "avif@0.75bpp", rates=(_LOW, _HIGH)),
            ),
        ),
    ],
)
