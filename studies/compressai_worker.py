"""CompressAI's codecs, or ours with the same weights, in a process of its own: a JSON request per line, an answer each.

Started by compressai_side.py. Weights come as a file of torch.save, pictures and results as files of NumPy. What
`encode` and `decode` take is timed: from pixels to bytes and back, without files; `parts` are seconds within it.

This file needs only torch and numpy to be imported, so that CompressAI runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Pixels = npt.NDArray[np.uint8]
PADDED_TO = 64


class Clock:
    """Seconds that named parts took since `clear`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def clear(self) -> None:
        self.seconds = {}

    @contextmanager
    def counting(self, part: str) -> Iterator[None]:
        """Adds what the block takes to a part."""
        start = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    def watch(self, owner: Any, method: str, part: str) -> None:
        """From now on the owner's method is counted; an owner without it is left alone."""
        inner: Callable[..., Any] | None = getattr(owner, method, None)
        if inner is None:
            return

        def counted(*arguments: Any, **options: Any) -> Any:
            with self.counting(part):
                return inner(*arguments, **options)

        setattr(owner, method, counted)


class Result(NamedTuple):
    """One picture through a model without a stream."""

    x_hat: Tensor
    y: Tensor
    y_bits: float
    z_bits: float
    margin: float = float("nan")
    """How far from a border between two whole numbers all that was rounded is, at least; NaN if not looked at."""


class Side(Protocol):
    """A library's codecs, one at a time."""

    clock: Clock

    def load(self, architecture: str, state: dict[str, Tensor]) -> None: ...

    def forward(self, x: Tensor) -> Result: ...

    def encode(self, pixels: Pixels) -> Any: ...

    def decode(self, coded: Any) -> Pixels: ...

    def size_bytes(self, coded: Any) -> int: ...


class Theirs:
    """CompressAI's own modules and coder; strings in memory, no container."""

    def __init__(self) -> None:
        _declare_torchvision_operators()
        # By name, because CompressAI is no dependency of anything here.
        self.about = f"CompressAI {importlib.import_module('compressai').__version__}"
        self._zoo = importlib.import_module("compressai.zoo.image")
        self.clock = Clock()

    def shapes(self, architecture: str, channels: Sequence[int]) -> dict[str, list[int]]:
        """Names and shapes of a state dict."""
        model = self._zoo.model_architectures[architecture](*channels)
        return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}

    def load(self, architecture: str, state: dict[str, Tensor]) -> None:
        self._model = self._zoo.model_architectures[architecture].from_state_dict(state).eval()
        self._model.update(force=True)
        for part in ("g_a", "h_a", "g_s"):
            self.clock.watch(getattr(self._model, part, None), "forward", part)

    def forward(self, x: Tensor) -> Result:
        model, margins = self._model.to(x.dtype), []
        for name in ("entropy_bottleneck", "gaussian_conditional"):
            if hasattr(model, name):
                margins.append(_watch_rounding(getattr(model, name)))
        out = model(x)
        bits = {name: float(-likelihood.log2().sum()) for name, likelihood in out["likelihoods"].items()}
        margin = min(min(found) for found in margins)
        return Result(out["x_hat"], model.g_a(x), bits["y"], bits.get("z", 0.0), margin)

    def encode(self, pixels: Pixels) -> Any:
        return self._model.compress(to_tensor(pixels)), pixels.shape[:2]

    def decode(self, coded: Any) -> Pixels:
        strings, (height, width) = coded
        return to_pixels(self._model.decompress(strings["strings"], strings["shape"])["x_hat"], height, width)

    def size_bytes(self, coded: Any) -> int:
        return sum(len(string) for strings in coded[0]["strings"] for string in strings)


