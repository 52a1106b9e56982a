"""RetinaFace with MobileNetV1 x 0.25: a face detector with five landmarks, from weights that the user gives.

Deng et al., "RetinaFace: single-shot multi-level face localisation in the wild", CVPR 2020; the small variant with
a MobileNetV1 of a quarter of the width, a feature pyramid of 64 channels and context modules as in Najibi et al.,
"SSH: single stage headless face detector", ICCV 2017. Modules are named as in the public PyTorch checkpoints, so
that those load.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miscomp.detect.face_finder import COLUMNS, LEAST, Rows
from miscomp.errors import WeightsError
from miscomp.images import Pixels

STEPS = (8, 16, 32)
"""Pixels between the anchors of each level."""

VARIANCES = (0.1, 0.2)
"""Scales of the predicted offsets (in anchor sides) and of the predicted log sizes."""

MEAN = (104.0, 117.0, 123.0)
"""Blue, green, red; subtracted from values of 0 to 255, which are not scaled."""

_MAX_TENSOR_BYTES = 64 * 2**20
_MOST_ROWS = 2000
_LONGEST_LOG = 8.0
_CLEARLY = 1.15
_PROBE_SIDE, _PROBES = 192, 3
WANTED = "give the checkpoint of RetinaFace with MobileNet 0.25 (biubug6/Pytorch_Retinaface, MIT, about 1.8 MB)"


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs between public checkpoints of this layout, and their shapes do not say."""

    name: str
    slope: float
    """Of the activation below zero."""
    sides: tuple[tuple[int, int], ...]
    """Sides of the two square anchors at each place of each level, in pixels."""


RELU = Variant("ReLU", 0.0, ((10, 20), (32, 64), (128, 256)))
LEAKY = Variant("leaky ReLU", 0.1, ((16, 32), (64, 128), (256, 512)))
VARIANTS = (RELU, LEAKY)
"""The sides of `RELU` from 20 pixels on were fitted to a checkpoint's answers on photographs."""


def _conv(inputs: int, outputs: int, *, side: int = 3, stride: int = 1, active: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.0)) if active else nn.Sequential(*layers)


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(0.0),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.0),
    )


class _Body(nn.Module):
    """MobileNetV1 at a quarter of its width; features at strides 8, 16 and 32 with 64, 128 and 256 channels."""

    def __init__(self) -> None:
        super().__init__()
        first = [_conv(3, 8, stride=2), _separable(8, 16), _separable(16, 32, 2), _separable(32, 32)]
        self.stage1 = nn.Sequential(*first, _separable(32, 64, 2), _separable(64, 64))
        self.stage2 = nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one = self.stage1(x)
        two = self.stage2(one)
        return one, two, self.stage3(two)


class _Pyramid(nn.Module):
    """Brings the three levels to 64 channels and adds what the coarser ones know to the finer ones."""

    def __init__(self) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_conv(width, 64, side=1) for width in (64, 128, 256))
        self.merge1, self.merge2 = _conv(64, 64), _conv(64, 64)

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        one, two, three = self.output1(levels[0]), self.output2(levels[1]), self.output3(levels[2])
        two = self.merge2(two + F.interpolate(three, size=two.shape[2:], mode="nearest"))
        one = self.merge1(one + F.interpolate(two, size=one.shape[2:], mode="nearest"))
        return one, two, three


class _Context(nn.Module):
    """Convolutions that see 3, 5 and 7 pixels a side, side by side."""

    def __init__(self) -> None:
        super().__init__()
        # The upper and lower case are those of the public checkpoints.
        self.conv3X3 = _conv(64, 32, active=False)
        self.conv5X5_1 = _conv(64, 16)
        self.conv5X5_2 = _conv(16, 16, active=False)
        self.conv7X7_2 = _conv(16, 16)
        self.conv7x7_3 = _conv(16, 16, active=False)

    def forward(self, x: Tensor) -> Tensor:
        five = self.conv5X5_1(x)
        parts = [self.conv3X3(x), self.conv5X5_2(five), self.conv7x7_3(self.conv7X7_2(five))]
        return F.relu(torch.cat(parts, dim=1))


