"""Mean squared error as something to push apart or together: differentiable, one value per image."""

from __future__ import annotations

from torch import Tensor, nn

from miscomp.metrics.differentiable import full_precision


class Mse(nn.Module):
    """Mean of the squared differences, in [0, 1] for values in [0, 1]; 1 only between black and white.

    Its gradient vanishes as x_hat approaches x. The SLIC paper (table 3) finds that it cannot drive two pictures apart.
    """

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1]."""
        return (x - x_hat).square().mean((1, 2, 3))