class Ours:
    """miscomp's networks, coder and container."""

    def __init__(self) -> None:
        self.about = "miscomp"
        self.clock = Clock()

    def load(self, architecture: str, state: dict[str, Tensor]) -> None:
        from miscomp.codecs.networks.catalog import network_from_state

        self._network = network_from_state(architecture, state)
        self._architecture = architecture
        self._codec: Any = None

    def forward(self, x: Tensor) -> Result:
        network = self._network.to(x.dtype)
        estimate = network(x)
        return Result(estimate.x_hat, network.analyse(x), float(estimate.y_bits), float(estimate.z_bits))

    def encode(self, pixels: Pixels) -> Any:
        return self._ready().compress(pixels, 3)

    def decode(self, coded: Any) -> Pixels:
        pixels: Pixels = self._ready().decompress(coded)
        return pixels

    def size_bytes(self, coded: Any) -> int:
        return len(coded)

    def _ready(self) -> Any:
        if self._codec is None:
            from miscomp.codecs.published import Published

            for method, part in (("analyse", "g_a"), ("summarise", "h_a"), ("synthesise", "g_s")):
                self.clock.watch(self._network, method, part)
            self._codec = Published.of_network(self._architecture, self._network)
        return self._codec


def _watch_rounding(entropy_model: Any) -> list[float]:
    """Grows with each call of the model's `quantize` by how close to a border the closest value was."""
    quantize, margins = type(entropy_model).quantize, []

    def watched(inputs: Tensor, mode: str, means: Tensor | None = None) -> Tensor:
        values = inputs if means is None else inputs - means
        margins.append(float((values - values.floor() - 0.5).abs().min()))
        rounded: Tensor = quantize(entropy_model, inputs, mode, means)
        return rounded

    entropy_model.quantize = watched
    return margins


def _declare_torchvision_operators() -> None:
    """Beside a torch that it was not built for, torchvision only imports where two of its operators are declared."""
    for operator in ("nms", "qnms"):
        try:
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
        except RuntimeError as error:
            print(f"torchvision::{operator} is declared already ({error})", file=sys.stderr)


def to_tensor(pixels: Pixels) -> Tensor:
    """(1, 3, h, w) in [0, 1], padded below and on the right with zeros to multiples of 64."""
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    below, right = -x.shape[2] % PADDED_TO, -x.shape[3] % PADDED_TO
    return torch.nn.functional.pad(x, (0, right, 0, below))


def to_pixels(x_hat: Tensor, height: int, width: int) -> Pixels:
    """The opposite of `to_tensor`, rounded."""
    pixels: Pixels = (x_hat[0, :, :height, :width].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels)


def timed(side: Side, what: str, work: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """What the work returns; its seconds, in all and by part. What no part has is the entropy coder's."""
    side.clock.clear()
    start = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - start
    parts = dict(side.clock.seconds)
    parts["coding"] = seconds - sum(parts.values())
    return done, {"do": what, "seconds": seconds, "parts": parts}


@torch.inference_mode()
def answer(side: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Do what was asked."""
    do = request["do"]
    if do == "shapes":
        return {"shapes": side.shapes(request["architecture"], request["channels"])}
    if do == "load":
        side.load(request["architecture"], torch.load(request["state"], weights_only=True))
        return {}
    if do == "forward":
        result = side.forward(torch.from_numpy(np.load(request["picture"])))
        x_hat, y = result.x_hat.numpy(), result.y.numpy()
        bits = {"y_bits": result.y_bits, "z_bits": result.z_bits}
        np.savez(request["result"], x_hat=x_hat, y=y, margin=result.margin, **bits)
        return {}
    if do == "encode":
        pixels = np.load(request["picture"])
        coded, answered = timed(side, do, lambda: side.encode(pixels))
        Path(request["coded"]).write_bytes(pickle.dumps(coded))
        return answered | {"bytes": side.size_bytes(coded)}
    if do == "decode":
        coded = pickle.loads(Path(request["coded"]).read_bytes())
        pixels, answered = timed(side, do, lambda: side.decode(coded))
        return answered | {"mean": float(pixels.mean())}
    raise ValueError(f"no request {do!r}")


def main() -> None:
    """Say what runs, then answer until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=["theirs", "ours"])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    side = Theirs() if options.side == "theirs" else Ours()
    about = f"{side.about}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    print(json.dumps({"about": about}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(side, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
