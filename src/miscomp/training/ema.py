"""The moving average of a model's weights, which is what a run gives: steadier than the weights of its last step."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Exponential moving average of a model's parameters (Polyak and Juditsky, SIAM J. Control Optim. 1992).

    The share of the past is `decay`, and less during the first updates, so that the average soon forgets where
    the model began.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begins as a copy of `model`, on its device, that takes no gradients."""
        self.model: nn.Module = copy.deepcopy(model).requires_grad_(False).eval()
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the model as it is now; buffers are no average, they are copied."""
        kept = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for mine, now in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(now, 1 - kept)
        for copied, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            copied.copy_(buffer)
