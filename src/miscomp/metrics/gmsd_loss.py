"""GMSD (Xue, Zhang, Mou and Bovik, IEEE TIP 2014): differentiable, one value per image.

The constants and the order of operations are those of `miscomp.metrics.gmsd`, whose map this is the deviation of.
"""

from __future__ import annotations

from torch import Tensor, nn

from miscomp.metrics.differentiable import extended, filtered, full_precision, luminance, root
from miscomp.metrics.gmsd import GMS_C, SMOOTH, STEP


class GmsdLoss(nn.Module):
    """Standard deviation over the picture of the gradients' similarity; below 0.5, between photographs 0.3 to 0.4.

    Only the strength of gradients counts: a picture's negative is 0 apart from it, and so are any two flat pictures.
    The sum of squares is divided by the number of pixels, as in the paper's equation; its authors' program divides by
    one less.

    SLIC's authors use IQA_pytorch, which takes red, green and blue for the luminance's place, one deviation over all
    three, zeros beyond the border, drops odd rows and adds 1e-12 below the gradient's root. Their figures differ.
    """

    @full_precision
    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """(b) for images (b, 3, h, w) in [0, 1]."""
        a, b = (_gradient(_halved(255 * luminance(picture))) for picture in (x, x_hat))
        # 1 - (2ab + c) / (a^2 + b^2 + c), without the subtraction that would leave rounding where a = b.
        lost = (a - b).square() / (a.square() + b.square() + float(GMS_C))
        return root((lost - lost.mean((1, 2, 3), keepdim=True)).square().mean((1, 2, 3)))


def _halved(plane: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; an odd side is continued with its outermost pixels."""
    odd = plane.shape[2] % 2, plane.shape[3] % 2
    return nn.functional.avg_pool2d(extended(plane, (0, 0), odd), 2)


def _gradient(plane: Tensor) -> Tensor:
    """Prewitt's gradient magnitude."""
    plane = extended(plane, (1, 1), (1, 1))
    across = filtered(filtered(plane, STEP.tolist(), -1), SMOOTH.tolist(), -2)
    down = filtered(filtered(plane, SMOOTH.tolist(), -1), STEP.tolist(), -2)
    return root(across.square() + down.square())
