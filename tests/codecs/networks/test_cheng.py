from __future__ import annotations

import copy

import torch
from tiny_lucid import values

from miscomp.codecs.networks.cheng import ResidualDown


def test_gradients_of_a_shrinking_block_do_not_depend_on_the_memory_order_and_are_those_of_float64() -> None:
    block = ResidualDown(3, 8)
    with torch.no_grad():
        for name, weight in block.named_parameters():
            if "gdn" not in name:
                weight.copy_(0.3 * values(name, *weight.shape))
    x = (values("x", 2, 3, 128, 128) + 1) / 2
    orders = (torch.contiguous_format, torch.channels_last)
    found = []
    for order in orders:
        one = copy.deepcopy(block).to(memory_format=order)  # type: ignore[call-overload]
        one(x.contiguous(memory_format=order)).square().mean().backward()
        found.append([weight.grad for weight in one.parameters()])
    # Oracle: the plain layers in float64, in an order without faults.
    exact = copy.deepcopy(block).double()
    out = torch.nn.functional.leaky_relu(exact.conv1(x.double()), 0.01)
    (exact.gdn(exact.conv2(out)) + exact.skip(x.double())).square().mean().backward()
    for one, two, three in zip(*found, exact.parameters(), strict=True):
        for gradient in (one, two):
            torch.testing.assert_close(gradient.double(), three.grad, rtol=1e-3, atol=1e-6)


def test_a_shrinking_block_computes_the_same_with_and_without_gradients() -> None:
    block, x = ResidualDown(3, 8), (values("x", 1, 3, 64, 64) + 1) / 2
    with torch.no_grad():
        still = block(x)
    torch.testing.assert_close(block(x).detach(), still, rtol=0, atol=1e-6)
