"""The entropy networks of `lucid` in whole numbers (`miscomp.codecs.fixed_point`), as streams are coded with them.

A mean comes out in 1/64, a scale as an index of the frequency tables. How far each number can go is checked when the
networks are built, so that weights of a file cannot leave the exact range.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from miscomp.codecs.fixed_point import FRACTION, Layer, interpolated, leaky, powers_of_two, shifted
from miscomp.codecs.gaussian import SCALE_BORDERS, SCALE_MIN, SCALE_TABLE, scale_index
from miscomp.codecs.lucid_entropy import REACH, SIGNED_GROUPS, EntropyNetworks, GroupContext
from miscomp.codecs.quality_map import QUALITY_STEPS

STEPS = QUALITY_STEPS + 1
"""Qualities that a stream can name."""

MEAN_BITS = 6
"""Decoded latents are multiples of 2^-MEAN_BITS."""

State = dict[str, Tensor]
"""Whole numbers by name, as they lie in a weights file."""

_OUT_FRACTION = 16
"""The last layer's results are multiples of 2^-16, because means are multiplied by units of up to 2^10."""
_OUT_LIMIT = 2.0**24
_MEAN_LIMIT = 2.0**17
_MOST_UNIT = 10
_ANCHOR_LIMIT = 2.0**40
_SHARED_NUMBERS, _CONTEXT_NUMBERS = 8, 12
"""Tensors of a state: of all groups together, and of each."""


