"""Files of weights that this package writes: safetensors with one JSON text about them, read without running code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from miscomp.errors import WeightsError
from miscomp.folders import replacing

MAX_FILE_BYTES = 64 * 2**20
"""Far above any network that still is small; a file beyond it is refused before it is read."""

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What weights may be. Of others torch cannot convert some, and some hold too little to be anyone's weights."""

# One key only: safetensors writes several in random order, and equal weights must give equal bytes.
_KEY = "miscomp"


@dataclass(frozen=True, slots=True, eq=False)
class WeightsFile:
    """A file that was read whole; nothing is known yet of whether its tensors fit a network."""

    tensors: dict[str, Tensor]
    about: Any
    """What the writer said about them, as JSON has it."""
    sha256: str


def shipped(package: str, name: str) -> Path:
    """Where `package` keeps the weights that are part of it. Raises `WeightsError` for an installation without them."""
    path = Path(str(resources.files(package) / "assets" / name))
    if not path.is_file():
        raise WeightsError(path, "the package's own weights are missing; install miscomp again")
    return path


def to_bytes(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """The file's bytes; equal tensors give equal bytes."""
    return save(dict(sorted(tensors.items())), metadata={_KEY: json.dumps(about, sort_keys=True)})


def write(path: Path, content: bytes) -> str:
    """Write a file of weights atomically, replacing one that exists; returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read(path: Path, *, of: str, sha256: str = "") -> WeightsFile:
    """Read the weights `of` something; `sha256` is what the file must have, empty where that is not known.

    Raises `WeightsError` for a file that is missing, too large, damaged or of another hash.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise WeightsError(path, f"has {size} bytes; weights of {of} have at most {MAX_FILE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(path, f"cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise WeightsError(path, f"has the SHA-256 {found}, expected {sha256}; install or fetch it again")
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(path, f"is not a whole safetensors file ({error}); fetch it again") from error
    return WeightsFile(tensors, _about(content), found)


def _about(content: bytes) -> Any:
    """The text of a file that safetensors has read whole: its header is JSON behind its length (u64)."""
    header: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    try:
        return json.loads((header.get("__metadata__") or {}).get(_KEY, "null"))
    except (ValueError, RecursionError):
        return None


def check_shapes(where: object, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise `WeightsError` unless the tensors are finite floats, of the names and shapes of the model's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_wanted(where, wanted, tensors)


def check_wanted(where: object, wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> None:
    """Raise `WeightsError` unless the tensors are finite floats, of the names and shapes `wanted`."""
    if problem := misfit(wanted, tensors):
        raise WeightsError(where, problem)


def misfit(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> str:
    """What keeps tensors from being the finite floats `wanted`, by name and shape; empty where nothing does."""
    got = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != got:
        wrong = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))[0]
        return f"does not fit its own widths: {wrong} is {got.get(wrong)}, needed {wanted.get(wrong)}"
    for name, tensor in tensors.items():
        # The type first: no arithmetic is defined for some.
        if tensor.dtype not in FLOATS:
            return f"holds values in {name} that are not finite floats of 16, 32 or 64 bits but {tensor.dtype}"
        if not bool(tensor.float().isfinite().all()):
            return f"holds values in {name} that are not finite floats; fetch it again"
    return ""
