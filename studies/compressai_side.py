"""The parent's end of compressai_worker.py, and what the studies beside CompressAI share: architectures and weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# The formula of the random weights is the tests' own.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "fakes"))

from formula_weights import formula_state

ARCHITECTURES: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "bmshj2018-factorized": {1: (128, 192), 3: (128, 192), 8: (192, 320)},
    "bmshj2018-hyperprior": {1: (128, 192), 3: (128, 192), 8: (192, 320)},
    "mbt2018-mean": {1: (128, 192), 3: (128, 192), 8: (192, 320)},
    "mbt2018": {1: (192, 192), 3: (192, 192), 8: (192, 320)},
    "cheng2020-anchor": {1: (128,), 3: (128,), 6: (192,)},
    "cheng2020-attn": {1: (128,), 3: (128,), 6: (192,)},
}
"""Channel counts of the lowest quality, of quality 3 and of the highest, as CompressAI's constructors take them."""

SMALL: Mapping[str, tuple[int, ...]] = {name: (8,) if "cheng" in name else (8, 12) for name in ARCHITECTURES}


class WorkerError(Exception):
    """A worker's process ended; its own words are on stderr."""


class Forward(NamedTuple):
    """What a model makes of a picture without a stream."""

    x_hat: npt.NDArray[np.floating[Any]]
    y: npt.NDArray[np.floating[Any]]
    y_bits: float
    z_bits: float
    margin: float
    """Smallest distance of what was rounded from a border between two whole numbers; NaN of our side."""


class Side:
    """A running worker; ends with the `with` block."""

    def __init__(self, name: str, *, python: str = sys.executable, threads: int = 2, large_pages: bool = False) -> None:
        """`name` is `theirs` or `ours`; `large_pages` lets torch ask Linux for them, as miscomp's command line does."""
        worker = str(Path(__file__).with_name("compressai_worker.py"))
        command = [python, worker, name, "--threads", str(threads)]
        environment = os.environ | {"THP_MEM_ALLOC_ENABLE": str(int(large_pages))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.name = name
        self.about = ""

    def __enter__(self) -> Side:
        self.about = self._answer()["about"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Closing its input is what ends it.
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """One request and its answer. Raises `WorkerError`."""
        if self._process.stdin is None:
            raise WorkerError(f"{self.name} takes no requests")
        try:
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        except BrokenPipeError as error:
            raise WorkerError(f"{self.name} ended early") from error
        return self._answer()

    def forward(self, x: Tensor, folder: Path) -> Forward:
        """A picture (1, 3, h, w) through the loaded model, in the picture's precision. Raises `WorkerError`."""
        np.save(folder / "picture.npy", x.numpy())
        self.ask("forward", picture=str(folder / "picture.npy"), result=str(folder / f"{self.name}.npz"))
        with np.load(folder / f"{self.name}.npz") as result:
            return Forward(
                result["x_hat"], result["y"], float(result["y_bits"]), float(result["z_bits"]), float(result["margin"])
            )

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise WorkerError(f"{self.name} ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def shapes(theirs: Side, architecture: str, channels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of CompressAI's state dict at these channel counts. Raises `WorkerError`."""
    answer = theirs.ask("shapes", architecture=architecture, channels=channels)
    return {name: tuple(shape) for name, shape in answer["shapes"].items()}


def random_weights(theirs: Side, architecture: str, channels: tuple[int, ...], folder: Path) -> Path:
    """A file with weights by formula in CompressAI's layout. Raises `WorkerError`."""
    path = folder / f"{architecture}-{'-'.join(map(str, channels))}.pt"
    torch.save(formula_state(shapes(theirs, architecture, channels)), path)
    return path