class IntegerContext:
    """A `GroupContext` on rows, one row per position."""

    def __init__(self, state: State, *, prior: int, earlier: int, signed: bool) -> None:
        """Raises `ValueError` for numbers that do not fit together or leave the exact range."""
        self.enter, self.mix, self.out = _layer(state, "enter"), _layer(state, "mix"), _layer(state, "out")
        hidden, self.size = self.enter.weight.shape[0], self.out.weight.shape[0] // 2
        split = prior + 3 * earlier
        wanted = [(hidden, split + (5 if signed else 1) * self.size), (hidden, hidden), (2 * self.size, hidden)]
        if [tuple(layer.weight.shape) for layer in (self.enter, self.mix, self.out)] != wanted:
            raise ValueError("a context's layers do not fit together")
        self.anchors = state["quality"].double()
        if self.anchors.shape[1:] != (hidden,) or len(self.anchors) < 2:
            raise ValueError("a context's table for the qualities does not fit")
        if float(self.anchors.abs().max()) > _ANCHOR_LIMIT:
            raise ValueError("a context's table for the qualities is out of its limits")
        self.unit, self.earlier_unit = _exponents(state, "unit", self.size), _exponents(state, "earlier_unit", earlier)
        self.signed = signed
        self._thresholds = state["thresholds"].double()
        # One layer whose inputs come at two times: first what is known everywhere, then the anchors around.
        self._common = Layer(self.enter.weight[:, :split].contiguous(), self.enter.bias, self.enter.shift)
        self._near = self.enter.weight[:, split:].T.contiguous()
        self._quality = interpolated(self.anchors, STEPS)
        self._mean_factor = powers_of_two(self.unit - (_OUT_FRACTION - MEAN_BITS))
        self._factor = powers_of_two(FRACTION - MEAN_BITS - self.unit)
        self._earlier_factor = powers_of_two(FRACTION - MEAN_BITS - self.earlier_unit)

    def common(self, prior: Tensor, steps: Tensor, earlier: Tensor | None) -> Tensor:
        """Sums (n, hidden) that all positions start from.

        `prior` (n, prior), `steps` (n) the local qualities, `earlier` (n, 3 * earlier): values in their own units,
        their sizes, and the sums of the four neighbours' sizes.
        """
        rows = prior if earlier is None else torch.cat([prior, earlier], 1)
        return self._common.sums(rows).add_(self._quality[steps])

    def predict(self, common: Tensor, near: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means (n, size) in 1/64 and scale indexes (n, size); `near` is what lies around, none before the anchors."""
        sums = common if near is None else torch.addmm(common, near, self._near)
        mixed = leaky(self.mix(leaky(self.enter.requantised(sums))))
        out = shifted(self.out.sums(mixed), self.out.shift + FRACTION - _OUT_FRACTION)
        mean, raw = out.clamp_(-_OUT_LIMIT, _OUT_LIMIT).chunk(2, 1)
        mean = (mean * self._mean_factor).add_(0.5).floor_().clamp_(-_MEAN_LIMIT, _MEAN_LIMIT)
        return mean, torch.bucketize(raw.contiguous(), self._thresholds)

    def in_units(self, latents: Tensor) -> Tensor:
        """The group's decoded latents (n, size) in 1/64, as the networks see them: in their own units, clamped."""
        return _clamped(latents * self._factor)

    def earlier_in_units(self, latents: Tensor) -> Tensor:
        """The same for the earlier groups' latents (n, earlier)."""
        return _clamped(latents * self._earlier_factor)

    @staticmethod
    def state_of(context: GroupContext) -> State:
        """The whole numbers that stand for a trained context."""
        parts = _entering(context)
        weight = torch.cat([part.weight[:, :, 0, 0].detach() for part in parts], 1)
        enter = Layer.quantised(weight, _bias(context.prior))
        return {
            "unit": context.unit.log2().round(),
            "earlier_unit": context.earlier_unit.log2().round(),
            "quality": (context.quality.table.detach().double() * 2.0 ** (enter.shift + FRACTION)).round(),
            **_state(enter, "enter"),
            **_state(_quantised(context.mix), "mix"),
            **_state(_quantised(context.out), "out"),
        }

    @torch.no_grad()
    def load_into(self, context: GroupContext) -> None:
        """Give a context the same weights in floating point, to train on."""
        weight, bias = self.enter.floating()
        parts = _entering(context)
        for part, piece in zip(parts, weight.split([part.in_channels for part in parts], 1), strict=True):
            part.weight.copy_(piece[:, :, None, None])
        _bias(context.prior).copy_(bias)
        _fill(context.mix, self.mix)
        _fill(context.out, self.out)
        context.quality.table.copy_(self.anchors * 2.0 ** -(self.enter.shift + FRACTION))
        context.unit.copy_(powers_of_two(self.unit))
        context.earlier_unit.copy_(powers_of_two(self.earlier_unit))


class IntegerEntropy:
    """All entropy networks, ready to run."""

    def __init__(self, state: State, groups: tuple[int, ...]) -> None:
        """Raises `ValueError` for numbers that do not fit together, `KeyError` where some are missing."""
        if len(state) > _SHARED_NUMBERS + _CONTEXT_NUMBERS * len(groups):
            raise ValueError(f"{len(state)} tensors are more than {len(groups)} groups have")
        self.groups = groups
        self.z_index = state["z_index"].long()
        thresholds = state["thresholds"]
        if self.z_index.ndim != 2 or len(self.z_index) != STEPS:
            raise ValueError("the prior's indexes do not fit")
        if int(self.z_index.min()) < 0 or int(self.z_index.max()) >= len(SCALE_TABLE):
            raise ValueError("the prior's indexes are out of their limits")
        # As float64: whole numbers of few bits wrap around, so that falling borders seem to rise.
        if thresholds.shape != SCALE_BORDERS.shape or not bool((thresholds.double().diff() >= 0).all()):
            raise ValueError("the borders between scales do not rise")
        self._first, self._second = _layer(state, "h_s.0"), _layer(state, "h_s.1")
        hyper, prior = self.z_index.shape[1], self._second.weight.shape[0] // 4
        if self._first.weight.shape != (4 * self._second.weight.shape[1], hyper) or len(self._second.weight) % 4:
            raise ValueError("the layers of h_s do not fit together")
        self.contexts = [
            IntegerContext(
                _below(state, f"contexts.{index}.") | {"thresholds": thresholds},
                prior=prior,
                earlier=sum(groups[:index]),
                signed=index < SIGNED_GROUPS,
            )
            for index in range(len(groups))
        ]
        sizes, anchors = tuple(c.size for c in self.contexts), {len(c.anchors) for c in self.contexts}
        if sizes != groups or len(anchors) != 1:
            raise ValueError("the contexts do not fit their groups")

    @property
    def widths(self) -> tuple[tuple[int, ...], int, int, int, int]:
        """Widths: of the contexts, of z, of the prior, inside h_s; and the anchors over the qualities."""
        hidden = tuple(context.enter.weight.shape[0] for context in self.contexts)
        inner, anchors = self._second.weight.shape[1], {len(context.anchors) for context in self.contexts}
        return hidden, self.z_index.shape[1], self._second.weight.shape[0] // 4, inner, max(anchors)

    def prior(self, z: Tensor, height: int, width: int) -> Tensor:
        """h_s: rows (height * width, hyper) of whole numbers to rows of four times the height and width."""
        rows = _spread(leaky(self._first(z * 2.0**FRACTION)), height, width)
        return _spread(leaky(self._second(rows)), 2 * height, 2 * width)

    @staticmethod
    def state_of(networks: EntropyNetworks) -> State:
        """The whole numbers that stand for trained networks."""
        steps = torch.arange(STEPS)[:, None, None, None] / (STEPS - 1)
        borders = torch.from_numpy(SCALE_BORDERS)
        state = {
            "z_index": scale_index(networks.z_scale(steps).detach()[:, :, 0, 0]),
            "thresholds": ((borders / SCALE_MIN - 1).log() * 2.0**_OUT_FRACTION).round(),
        }
        for index, convolution in enumerate(_h_s(networks)):
            state |= _state(_quantised(convolution), f"h_s.{index}")
        for index, context in enumerate(networks.contexts):
            numbers = IntegerContext.state_of(_context(context))
            state |= {f"contexts.{index}.{name}": tensor for name, tensor in numbers.items()}
        return {name: tensor.to(_kind(name)).contiguous() for name, tensor in state.items()}

    @torch.no_grad()
    def load_into(self, networks: EntropyNetworks) -> None:
        """Give networks the same weights in floating point, to train on; the prior's scales to the nearest entry."""
        steps = len(networks.z_scale.log_gain)
        picked = torch.arange(steps) * (STEPS - 1) // (steps - 1)
        networks.z_scale.log_gain.copy_(torch.from_numpy(SCALE_TABLE)[self.z_index[picked]].log())
        for convolution, layer in zip(_h_s(networks), (self._first, self._second), strict=True):
            _fill(convolution, layer)
        for context, mine in zip(networks.contexts, self.contexts, strict=True):
            mine.load_into(_context(context))


def _kind(name: str) -> torch.dtype:
    """How small a number may lie in a file."""
    kinds = {"weight": torch.int16, "z_index": torch.uint8, "unit": torch.int8, "earlier_unit": torch.int8}
    return kinds.get(name.rpartition(".")[2], torch.int64 if name.endswith(("bias", "quality")) else torch.int32)


def _spread(rows: Tensor, height: int, width: int) -> Tensor:
    """Pixel shuffle on rows: (h * w, 4 * c) to (2h * 2w, c)."""
    grid = rows.view(height, width, -1, 2, 2).permute(0, 3, 1, 4, 2)
    return grid.reshape(4 * height * width, -1)


def _clamped(value: Tensor) -> Tensor:
    reach = REACH * 2**FRACTION
    return value.add_(0.5).floor_().clamp_(-reach, reach)


def _exponents(state: State, name: str, count: int) -> Tensor:
    exponents = state[name].double()
    if exponents.shape != (count,) or (count and float(exponents.abs().max()) > _MOST_UNIT):
        raise ValueError(f"a context's {name} does not fit")
    return exponents


def _layer(state: State, name: str) -> Layer:
    shift = state[f"{name}.shift"]
    if shift.numel() != 1:
        raise ValueError(f"the layer {name} needs one shift")
    return Layer(state[f"{name}.weight"].double(), state[f"{name}.bias"].double(), int(shift))


def _state(layer: Layer, name: str) -> State:
    return {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias, f"{name}.shift": torch.tensor([layer.shift])}


def _below(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _quantised(convolution: nn.Conv2d) -> Layer:
    return Layer.quantised(convolution.weight[:, :, 0, 0].detach(), _bias(convolution))


def _fill(convolution: nn.Conv2d, layer: Layer) -> None:
    weight, bias = layer.floating()
    convolution.weight.copy_(weight[:, :, None, None])
    _bias(convolution).copy_(bias)


def _bias(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        raise TypeError("the convolution needs a bias")
    return convolution.bias.detach()


def _entering(context: GroupContext) -> list[nn.Conv2d]:
    """The convolutions whose sum enters a context, in the order of their inputs."""
    return [context.prior, *([context.earlier] if context.earlier is not None else []), context.near]


def _h_s(networks: EntropyNetworks) -> list[nn.Conv2d]:
    return [module for module in networks.h_s.modules() if isinstance(module, nn.Conv2d)]


def _context(module: nn.Module) -> GroupContext:
    if not isinstance(module, GroupContext):
        raise TypeError(f"a GroupContext is needed, got {type(module).__name__}")
    return module
