"""Files of the learned detector's weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch

from miscomp.codecs.weight_files import check_shapes, read, shipped, to_bytes, write
from miscomp.detect.network import DetectorNetwork, NetworkConfig
from miscomp.errors import WeightsError

SHIPPED = "detector.safetensors"
_ARCHITECTURE = "miscomp detector"
_MAX_WIDTH = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWeights:
    """A network that is ready to run, and the SHA-256 of the file that holds it."""

    network: DetectorNetwork
    sha256: str


def serialise(network: DetectorNetwork, *, dtype: torch.dtype = torch.float16) -> bytes:
    """The file's bytes. Raises `ValueError` for weights that are not finite in `dtype`."""
    tensors = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in network.state_dict().items()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"the weights {name} are not finite as {dtype}")
    return to_bytes(tensors, {"architecture": _ARCHITECTURE, "config": asdict(network.config)})


def write_network(network: DetectorNetwork, path: Path) -> str:
    """Write the weights atomically in float16, replacing a file that exists; returns the file's SHA-256."""
    return write(path, serialise(network))


def read_network(path: Path, *, sha256: str = "") -> LearnedWeights:
    """Read a weights file; `sha256` is what it must have, empty where that is not known.

    Raises `WeightsError` for a file that is missing, damaged, of something else or of another hash.
    """
    file = read(path, of="the detector", sha256=sha256)
    with torch.device("meta"):
        network = DetectorNetwork(_config(path, file.about))
    check_shapes(path, network, file.tensors)
    network.load_state_dict({name: tensor.float() for name, tensor in file.tensors.items()}, assign=True)
    ready: DetectorNetwork = network.eval().requires_grad_(False)
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return LearnedWeights(ready, file.sha256)


@cache
def shipped_network() -> LearnedWeights:
    """The weights that are part of the package. Raises `WeightsError` for an installation without them."""
    return read_network(shipped("miscomp.detect", SHIPPED))


def _config(path: Path, about: Any) -> NetworkConfig:
    try:
        if about["architecture"] != _ARCHITECTURE:
            raise ValueError(f"architecture {about['architecture']!r}")
        widths: dict[str, Any] = dict(about["config"])
        if set(widths) != {field.name for field in fields(NetworkConfig)}:
            raise ValueError(f"widths {sorted(widths)}")
        if any(type(width) is not int or not 1 <= width <= _MAX_WIDTH for width in widths.values()):
            raise ValueError(f"every width must be a whole number from 1 to {_MAX_WIDTH}")
        return NetworkConfig(**widths)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            path, f"does not hold the detector's weights ({error}); give a file of a training"
        ) from error
