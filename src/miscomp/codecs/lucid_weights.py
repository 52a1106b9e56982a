"""Files of lucid's weights: safetensors whose metadata holds the networks' widths; equal weights give equal bytes.

The transforms are floating-point numbers; all that both sides must compute alike is whole numbers.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load

from miscomp.codecs.frequencies import Frequencies, gaussian_frequencies
from miscomp.codecs.lucid_entropy import HYPER_WIDTH
from miscomp.codecs.lucid_integer import IntegerEntropy, State
from miscomp.codecs.lucid_model import LucidConfig, LucidModel
from miscomp.codecs.weight_files import check_wanted, read, shipped, to_bytes, write
from miscomp.errors import WeightsError

_ENTROPY = "entropy."
_FREQUENCIES = "frequencies."
_VALUES, _SIZES = _FREQUENCIES + "values", _FREQUENCIES + "sizes"
_MAX_WIDTH = 4096


@dataclass(frozen=True, slots=True, eq=False)
class LucidWeights:
    """Everything that coding needs, and the SHA-256 of the file that holds it."""

    model: LucidModel
    """In float32, ready to run. Its entropy networks are those of `entropy` in floating point, to train on."""
    entropy: IntegerEntropy
    frequencies: Frequencies
    sha256: str


def shipped_weights(codec: str = "lucid") -> Path:
    """Where the package keeps the weights of `lucid` or `slic`. Raises `WeightsError` where they are missing."""
    return shipped("miscomp.codecs", f"{codec}.safetensors")


def serialise(
    model: LucidModel, *, frequencies: Frequencies | None = None, dtype: torch.dtype = torch.float32
) -> bytes:
    """The file's bytes: transforms in `dtype`, entropy networks in whole numbers, and the tables of frequencies.

    The tables are a Gaussian's where none are given. Raises `ValueError` for weights that are not finite in `dtype`.
    """
    tensors: State = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith(_ENTROPY):
            tensors[name] = tensor.detach().cpu().to(dtype).contiguous()
            if not bool(torch.isfinite(tensors[name]).all()):
                raise ValueError(f"the weights {name} are not finite as {dtype}")
    networks = copy.deepcopy(model.entropy).cpu().float()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in networks.state_dict().values()):
        raise ValueError("the weights of the entropy networks are not finite")
    tensors |= {_ENTROPY + name: tensor for name, tensor in IntegerEntropy.state_of(networks).items()}
    values, sizes = (frequencies or gaussian_frequencies()).flat()
    tensors[_VALUES], tensors[_SIZES] = torch.from_numpy(values).int(), torch.from_numpy(sizes).short()
    about = {"architecture": "lucid", "config": asdict(model.config)}
    return to_bytes(tensors, about)


def write_weights(
    model: LucidModel, path: Path, *, frequencies: Frequencies | None = None, dtype: torch.dtype = torch.float32
) -> str:
    """Write the weights atomically, replacing a file that exists; returns the file's SHA-256."""
    return write(path, serialise(model, frequencies=frequencies, dtype=dtype))


def of_model(model: LucidModel) -> LucidWeights:
    """A copy of networks at hand, as if written to a file in float32 and read back."""
    content = serialise(model)
    return _build("networks at hand", model.config, load(content), hashlib.sha256(content).hexdigest())


def read_weights(path: Path, *, sha256: str = "") -> LucidWeights:
    """Read a weights file; `sha256` is what it must have, empty where that is not known.

    Raises `WeightsError` for a file that is missing, damaged, of another architecture, of another hash, or
    whose tensors do not have the shapes that its own widths ask for.
    """
    file = read(path, of="lucid", sha256=sha256)
    return _build(path, _config(path, file.about), file.tensors, file.sha256)


def _config(path: Path, about: Any) -> LucidConfig:
    try:
        if about["architecture"] != "lucid":
            raise ValueError(f"architecture {about['architecture']!r}")
        values: dict[str, Any] = dict(about["config"])
        lists = {name: tuple(values[name]) for name in ("groups", "hidden")}
        if set(values) != {field.name for field in fields(LucidConfig)}:
            raise ValueError(f"widths {sorted(values)}")
        widths = [*lists["groups"], *lists["hidden"], *(value for name, value in values.items() if name not in lists)]
        if len(widths) > 64 or any(type(width) is not int or not 1 <= width <= _MAX_WIDTH for width in widths):
            raise ValueError(f"every width must be a whole number from 1 to {_MAX_WIDTH}")
        return LucidConfig(**{**values, **lists})
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(path, f"does not hold weights of lucid ({error}); give a file that it wrote") from error


def _build(where: object, config: LucidConfig, tensors: State, sha256: str) -> LucidWeights:
    # On the meta device nothing is allocated or drawn at random before the shapes are known to fit.
    with torch.device("meta"):
        model = LucidModel(config)
    floats = {name: tensor for name, tensor in tensors.items() if not name.startswith((_ENTROPY, _FREQUENCIES))}
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if not name.startswith(_ENTROPY)}
    check_wanted(where, wanted, floats)
    entropy, frequencies = _integers(where, config, tensors)
    state = {name: tensor.float() for name, tensor in floats.items()}
    # Room for the entropy networks; not by to_empty, which imports sympy.
    state |= {name: torch.zeros(t.shape) for name, t in model.state_dict().items() if name.startswith(_ENTROPY)}
    model.load_state_dict(state, assign=True)
    entropy.load_into(model.entropy)
    return LucidWeights(_ready(model), entropy, frequencies, sha256)


def _integers(where: object, config: LucidConfig, tensors: State) -> tuple[IntegerEntropy, Frequencies]:
    integers = {name: tensor for name, tensor in tensors.items() if name.startswith((_ENTROPY, _FREQUENCIES))}
    state = {name.removeprefix(_ENTROPY): tensor for name, tensor in integers.items() if name.startswith(_ENTROPY)}
    try:
        if any(tensor.is_floating_point() or tensor.is_complex() for tensor in integers.values()):
            raise ValueError("its entropy model is not in whole numbers")
        if len(integers) > len(state) + 2:
            raise ValueError("there are other frequencies than values and sizes")
        entropy = IntegerEntropy(state, config.groups)
        if entropy.widths != (config.hidden, config.hyper, config.prior, HYPER_WIDTH, config.gain_steps):
            raise ValueError(f"entropy networks of the widths {entropy.widths}")
        values, sizes = (tensors[name].to(torch.int64).numpy() for name in (_VALUES, _SIZES))
        return entropy, Frequencies.from_flat(values, sizes)
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(where, f"holds an entropy model that does not fit ({error}); fetch it again") from error


def _ready(model: LucidModel) -> LucidModel:
    # channels_last makes the synthesis on a CPU about 15 % faster.
    ready: LucidModel = model.cpu().float().eval().requires_grad_(False)
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready
