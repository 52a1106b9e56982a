"""What all differentiable metrics have in common. Oracles: what a distance must do; JPEG harms by its quality."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
import torch
from formula_vgg import dists_state, linear_state, vgg16_state
from formula_weights import formula_picture
from PIL import Image
from skimage import data
from torch import Tensor, nn

from miscomp.errors import UnknownName, WeightsError
from miscomp.images import Pixels
from miscomp.metrics.mse import Mse
from miscomp.metrics.perceptual import PERCEPTUAL, open_metric

NO_DISTANCE = ("log-mse", "log-mse+structure")
"""Logarithms, which are not 0 for equal pictures."""

SIGNAL = tuple(row.name for row in PERCEPTUAL if not row.weights and row.name not in NO_DISTANCE)
TRAINED = tuple(row.name for row in PERCEPTUAL if row.weights)
SIDE = {"ms-ssim": 161}


@cache
def opened(name: str) -> nn.Module:
    """With weights by formula."""
    return open_metric(name, {"vgg16": vgg16_state(), "lpips-vgg": linear_state(), "dists": dists_state()})


def tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


def pictures(name: str) -> tuple[Tensor, Tensor]:
    """Two different pairs in one batch; the second picture of a pair is not the first one changed a little."""
    side = SIDE.get(name, 17)
    x = formula_picture(side, side + 3)
    x = torch.cat([x, 0.7 * x.flip(2)])
    return x, 0.3 + 0.5 * x.flip(3)


@pytest.mark.parametrize("name", [*SIGNAL, *TRAINED])
def test_equal_pictures_are_exactly_0_apart_and_others_are_not(name: str) -> None:
    metric, (x, x_hat) = opened(name), pictures(name)
    assert metric(x, x.clone()).tolist() == [0, 0]
    distance = metric(x, x_hat)
    assert distance.shape == (2,) and bool((distance > 1e-4).all())


@pytest.mark.parametrize("name", PERCEPTUAL.names)
def test_an_image_of_a_batch_gets_the_value_it_gets_alone(name: str) -> None:
    metric, (x, x_hat) = opened(name), pictures(name)
    alone = [float(metric(x[i : i + 1], x_hat[i : i + 1])) for i in range(2)]
    assert metric(x, x_hat).tolist() == pytest.approx(alone, rel=1e-4)
    assert abs(alone[0] - alone[1]) > 1e-6


@pytest.mark.parametrize("name", PERCEPTUAL.names)
def test_gradients_are_finite_for_equal_flat_black_and_opposite_pictures(name: str) -> None:
    metric, x = opened(name), pictures(name)[0][:1]
    flat, black = torch.full_like(x, 0.5), torch.zeros_like(x)
    pairs = ((x, x), (flat, flat), (black, black), (black, x), (x, black), (flat, flat + 1e-4), (x, 1 - x))
    first, second = (torch.cat(side).requires_grad_() for side in zip(*pairs, strict=True))
    metric(first, second).sum().backward()
    # The logarithms hold their first picture fixed in part; the second is the one that is trained.
    for trained in (second,) if name in NO_DISTANCE else (first, second):
        assert trained.grad is not None
        assert torch.isfinite(trained.grad).all((1, 2, 3)).tolist() == [True] * len(pairs)
        assert bool(trained.grad[3:5].any())


@pytest.mark.parametrize("name", [*SIGNAL, *TRAINED])
def test_a_step_against_the_gradient_brings_pictures_nearer(name: str) -> None:
    """Oracle: a finite difference along the gradient."""
    metric, (x, x_hat) = opened(name), pictures(name)
    x_hat.requires_grad_()
    distance = metric(x, x_hat).sum()
    (gradient,) = torch.autograd.grad(distance, x_hat)
    length = float(gradient.square().sum().sqrt())
    step = 1e-3 * float(distance.detach()) / length
    ahead, behind = (float(metric(x, x_hat.detach() + s * step / length * gradient).sum()) for s in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(length, rel=0.03)


@pytest.mark.parametrize("name", [*SIGNAL, *TRAINED])
def test_autocast_changes_nothing(name: str) -> None:
    metric, (x, x_hat) = opened(name), pictures(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = metric(x, x_hat)
    assert distance.dtype == torch.float32
    assert torch.equal(distance, metric(x, x_hat))
    halves = [picture.to(torch.bfloat16) for picture in (x, x_hat)]
    assert torch.equal(metric(*halves), metric(*(half.float() for half in halves)))


@pytest.mark.parametrize("name", [*SIGNAL, *NO_DISTANCE])
def test_jpeg_does_more_harm_the_lower_its_quality(name: str) -> None:
    photograph = data.astronaut()[100:356, 100:356]
    metric, harm = open_metric(name), []
    for quality in (90, 70, 50, 30, 10):
        file = io.BytesIO()
        Image.fromarray(photograph).save(file, "JPEG", quality=quality)
        harm.append(float(metric(tensor(photograph), tensor(np.asarray(Image.open(file))))))
    assert harm == sorted(harm) and len(set(harm)) == len(harm)


def test_mse_is_the_mean_of_squares() -> None:
    x, x_hat = pictures("mse")
    expected = ((x.numpy().astype(np.float64) - x_hat.numpy()) ** 2).mean((1, 2, 3))
    assert Mse()(x, x_hat).tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert float(Mse()(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))) == 1


@pytest.mark.parametrize("name", [*SIGNAL, *TRAINED])
def test_other_than_two_colour_pictures_of_one_size_are_refused(name: str) -> None:
    metric = opened(name)
    for shape, other in (
        [(1, 3, 200, 200), (1, 3, 200, 201)],
        [(1, 1, 200, 200), (1, 1, 200, 200)],
        [(3, 200, 200), (3, 200, 200)],
        [(0, 3, 200, 200), (0, 3, 200, 200)],
    ):
        with pytest.raises(ValueError, match="two tensors of one shape"):
            metric(torch.zeros(shape), torch.zeros(other))


def test_nothing_of_a_metric_is_trained() -> None:
    for row in PERCEPTUAL:
        metric = opened(row.name)
        assert not metric.training and not any(weight.requires_grad for weight in metric.parameters())


def test_missing_weights_and_unknown_names_are_told_with_what_to_do() -> None:
    with pytest.raises(WeightsError, match=r"metric lpips: .* vgg16 and lpips-vgg,.* fetch vgg16 lpips-vgg, or give"):
        open_metric("lpips")
    with pytest.raises(WeightsError, match=r"metric dists: needs the trained weights dists, .* fetch dists,"):
        open_metric("dists", {"vgg16": vgg16_state()})
    with pytest.raises(UnknownName, match=r"unknown metric 'lipps'.*Did you mean 'lpips'"):
        open_metric("lipps")
