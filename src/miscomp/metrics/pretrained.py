"""Weights that others trained, for metrics: exactly the entries that are needed, or an error that names the misfit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Tensors by name, as a checkpoint has them."""

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Misfit(ValueError):
    """A state that does not hold the weights it should."""

    def __init__(self, weights: str, problem: str) -> None:
        super().__init__(f"these are no weights {weights!r}: {problem}")
        self.weights = weights
        """Their name in the registry's row."""
        self.problem = problem


def taken(weights: str, state: State, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Copies in float32 of the entries of `shapes`; others are left where they are.

    Raises `Misfit` for one that is missing, of another shape, no floating-point numbers, or not finite.
    """
    found = {}
    for name, shape in shapes.items():
        tensor = state.get(name)
        if tensor is None:
            raise Misfit(weights, f"{name} is missing, {len(state)} other entries are there")
        if tuple(tensor.shape) != shape or tensor.dtype not in _FLOATS:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise Misfit(weights, f"{name} is {kind} {tuple(tensor.shape)}, needed are numbers of shape {shape}")
        found[name] = tensor.detach().to(torch.float32, copy=True)
        if not bool(torch.isfinite(found[name]).all()):
            raise Misfit(weights, f"{name} holds values that are not finite")
    return found
