"""VGG loss, LPIPS and DISTS on weights by formula.

Oracles: figures of the authors' packages lpips 0.1.4 and DISTS-pytorch 0.1 on the same weights and pictures, in
float64; and all three spelled out in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from formula_vgg import dists_state, linear_state, picture_pair, vgg16_state
from torch import Tensor

from miscomp.metrics.dists import Dists
from miscomp.metrics.lpips import Lpips
from miscomp.metrics.pretrained import Misfit
from miscomp.metrics.vgg16 import CHANNELS, Vgg16
from miscomp.metrics.vgg_loss import VggLoss

Array = npt.NDArray[np.float64]

LAYOUT = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
"""Places of the convolutions in torchvision's VGG-16, by stage."""

LPIPS_PUBLISHED = (0.011542855347935333, 0.4326638916093594)
DISTS_PUBLISHED = (0.01202909446088496, 0.22949530369186777)


def convolved(x: Array, weight: Array, bias: Array) -> Array:
    """3 x 3 with zeros around, then ReLU; x is (c, h, w)."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.stack([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=1)
    out = weight.reshape(len(weight), -1) @ windows.reshape(-1, height * width) + bias[:, None]
    return np.maximum(out, 0).reshape(len(weight), height, width)


def largest(x: Array) -> Array:
    height, width = x.shape[1] // 2, x.shape[2] // 2
    pooled: Array = x[:, : 2 * height, : 2 * width].reshape(len(x), height, 2, width, 2).max((2, 4))
    return pooled


def rms(x: Array) -> Array:
    padded, taps = np.pad(x**2, ((0, 0), (1, 1), (1, 1))), np.hanning(5)[1:-1]
    height, width = x.shape[1:]
    places = [(i, j) for i in range(3) for j in range(3)]
    total = sum(taps[i] * taps[j] * padded[:, i : i + height, j : j + width] for i, j in places)
    pooled: Array = np.sqrt(total[:, ::2, ::2] / taps.sum() ** 2 + 1e-12)
    return pooled


@cache
def weights() -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in vgg16_state().items()}


def stages(x: Array, pool: Callable[[Array], Array]) -> list[Array]:
    state, found = weights(), []
    for number, places in enumerate(LAYOUT):
        x = pool(x) if number else x
        for place in places:
            x = convolved(x, state[f"features.{place}.weight"], state[f"features.{place}.bias"])
        found.append(x)
    return found


def arrays() -> list[tuple[Array, Array]]:
    x, x_hat = picture_pair()
    return [(x[i].double().numpy(), x_hat[i].double().numpy()) for i in range(2)]


def test_vgg_loss_is_the_sum_of_mean_squares() -> None:
    expected = [
        sum(((p - q) ** 2).mean() for p, q in list(zip(stages(a, largest), stages(b, largest), strict=True))[:4])
        for a, b in arrays()
    ]
    assert VggLoss(vgg16_state())(*picture_pair()).tolist() == pytest.approx(expected, rel=1e-5)


def test_lpips_is_the_authors() -> None:
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    spelled = []
    for pair in arrays():
        scaled = [(2 * picture - 1 - shift[:, None, None]) / scale[:, None, None] for picture in pair]
        total = 0.0
        for p, q, weight in zip(*(stages(one, largest) for one in scaled), linear_state().values(), strict=True):
            p, q = (f / (np.sqrt((f**2).sum(0)) + 1e-10) for f in (p, q))
            total += float((weight.double().numpy().reshape(-1, 1, 1) * (p - q) ** 2).sum(0).mean())
        spelled.append(total)
    assert spelled == pytest.approx(LPIPS_PUBLISHED, rel=1e-7)
    found = Lpips(vgg16_state(), linear_state())(*picture_pair())
    assert found.tolist() == pytest.approx(LPIPS_PUBLISHED, rel=1e-5)


def test_dists_is_the_authors() -> None:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    alpha, beta = (share.double().numpy().ravel() for share in dists_state().values())
    spelled = []
    for pair in arrays():
        scaled = [(picture - mean[:, None, None]) / deviation[:, None, None] for picture in pair]
        first, second = ([one, *stages(s, rms)] for one, s in zip(pair, scaled, strict=True))
        texture, structure = [], []
        for p, q in zip(first, second, strict=True):
            mp, mq = p.mean((1, 2)), q.mean((1, 2))
            texture.append((2 * mp * mq + 1e-6) / (mp**2 + mq**2 + 1e-6))
            covariance = (p * q).mean((1, 2)) - mp * mq
            structure.append((2 * covariance + 1e-6) / (p.var((1, 2)) + q.var((1, 2)) + 1e-6))
        alike = alpha @ np.concatenate(texture) + beta @ np.concatenate(structure)
        spelled.append(1 - alike / (alpha.sum() + beta.sum()))
    assert spelled == pytest.approx(DISTS_PUBLISHED, rel=1e-6)
    found = Dists(vgg16_state(), dists_state())(*picture_pair())
    assert found.tolist() == pytest.approx(DISTS_PUBLISHED, rel=1e-5)


def test_the_features_have_the_sizes_of_their_stages() -> None:
    net, x = Vgg16(vgg16_state()), torch.rand(1, 3, 40, 51)
    sizes = [(40, 51), (20, 25), (10, 12), (5, 6), (2, 3)]
    assert [tuple(f.shape[1:]) for f in net(x)] == [(c, *s) for c, s in zip(CHANNELS, sizes, strict=True)]
    assert len(Vgg16(vgg16_state(), stages=4)(x)) == 4


def test_the_state_given_is_copied() -> None:
    state = {name: tensor.clone() for name, tensor in vgg16_state().items()}
    metric, pair = VggLoss(state), picture_pair()
    before = metric(*pair)
    for tensor in state.values():
        tensor.zero_()
    assert torch.equal(metric(*pair), before)


def changed(**entries: Tensor | None) -> Mapping[str, Tensor]:
    state: dict[str, Tensor | None] = {**vgg16_state(), **{f"features.5.{name}": t for name, t in entries.items()}}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (changed(bias=None), r"features.5.bias is missing, 26 other entries are there"),
        (changed(weight=torch.zeros(128, 64, 5, 5)), r"features.5.weight is float32 \(128, 64, 5, 5\), needed"),
        (changed(bias=torch.zeros(128, dtype=torch.int64)), r"features.5.bias is int64 \(128,\), needed are numbers"),
        (changed(bias=torch.full((128,), torch.nan)), "features.5.bias holds values that are not finite"),
        ({}, "features.0.weight is missing, 0 other"),
    ],
)
def test_a_state_of_another_network_is_refused(state: Mapping[str, Tensor], complaint: str) -> None:
    with pytest.raises(Misfit, match=f"no weights 'vgg16': {complaint}") as caught:
        VggLoss(state)
    assert caught.value.weights == "vgg16"


def test_misfits_of_the_metrics_own_weights_name_them() -> None:
    with pytest.raises(Misfit, match=r"no weights 'lpips-vgg': lin0.model.1.weight is missing"):
        Lpips(vgg16_state(), dists_state())
    with pytest.raises(Misfit, match="no weights 'dists': alpha is missing"):
        Dists(vgg16_state(), linear_state())
    nothing = {name: torch.zeros(1, 1475, 1, 1) for name in ("alpha", "beta")}
    with pytest.raises(Misfit, match=r"have the sum 0\.0, which must be above 0"):
        Dists(vgg16_state(), nothing)
