"""The attacker u of the paper's equation 6: edits that gradients pass through, drawn at random for each batch.

The paper's are `affine`, `blur` and `jpeg` (section 3.3, with the ranges of the authors' code). The others are ours:
`rescale` and `noise` (what a forger's tools add), `webp` and `avif`, and `splice`: content that was never coded, which
has to survive for a splice to show. An edit may be followed by another, since forgeries are saved after they are made.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from miscomp.errors import UsageError
from miscomp.tensors import eight_bit, to_pixels, to_tensor
from miscomp.training.jpeg_simulation import JpegSimulation

AFFINE_DEGREES, AFFINE_SHIFT, AFFINE_SCALE = 10.0, 0.1, (0.9, 1.1)
BLUR_LEAST = 0.1
RESCALE = (0.4, 0.95)
NOISE_MOST = 4.0 / 255
SPLICE_SHARE = (0.03, 0.6)
"""Shares of a spliced picture's area, drawn on a logarithmic scale."""
WHOLE_SHARE = 0.25
"""Splices in which nothing is left of the coded picture: what was never coded must survive these edits too."""
GRID = 16
"""Pixels a side that a latent stands for."""
WEBP_QUALITY, AVIF_QUALITY = (60, 95), (50, 90)


@dataclass(frozen=True, slots=True, eq=False)
class Attacked:
    """What an attacker made of a batch."""

    pixels: Tensor
    """(b, 3, h, w) in [0, 1], as 8 bits hold it."""
    kind: str
    foreign: Tensor | None = None
    """(b, 1, h, w): 1 where the content was never coded, 0 elsewhere; none where all of it was."""


