"""CompressAI's `bmshj2018-hyperprior` for timing: the package itself where it can be imported, or else a stand-in.

Both run with random weights, quality 3 (N=128, M=192): the time of the networks does not depend on what was learned.
How far the coded symbols are spread does move the entropy coder's time a little.

The stand-in has the same layers (Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018):
stride-2 5 x 5 convolutions with GDN, a hyperprior of five, and the same number of symbols, coded by constriction.

This file needs only torch and numpy to be imported, so that it also runs in CompressAI's own environment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from miscomp.codecs.entropy import CodingTables

N, M = 128, 192
"""Channels inside and of the latents at qualities 1 to 5."""

PADDED_TO = 64

Pixels = npt.NDArray[np.uint8]


class Hyperprior(Protocol):
    """Encodes to strings in memory; nothing is written in a file format."""

    def compress(self, pixels: Pixels) -> tuple[Any, int]:
        """What `decompress` takes, and its bytes."""
        ...

    def decompress(self, coded: Any) -> Pixels:
        """The picture."""
        ...


def hyperprior() -> tuple[Hyperprior, str]:
    """The model, and which one it is, in words."""
    torch.manual_seed(0)
    on = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    try:
        compressai = importlib.import_module("compressai")
    except ImportError:
        return StandIn(), f"stand-in with the layers of CompressAI's model, random weights, constriction; {on}"
    return CompressAI(), f"the package compressai {compressai.__version__} itself, random weights, its coder; {on}"


class CompressAI:
    """The package's own model and entropy coder."""

    def __init__(self) -> None:
        # By name, because CompressAI is no dependency of anything here.
        zoo = importlib.import_module("compressai.zoo")
        self._model = zoo.bmshj2018_hyperprior(quality=3, pretrained=False).eval()
        self._model.update(force=True)

    @torch.inference_mode()
    def compress(self, pixels: Pixels) -> tuple[Any, int]:
        """Pad, encode."""
        coded = self._model.compress(_to_tensor(pixels))
        size = sum(len(string) for strings in coded["strings"] for string in strings)
        return (coded, pixels.shape[:2]), size

    @torch.inference_mode()
    def decompress(self, coded: Any) -> Pixels:
        """Decode, crop."""
        strings, (height, width) = coded
        return _to_pixels(self._model.decompress(strings["strings"], strings["shape"])["x_hat"], height, width)


class _Coded(NamedTuple):
    content: bytes
    height: int
    width: int


class GDN(nn.Module):
    """Generalised divisive normalisation, x / sqrt(beta + gamma x^2), or its inverse (Ballé et al., ICLR 2016)."""

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(0.1 * torch.eye(channels)[:, :, None, None])
        self.inverse = inverse

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        norm = nn.functional.conv2d(x**2, self.gamma, self.beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())


class StandIn:
    """The same layers, and constriction's range coder for as many symbols."""

    def __init__(self) -> None:
        from miscomp.codecs.entropy import CodingTables
        from miscomp.codecs.frequencies import gaussian_frequencies

        down = [_down(3, N), GDN(N), _down(N, N), GDN(N), _down(N, N), GDN(N), _down(N, M)]
        up = [_up(M, N), GDN(N, inverse=True), _up(N, N), GDN(N, inverse=True), _up(N, N), GDN(N, inverse=True)]
        self._g_a, self._g_s = nn.Sequential(*down).eval(), nn.Sequential(*up, _up(N, 3)).eval()
        self._h_a = nn.Sequential(nn.Conv2d(M, N, 3, padding=1), nn.ReLU(), _down(N, N), nn.ReLU(), _down(N, N)).eval()
        self._h_s = nn.Sequential(
            _up(N, N), nn.ReLU(), _up(N, N), nn.ReLU(), nn.Conv2d(N, M, 3, padding=1), nn.ReLU()
        ).eval()
        frequencies = gaussian_frequencies()
        self._tables: CodingTables = CodingTables(frequencies)
        self._first = int(np.flatnonzero(frequencies.coded)[0])

    @torch.inference_mode()
    def compress(self, pixels: Pixels) -> tuple[Any, int]:
        """Pad, encode."""
        from miscomp.codecs.entropy import SymbolEncoder

        # Scaled so that the latents of random networks are as spread as those of trained ones at a low rate.
        y = self._g_a(_to_tensor(pixels))
        y = y * (1 / y.std().clamp_min(1e-6))
        z = self._h_a(y.abs())
        coder = SymbolEncoder(self._tables)
        z_hat = torch.from_numpy(coder.code(_symbols(z), self._of_z(z.shape[2:]))).float().view_as(z)
        coder.code(_symbols(y), self._of_y(z_hat))
        content = coder.finish()
        return _Coded(content, *pixels.shape[:2]), len(content)

    @torch.inference_mode()
    def decompress(self, coded: Any) -> Pixels:
        """Decode, crop."""
        from miscomp.codecs.entropy import SymbolDecoder

        rows, columns = (-(-side // PADDED_TO) for side in (coded.height, coded.width))
        coder = SymbolDecoder(self._tables, coded.content)
        z_hat = torch.from_numpy(coder.code(self._of_z((rows, columns)))).float().view(1, N, rows, columns)
        y_hat = torch.from_numpy(coder.code(self._of_y(z_hat))).float().view(1, M, 4 * rows, 4 * columns)
        return _to_pixels(self._g_s(y_hat), coded.height, coded.width)

    def _of_z(self, size: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """One table for each channel, as the factorised prior has."""
        channels = self._first + np.arange(N, dtype=np.int64) % (len(self._tables.frequencies.coded) - self._first)
        return np.repeat(channels, size[0] * size[1])

    def _of_y(self, z_hat: Tensor) -> npt.NDArray[np.int64]:
        """Tables of the spread that h_s names, here spread over a quarter of them: all symbols are coded."""
        raw = self._h_s(z_hat).flatten()
        place = raw / raw.max().clamp_min(1e-6) * (len(self._tables.frequencies.coded) - self._first) / 4
        indexes: npt.NDArray[np.int64] = self._first + place.long().numpy()
        return indexes


def _down(inside: int, outside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 5, stride=2, padding=2)


def _up(inside: int, outside: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inside, outside, 5, stride=2, padding=2, output_padding=1)


def _symbols(latents: Tensor) -> npt.NDArray[np.int32]:
    symbols: npt.NDArray[np.int32] = latents.round().to(torch.int32).flatten().numpy()
    return symbols


def _to_tensor(pixels: Pixels) -> Tensor:
    """(1, 3, h, w) in [0, 1], padded with zeros to multiples of 64 as CompressAI's examples do."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    below, right = -x.shape[2] % PADDED_TO, -x.shape[3] % PADDED_TO
    return nn.functional.pad(x, (0, right, 0, below))


def _to_pixels(x_hat: Tensor, height: int, width: int) -> Pixels:
    pixels: Pixels = (x_hat[0, :, :height, :width].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels)
