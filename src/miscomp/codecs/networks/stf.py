"""`stf`: transforms of window attention and an entropy model of channel slices.

Zou, Song and Zhang, "The devil is in the details: window-based attention for image compression", CVPR 2022. Tokens
attend only inside windows, so that the transforms see no further than 12 latents at the published depths. A block of a
picture comes out as in the whole if it and what is around it begin and end at multiples of 4 latents, 64 pixels, where
the windows of all stages begin.

Training here goes without the published code's stochastic depth; it is meant for fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from torch import Tensor, nn

from miscomp.codecs.networks.base import Estimate
from miscomp.codecs.networks.state_dicts import clean_state, filled, width
from miscomp.codecs.networks.stf_coder import ChannelSlices, EntropyWidths
from miscomp.codecs.networks.stf_transforms import WINDOW, Merge, PatchEmbed, Split, Stage, seen_beyond

_STAGES = 4
_MOST = 64
"""Most blocks of a stage, and most slices, that a state dict may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StfWidths:
    """Sizes of the networks."""

    embed: int
    """Channels of the first stage; each following has twice as many."""
    depths: tuple[int, ...]
    """Blocks of the four stages from pixels to latents."""
    heads: tuple[int, ...]
    entropy: EntropyWidths

    def __post_init__(self) -> None:
        """Raises `ValueError` for heads that cannot share a stage's channels."""
        for dim, heads in zip(self.dims, self.heads, strict=True):
            if dim % heads:
                raise ValueError(f"{dim} channels do not make {heads} equal heads of attention")

    @property
    def dims(self) -> tuple[int, ...]:
        """Channels of the four stages."""
        return tuple(self.embed * 2**index for index in range(_STAGES))


PUBLISHED = StfWidths(
    embed=48,
    depths=(2, 2, 6, 2),
    heads=(3, 6, 12, 24),
    entropy=EntropyWidths(latent=384, hyper=(384, 336, 288, 240, 192), slices=12, context=(224, 176, 128, 64)),
)


class Stf(ChannelSlices):
    """The codec's networks."""

    align = WINDOW

    def __init__(self, widths: StfWidths = PUBLISHED) -> None:
        """Raises `ValueError` for an entropy model of other latents than the last stage's."""
        if widths.entropy.latent != widths.dims[-1]:
            raise ValueError(f"the last stage gives {widths.dims[-1]} channels, not {widths.entropy.latent}")
        super().__init__(widths.entropy)
        embed = widths.embed
        self.patch_embed = PatchEmbed(embed)
        sizes = list(zip(widths.dims, widths.depths, widths.heads, strict=True))
        self.layers = _stages(sizes, Merge)
        self.syn_layers = _stages(sizes[::-1], Split)
        to_pixels = nn.Conv2d(embed, 3, 3, padding=1)
        self.end_conv = nn.Sequential(nn.Conv2d(embed, 4 * embed, 5, padding=2), nn.PixelShuffle(2), to_pixels)
        self.analysis_reach = _analysis_reach(widths.depths)
        self.synthesis_reach = _synthesis_reach(widths.depths)

    def analyse(self, x: Tensor) -> Tensor:
        """The four stages from pixels to latents."""
        tokens = self.patch_embed(x)
        for stage in self.layers:
            tokens = stage(tokens)
        y: Tensor = tokens.permute(0, 3, 1, 2).contiguous()
        return y

    def synthesise(self, y_hat: Tensor, noise: Tensor | None = None) -> Tensor:
        """The four stages backwards and two convolutions."""
        tokens = y_hat.permute(0, 2, 3, 1).contiguous()
        for stage in self.syn_layers:
            tokens = stage(tokens)
        x_hat: Tensor = self.end_conv(tokens.permute(0, 3, 1, 2).contiguous())
        return x_hat

    def forward(self, x: Tensor) -> Estimate:
        y_hat, y_bits, z_bits = self.estimate(self.analyse(x))
        return Estimate(self.synthesise(y_hat), y_bits, z_bits)


def _stages(sizes: list[tuple[int, int, int]], between: Callable[[int], nn.Module]) -> nn.ModuleList:
    last = len(sizes) - 1
    return nn.ModuleList(
        Stage(dim, depth, heads, downsample=None if index == last else between(dim))
        for index, (dim, depth, heads) in enumerate(sizes)
    )


def _analysis_reach(depths: tuple[int, ...]) -> int:
    """Latents of whole windows that the first stage's tokens make, of which 8 a side lie in a latent."""
    beyond = 0
    for depth in reversed(depths):
        beyond = seen_beyond(depth, 2 * beyond)
    return -(-beyond // (8 * WINDOW)) * WINDOW


def _synthesis_reach(depths: tuple[int, ...]) -> int:
    """Latents of whole windows; begins with the tokens that the two last convolutions see, 3 x 3 at twice the size."""
    beyond = 2 * (2 + 1)
    for depth in depths:
        beyond = seen_beyond(depth, -(-beyond // 2))
    return -(-beyond // WINDOW) * WINDOW


def from_state(state: Mapping[str, Tensor]) -> Stf:
    """`stf` with published weights. Raises `ValueError` for those of another architecture."""
    # The general names for CompressAI's residual blocks do not hold here: there are no skips.
    cleaned = {name.replace(".skip.", ".downsample."): tensor for name, tensor in clean_state(state).items()}
    # An index that follows from the window, and a network of an earlier release that the authors' loader leaves out.
    cleaned = {
        name: tensor
        for name, tensor in cleaned.items()
        if not name.endswith((".relative_position_index", ".attn_mask")) and not name.startswith("h_s.")
    }
    widths = _widths(cleaned)
    return filled(lambda: Stf(widths), cleaned)


def _widths(state: Mapping[str, Tensor]) -> StfWidths:
    depths = tuple(_counted(state, f"layers.{stage}.blocks.{{}}.norm1.weight") for stage in range(_STAGES))
    table = "layers.{}.blocks.0.attn.relative_position_bias_table"
    return StfWidths(
        embed=width(state, "patch_embed.proj.weight"),
        depths=depths,
        heads=tuple(width(state, table.format(stage), 1) for stage in range(_STAGES)),
        entropy=EntropyWidths(
            latent=width(state, "h_a.0.weight", 1),
            hyper=tuple(width(state, f"h_a.{2 * index}.weight") for index in range(5)),
            slices=_counted(state, "cc_mean_transforms.{}.0.weight"),
            context=tuple(width(state, f"cc_mean_transforms.0.{2 * index}.weight") for index in range(4)),
        ),
    )


def _counted(state: Mapping[str, Tensor], name: str) -> int:
    """How many tensors of a numbered name there are. Raises `ValueError` for none or too many."""
    found = next(index for index in count() if name.format(index) not in state)
    if not 1 <= found <= _MOST:
        raise ValueError(
            f"has {found} tensors {name.format('N')}, allowed: 1 to {_MOST}; it is of another architecture"
        )
    return found