class _Head(nn.Module):
    """`values` numbers for each of the two anchors at a place."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self._values = values
        self.conv1x1 = nn.Conv2d(64, 2 * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.conv1x1(x)
        return answers.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self._values)


class RetinaFaceNet(nn.Module):
    """The network: (n, 3, h, w), blue first, less `MEAN` -> logits (n, anchors, 2), boxes (…, 4), landmarks (…, 10)."""

    def __init__(self, variant: Variant = RELU) -> None:
        super().__init__()
        self.body = _Body()
        self.fpn = _Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = _Context(), _Context(), _Context()
        self.ClassHead = nn.ModuleList(_Head(2) for _ in STEPS)
        self.BboxHead = nn.ModuleList(_Head(4) for _ in STEPS)
        self.LandmarkHead = nn.ModuleList(_Head(10) for _ in STEPS)
        self.variant = variant
        self.become(variant)

    def become(self, variant: Variant) -> None:
        """Take on a variant's activation and anchors; the weights stay."""
        self.variant = variant
        for module in self.modules():
            if isinstance(module, nn.LeakyReLU):
                module.negative_slope = variant.slope

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        levels = [context(level) for context, level in zip(contexts, self.fpn(self.body(x)), strict=True)]
        heads = (self.ClassHead, self.BboxHead, self.LandmarkHead)
        logits, boxes, points = (
            torch.cat([one(level) for one, level in zip(head, levels, strict=True)], dim=1) for head in heads
        )
        return logits, boxes, points


def anchors(width: int, height: int, variant: Variant) -> Tensor:
    """Centre x, centre y and side in pixels of every anchor (n, 3), in the order of the network's answers."""
    rows = []
    for step, sides in zip(STEPS, variant.sides, strict=True):
        ys = (torch.arange(math.ceil(height / step)) + 0.5) * step
        xs = (torch.arange(math.ceil(width / step)) + 0.5) * step
        grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1)[:, :, None, :].expand(-1, -1, len(sides), -1)
        side = torch.tensor(sides, dtype=torch.float32).expand(*grid.shape[:3])
        rows.append(torch.stack([grid[..., 1], grid[..., 0], side], dim=-1).reshape(-1, 3))
    return torch.cat(rows)