@dataclass(frozen=True, kw_only=True)
class Attacker:
    """Draws an edit and applies it."""

    kinds: Sequence[str]
    jpeg: JpegSimulation
    jpeg_quality: tuple[int, int] = (70, 95)
    blur_most: float = 1.5
    blur_kernel: int = 0
    """Pixels a side; 0: as wide as the blur needs. The paper has 3."""
    followed: float = 0.0
    """Share of the batches whose edit is followed by another one."""
    shifted: float = 0.0
    """Share of the batches whose pictures are moved off the codec's grid, each by its own number of rows and columns:
    a perturbation that is seen in its place alone would be gone after a crop."""
    _edits: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._edits.update(affine=affine, blur=self._blur, jpeg=self._jpeg, rescale=rescale, noise=add_noise)
        self._edits.update(webp=webp, avif=avif)
        for kind in self.kinds:
            if kind not in (*self._edits, "splice"):
                raise UsageError(f"there is no attack {kind!r}; known: {', '.join((*self._edits, 'splice'))}")
        if not self.kinds:
            raise UsageError("at least one attack is needed")

    def __call__(self, x1: Tensor, x: Tensor, rng: torch.Generator) -> Attacked:
        """Edit coded pictures x1; x (as large) are the originals, a source of content that was never coded.

        `rng` lives on the CPU, so that the same seed draws the same edits on any device. Half precision is too coarse
        for 8 bits, so edits are in float32 whatever autocast says.
        """
        with torch.autocast(x1.device.type, enabled=False):
            return self._attack(x1.float().contiguous(), x.float(), rng)

    def _attack(self, x1: Tensor, x: Tensor, rng: torch.Generator) -> Attacked:
        kind = self.kinds[_choice(len(self.kinds), rng)]
        foreign, edited = None, x1
        if kind == "splice":
            foreign, edited = self._spliced(x1, x, rng)
        else:
            edited = self._edits[kind](edited, rng)
        whole = foreign is not None and bool(foreign.amin() == 1)
        # What was never coded has to survive edited too; unedited it does so in every first compression.
        if whole or _uniform(rng) < self.followed:
            edited = self._follow(edited.clamp(0, 1).contiguous(), rng, moving=foreign is None)
        if _uniform(rng) < self.shifted:
            edited, foreign = _moved_off_grid(edited, foreign, rng)
        return Attacked(eight_bit(edited), "whole" if whole else kind, foreign)

    def _spliced(self, x1: Tensor, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where other originals stand in the coded pictures, and these pictures."""
        whole = _uniform(rng) < WHOLE_SHARE
        mask = torch.ones_like(x1[:, :1]) if whole else regions(x1, rng)
        # The next picture of the batch: a batch of one takes its own original, mirrored.
        donor = x.roll(1, 0) if len(x) > 1 else x.flip(-1)
        return mask, torch.where(mask > 0, donor, x1)

    def _follow(self, edited: Tensor, rng: torch.Generator, *, moving: bool) -> Tensor:
        """Another edit behind the first; one that moves things only where no mask would have to move with them."""
        followers = [name for name in self.kinds if name != "splice" and (moving or name != "affine")]
        return self._edits[followers[_choice(len(followers), rng)]](edited, rng) if followers else edited

    def _blur(self, x: Tensor, rng: torch.Generator) -> Tensor:
        sigma = BLUR_LEAST + (self.blur_most - BLUR_LEAST) * _uniform(rng)
        return blur(x, sigma, kernel=self.blur_kernel)

    def _jpeg(self, x: Tensor, rng: torch.Generator) -> Tensor:
        low, high = self.jpeg_quality
        quality = torch.randint(low, high + 1, (len(x),), generator=rng).to(x)
        decoded: Tensor = self.jpeg(x, quality)
        return decoded


def affine(x: Tensor, rng: torch.Generator) -> Tensor:
    """Rotate, shift and scale each picture (b, 3, h, w) at random, bilinear, black outside."""
    from kornia.geometry.transform import get_affine_matrix2d, warp_affine

    count, height, width = len(x), x.shape[2], x.shape[3]
    angle, across, down, size = (2 * torch.rand(4, count, generator=rng) - 1).to(x.device, torch.float32)
    shift = AFFINE_SHIFT * torch.stack([across * width, down * height], 1)
    scale = AFFINE_SCALE[0] + (AFFINE_SCALE[1] - AFFINE_SCALE[0]) * (size[:, None].expand(-1, 2) + 1) / 2
    centre = torch.tensor([[(width - 1) / 2, (height - 1) / 2]], device=x.device).expand(count, -1)
    matrix = get_affine_matrix2d(shift, centre, scale, AFFINE_DEGREES * angle)[:, :2]
    moved: Tensor = warp_affine(x, matrix, (height, width), padding_mode="zeros", align_corners=True)
    return moved


def blur(x: Tensor, sigma: float, *, kernel: int = 0) -> Tensor:
    """Gaussian blur; `kernel` pixels a side, or 3 sigmas to each side for 0."""
    from kornia.filters import gaussian_blur2d

    side = kernel or 2 * math.ceil(3 * sigma) + 1
    blurred: Tensor = gaussian_blur2d(x, (side, side), (sigma, sigma), border_type="replicate")
    return blurred


def rescale(x: Tensor, rng: torch.Generator) -> Tensor:
    """Make the batch smaller by a random factor and bring it back, as screenshots and uploads do."""
    factor = RESCALE[0] + (RESCALE[1] - RESCALE[0]) * _uniform(rng)
    mode = ("bilinear", "bicubic")[_choice(2, rng)]
    size = [max(1, round(side * factor)) for side in x.shape[-2:]]
    small = nn.functional.interpolate(x, size, mode=mode, antialias=True, align_corners=False)
    return nn.functional.interpolate(small, x.shape[-2:], mode=mode, align_corners=False)


def add_noise(x: Tensor, rng: torch.Generator) -> Tensor:
    """Add Gaussian noise of a random strength."""
    noise = torch.randn(x.shape, generator=rng).to(x.device)
    return x + NOISE_MOST * _uniform(rng) * noise


def webp(x: Tensor, rng: torch.Generator) -> Tensor:
    """Real WebP at a random quality; the gradient is the identity's."""
    return _saved(x, "WEBP", WEBP_QUALITY, rng)


def avif(x: Tensor, rng: torch.Generator) -> Tensor:
    """Real AVIF at a random quality, fast; the gradient is the identity's."""
    return _saved(x, "AVIF", AVIF_QUALITY, rng)


def _saved(x: Tensor, kind: str, qualities: tuple[int, int], rng: torch.Generator) -> Tensor:
    """Pictures as a format's file holds them, with the gradient of the identity."""
    low, high = qualities
    quality = low + _choice(high - low + 1, rng)
    settings = {"speed": 9, "max_threads": 1} if kind == "AVIF" else {}
    read = []
    for one in x.detach():
        file = io.BytesIO()
        Image.fromarray(to_pixels(one[None])).save(file, kind, quality=quality, **settings)
        read.append(to_tensor(np.array(Image.open(file).convert("RGB"))))
    return x + (torch.cat(read).to(x.device) - x).detach()


def _moved_off_grid(x: Tensor, mask: Tensor | None, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """Cut rows off the top and columns off the left of each picture and of its mask; the last ones are repeated."""
    height, width = x.shape[-2:]
    pictures, masks = [], []
    for index in range(len(x)):
        down, across = _choice(GRID, rng), _choice(GRID, rng)
        rows = (torch.arange(height, device=x.device) + down).clamp_max(height - 1)
        columns = (torch.arange(width, device=x.device) + across).clamp_max(width - 1)
        pictures.append(x[index][:, rows][:, :, columns])
        if mask is not None:
            masks.append(mask[index][:, rows][:, :, columns])
    return torch.stack(pictures), torch.stack(masks) if masks else None


def regions(x: Tensor, rng: torch.Generator) -> Tensor:
    """(b, 1, h, w): 1 inside a random ellipse or rectangle of each picture, 0 outside."""
    count, height, width = len(x), x.shape[2], x.shape[3]
    draws = torch.rand(count, 6, generator=rng).to(x.device)
    rows = (torch.arange(height, device=x.device) + 0.5)[None, :, None]
    columns = (torch.arange(width, device=x.device) + 0.5)[None, None, :]
    low, high = (math.log(share) for share in SPLICE_SHARE)
    area = (low + (high - low) * draws[:, 0]).exp() * height * width
    stretch = (math.log(2) * (2 * draws[:, 1] - 1)).exp()
    round_ = draws[:, 2] < 0.5
    # Half axes; an ellipse needs longer ones for the same area.
    half = torch.where(round_, (area / math.pi).sqrt(), area.sqrt() / 2)
    across, down = (half * stretch.sqrt())[:, None, None], (half / stretch.sqrt())[:, None, None]
    u = (columns - (draws[:, 3] * width)[:, None, None]) / across
    v = (rows - (draws[:, 4] * height)[:, None, None]) / down
    inside = torch.where(round_[:, None, None], u * u + v * v <= 1, torch.maximum(u.abs(), v.abs()) <= 1)
    return inside[:, None].to(x.dtype)


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


def _choice(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=rng))
