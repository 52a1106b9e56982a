"""What the training of a self-destructing codec is told."""

from __future__ import annotations

from dataclasses import dataclass

from miscomp.training.config import LoopConfig


@dataclass(frozen=True, kw_only=True)
class SecureConfig(LoopConfig):
    """Settings of `miscomp secure train`; tau, alpha and the attacks are the paper's unless said otherwise.

    SLIC: Huang and Wu, "A secure learned image codec for authenticity verification via self-destructive
    compression", 2024, equations 5 and 6 and table 1.
    """

    learning_rate: float = 2e-4
    base: str = "lucid"
    """The codec to begin with: `lucid`, or a published one at a quality (`mbt2018@q8`) or with a file of weights."""
    metric: str = "log-mse+structure"
    """P of equation 6: a name of `metrics.perceptual`."""
    tau: float = 1.0
    alpha: float = 0.0
    """Weight of the adversarial loss; 0: the paper's for the rate-distortion weight, interpolated."""
    lmbda: float = 0.0
    """Rate-distortion weight of a published codec; 0: its authors' at that quality. Needed for weights of a file."""
    quality_low: float = 0.5
    """Lowest quality that is trained, on the scale of `lucid`; published codecs have one quality."""
    quality_high: float = 0.8
    attacks: str = "affine,blur,jpeg,rescale,noise,webp,avif,splice"
    """Edits u of equation 6, names of `secure.attacks` joined by commas; one is drawn for each batch."""
    followed: float = 0.3
    """Share of the batches in which another edit follows; none in the paper."""
    shifted: float = 1.0
    """Share of the batches that are moved off the codec's grid, as by a crop; none in the paper. Less leaves offsets at
    which pictures survive."""
    blur_most: float = 2.0
    """Largest standard deviation of the blur in pixels; 1.5 in the paper."""
    blur_kernel: int = 0
    """Pixels a side that the blur sees, an odd number; 0: as many as it needs. 3 in the paper."""
    jpeg: str = "exact"
    """How JPEG is passed through: a name of `training.jpeg_simulation`."""
    jpeg_weights: str = ""
    """File of weights for the simulation `unet`."""
    jpeg_low: int = 60
    jpeg_high: int = 95
    survive: float = 1.0
    """Weight of keeping what was never coded: spliced content, and whole pictures under the same edits."""
    survive_db: float = 30.0
    """PSNR from which such content counts as kept."""
    fit_batches: int = 200
    """Batches that the range coder's tables are fitted to after the last step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._need_limits(at_least={"lmbda": 0, "alpha": 0, "survive": 0, "fit_batches": 0})
        self._need_positive("tau", "blur_most", "survive_db")
        self._need_limits(at_most={"lmbda": 1e6, "alpha": 1e6, "survive": 1e6, "blur_most": 8.0, "survive_db": 60.0})
        self._need(0 <= self.quality_low <= self.quality_high <= 1, "quality_low", "in [0, 1], at most quality_high")
        for name in ("followed", "shifted"):
            self._need(0 <= getattr(self, name) <= 1, name, "a number in [0, 1]")
        kernel = self.blur_kernel
        self._need(kernel == 0 or (3 <= kernel <= 63 and kernel % 2 == 1), "blur_kernel", "0 or odd, from 3 to 63")
        self._need(1 <= self.jpeg_low <= self.jpeg_high <= 100, "jpeg_low", "from 1 to 100, at most jpeg_high")