def decode(offsets: Tensor, points: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4: left, top, right, bottom) and landmarks (n, 10: x, y ...) in pixels, from offsets to anchors."""
    side = at[:, 2:]
    center = at[:, :2] + offsets[:, :2] * VARIANCES[0] * side
    half = side * torch.exp((offsets[:, 2:] * VARIANCES[1]).clamp(-_LONGEST_LOG, _LONGEST_LOG)) / 2
    placed = at[:, None, :2] + points.reshape(-1, 5, 2) * VARIANCES[0] * side[:, None]
    return torch.cat([center - half, center + half], dim=1), placed.reshape(-1, 10)


class RetinaFaceLook:
    """Faces in one small picture, of every confidence from `LEAST` on, not yet cleared of repetitions."""

    def __init__(self, net: RetinaFaceNet) -> None:
        self._net = net.eval().requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> Rows:
        """At most 2000 rows, the surest first."""
        height, width = pixels.shape[:2]
        values = np.ascontiguousarray(pixels[:, :, ::-1], dtype=np.float32) - np.array(MEAN, np.float32)
        logits, offsets, points = self._net(torch.from_numpy(values).permute(2, 0, 1)[None])
        confidence = torch.softmax(logits[0], dim=1)[:, 1]
        sure = torch.nonzero(confidence >= LEAST)[:, 0]
        sure = sure[torch.argsort(confidence[sure], descending=True, stable=True)][:_MOST_ROWS]
        boxes, landmarks = decode(offsets[0][sure], points[0][sure], anchors(width, height, self._net.variant)[sure])
        rows = torch.cat([boxes, landmarks, confidence[sure, None]], dim=1).numpy().astype(np.float32)
        return rows.reshape(-1, COLUMNS)


def load_retinaface(content: bytes, where: Path) -> RetinaFaceNet:
    """The network from a PyTorch checkpoint's bytes; names may begin with `module.`.

    Raises `WeightsError` for anything but a state dict of exactly this network with finite values.
    """
    state = _state(content, where)
    # On the meta device nothing is allocated or drawn at random before the shapes are known to fit.
    with torch.device("meta"):
        net = RetinaFaceNet()
    wanted = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in state.items()}
    if wrong := sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name)):
        found, needed = got.get(wrong[0], "missing"), wanted.get(wrong[0], "none")
        problem = f"is not RetinaFace with MobileNet 0.25: {wrong[0]} is {found}, needed {needed}"
        raise WeightsError(where, f"{problem} ({len(wrong)} entries differ); {WANTED}")
    whole = {name: t if not t.is_floating_point() else t.float().contiguous() for name, t in state.items()}
    if not all(bool(torch.isfinite(t).all()) for t in whole.values()):
        raise WeightsError(where, "holds values that are not finite; fetch it again")
    net.load_state_dict(whole, assign=True)
    net.eval().requires_grad_(False)
    variant = recorded_variant(net)
    if variant is None:
        raise WeightsError(where, f"fits neither of the known trainings by its own statistics; {WANTED}")
    net.become(variant)
    return net


def recorded_variant(net: RetinaFaceNet) -> Variant | None:
    """The variant that the network was trained as, told from what its normalisations recorded; none if unclear.

    Each normalisation recorded the mean of its input over training. Coloured noise with the spectrum of
    photographs comes near those means under the activation that the network was trained with, and not under
    another. Chosen by hand: the one must be at least 1.15 times as near as the other.
    """
    pictures = probes()
    distance = {variant: _distance(net, variant, pictures) for variant in VARIANTS}
    best, other = sorted(VARIANTS, key=lambda variant: distance[variant])
    return best if distance[best] * _CLEARLY <= distance[other] else None


def probes() -> Tensor:
    """Noise whose amplitude falls with 1 / frequency, mostly grey, with a standard deviation of 60 levels."""
    rng = np.random.default_rng(0)
    frequencies = np.fft.fftfreq(_PROBE_SIDE)
    falling = np.hypot(frequencies[:, None], frequencies)
    falling[0, 0] = 1
    noise = rng.standard_normal((_PROBES, 3, _PROBE_SIDE, _PROBE_SIDE))
    smooth = np.fft.ifft2(np.fft.fft2(noise) / falling).real
    smooth -= smooth.mean((2, 3), keepdims=True)
    smooth /= smooth.std((2, 3), keepdims=True)
    grey = smooth[:, 1]
    colours = np.stack([grey + 0.3 * smooth[:, 0], grey, grey + 0.3 * smooth[:, 2]], axis=1)
    return torch.from_numpy((60 * colours).astype(np.float32))


def _distance(net: RetinaFaceNet, variant: Variant, pictures: Tensor) -> float:
    """Mean over the body's normalisations of the median |mean of the input - recorded one| in recorded deviations."""
    net.become(variant)
    found: list[float] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean, variance = (module.get_buffer(name).double() for name in ("running_mean", "running_var"))
        here = inputs[0].double().mean((0, 2, 3))
        found.append(float(((here - mean).abs() / (variance.clamp(min=0).sqrt() + 1e-6)).median()))

    hooks = [m.register_forward_pre_hook(note) for m in net.body.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.inference_mode():
        net.body(pictures)
    for hook in hooks:
        hook.remove()
    return sum(found) / len(found)


def _state(content: bytes, where: Path) -> dict[str, Tensor]:
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MAX_TENSOR_BYTES:
                    raise ValueError(f"unpacks to more than {_MAX_TENSOR_BYTES} bytes")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
            state = state["state_dict"]
        if not isinstance(state, dict) or not all(isinstance(t, Tensor) and not t.is_sparse for t in state.values()):
            raise TypeError("holds more than tensors")
        return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
    except Exception as error:  # a damaged archive raises a dozen kinds
        unpickled = isinstance(error, pickle.UnpicklingError)
        reason = "damaged, or it holds more than weights" if unpickled else f"{type(error).__name__}: {error}"
        raise WeightsError(where, f"is not a PyTorch checkpoint of weights ({reason}); {WANTED}") from error
