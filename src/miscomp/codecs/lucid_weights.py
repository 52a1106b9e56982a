"""Files of lucid's weights: safetensors whose metadata holds the networks' widths; equal weights give equal bytes."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.errors import WeightsError

SHIPPED = "lucid.safetensors"
MAX_FILE_BYTES = 64 * 2**20
"""Far above any width that still is a small codec; a file beyond it is refused before it is read."""

# One key only: safetensors writes several in random order, and equal weights must give equal bytes.
_KEY = "miscomp"
_MAX_WIDTH = 4096


@dataclass(frozen=True, slots=True, eq=False)
class LucidWeights:
    """Networks in float32, ready to run, and the SHA-256 of the file that holds them."""

    model: LucidModel
    sha256: str


def shipped_weights() -> Path:
    """Where the package keeps its weights. Raises `WeightsError` for an installation without them."""
    path = Path(str(resources.files("miscomp.codecs") / "assets" / SHIPPED))
    if not path.is_file():
        raise WeightsError(path, "the package's own weights are missing; install miscomp again")
    return path


def serialise(model: LucidModel, *, dtype: torch.dtype = torch.float32) -> bytes:
    """The file's bytes. Raises `ValueError` for weights that are not finite in `dtype`."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in sorted(model.state_dict().items()):
        tensors[name] = tensor.detach().cpu().to(dtype).contiguous()
        if not bool(torch.isfinite(tensors[name]).all()):
            raise ValueError(f"the weights {name} are not finite as {dtype}")
    about = {"architecture": "lucid", "config": asdict(model.config)}
    return save(tensors, metadata={_KEY: json.dumps(about, sort_keys=True)})


def write_weights(model: LucidModel, path: Path, *, dtype: torch.dtype = torch.float32) -> str:
    """Write the weights atomically, replacing a file that exists; returns the file's SHA-256."""
    content = serialise(model, dtype=dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
    return hashlib.sha256(content).hexdigest()


def of_model(model: LucidModel) -> LucidWeights:
    """A copy of networks at hand, as if written to a file in float32 and read back."""
    sha256 = hashlib.sha256(serialise(model)).hexdigest()
    return LucidWeights(_ready(copy.deepcopy(model)), sha256)


def read_weights(path: Path, *, sha256: str = "") -> LucidWeights:
    """Read a weights file; `sha256` is what it must have, empty where that is not known.

    Raises `WeightsError` for a file that is missing, damaged, of another architecture, of another hash, or
    whose tensors do not have the shapes that its own widths ask for.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise WeightsError(path, f"has {size} bytes; weights of lucid have at most {MAX_FILE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(path, f"cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise WeightsError(path, f"has the SHA-256 {found}, expected {sha256}; install or fetch it again")
    try:
        tensors = load(content)
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(path, f"is not a whole safetensors file ({error}); fetch it again") from error
    return LucidWeights(_build(path, _config(path, metadata), tensors), found)


def _config(path: Path, metadata: dict[str, str]) -> LucidConfig:
    try:
        about: Any = json.loads(metadata[_KEY])
        if about["architecture"] != "lucid":
            raise ValueError(f"architecture {about['architecture']!r}")
        values: dict[str, Any] = dict(about["config"])
        values["groups"] = tuple(values["groups"])
        if set(values) != {field.name for field in fields(LucidConfig)}:
            raise ValueError(f"widths {sorted(values)}")
        widths = [*values["groups"], *(value for name, value in values.items() if name != "groups")]
        if len(widths) > 64 or any(type(width) is not int or not 1 <= width <= _MAX_WIDTH for width in widths):
            raise ValueError(f"every width must be a whole number from 1 to {_MAX_WIDTH}")
        return LucidConfig(**values)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(path, f"does not hold weights of lucid ({error}); give a file that it wrote") from error


def _build(path: Path, config: LucidConfig, tensors: dict[str, Tensor]) -> LucidModel:
    # On the meta device nothing is allocated or drawn at random before the shapes are known to fit.
    with torch.device("meta"):
        model = LucidModel(config)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != got:
        wrong = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))[0]
        raise WeightsError(
            path, f"does not fit its own widths: {wrong} is {got.get(wrong)}, needed {wanted.get(wrong)}"
        )
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor.float()).all()):
            raise WeightsError(path, f"holds values in {name} that are not finite floats; fetch it again")
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return _ready(model)


def _ready(model: LucidModel) -> LucidModel:
    # channels_last makes the synthesis on a CPU about 15 % faster.
    ready: LucidModel = model.cpu().float().eval().requires_grad_(False)
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready
