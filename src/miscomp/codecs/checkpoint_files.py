"""Files of weights that others published: torch's own files and safetensors, from anyone, read without running code.

A torch file is a pickle, a small program. It is loaded by torch's restricted loader (`weights_only=True`), and only
after a look at what it names and builds: that loader allows more than weights need, such as tensors of any size from
nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from miscomp.codecs.checkpoint_programs import check_programs
from miscomp.codecs.weight_files import FLOATS
from miscomp.errors import WeightsError

MAX_FILE_BYTES = 3 * 2**30
"""More than any published file has; one beyond it is refused before it is read."""
_MAX_PICKLE_BYTES = 4 * 2**20
"""Of names, shapes and settings; a thousand tensors take a quarter of a megabyte."""
_MAX_TEXT = 1000
_MAX_INT = 2**63

_NESTED = ("state_dict", "ema", "model_state_dict", "model")
"""Where the weights may be, the first that holds tensors counts."""

_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch's files began before 1.6: a pickled number. Four more pickles follow, then the numbers themselves."""
_LEGACY_PICKLES = 5

_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""Counts and tables beside the weights, which no network takes from a file."""

_SHOWN = 2
"""How often tensors may show each byte of their file: published ones do once, a few share a tensor under two names."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointFile:
    """A file that was read; nothing is known yet of whether its tensors fit a network."""

    tensors: dict[str, Tensor]
    """The state dict. The tensors may be the mapped file itself: copy what is kept."""
    about: dict[str, str | int | float]
    """What stands beside the state dict, such as `model`, `metric` and `quality`; texts and numbers only."""
    sha256: str


def read_checkpoint(path: Path, *, sha256_start: str = "") -> CheckpointFile:
    """Read a state dict with names and shapes as published.

    `sha256_start` is what the file's SHA-256 must begin with. Raises `WeightsError` for a file that is missing, too
    large, damaged, of another hash, that wants to run code, or that holds no state dict.
    """
    try:
        before = path.stat()
        if not path.is_file() or before.st_size > MAX_FILE_BYTES:
            what = f"has {before.st_size} bytes, allowed are {MAX_FILE_BYTES}" if path.is_file() else "is not a file"
            raise WeightsError(path, f"{what}; give a file of published weights")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(path, f"cannot be read: {error.strerror}") from error
    if not found.startswith(sha256_start):
        raise WeightsError(
            path,
            f"has the SHA-256 {found}, that of the published file begins with {sha256_start}; fetch it again with "
            "miscomp weights fetch --force",
        )
    try:
        content, about = _load(path)
        after = path.stat()
    except OSError as error:
        raise WeightsError(path, f"cannot be read: {error}") from error
    if (before.st_mtime_ns, before.st_size, before.st_ino) != (after.st_mtime_ns, after.st_size, after.st_ino):
        raise WeightsError(path, "was changed while it was read; try again")
    return CheckpointFile(_checked(path, content, before.st_size), about, found)


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, str | int | float]]:
    with path.open("rb") as file:
        head = file.read(_MAX_PICKLE_BYTES)
    if head.startswith(b"PK\x03\x04"):
        check_programs(path, _program(path), 1)
        return _pick(path, _load_torch(path, mapped=True))
    if head.startswith(_LEGACY_MAGIC):
        check_programs(path, head, _LEGACY_PICKLES)
        return _pick(path, _load_torch(path, mapped=False))
    if head[8:9] == b"{":
        return _load_safetensors(path)
    begin = f"it begins with {head[:8].hex(' ')}" if head else "it is empty"
    raise WeightsError(path, f"is no file of weights (.pth, .pt, .pth.tar of torch, or .safetensors): {begin}")


class _ShortReads(io.FileIO):
    """A file whose table of contents must be short, so that reading it takes little memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_PICKLE_BYTES:
            raise zipfile.BadZipFile("its table of contents is too long")
        return super().read(-1 if size is None else size) or b""


def _program(path: Path) -> bytes:
    """The pickle in a torch file. Raises `WeightsError` for an archive that is not as torch writes it.

    Nothing in it may be compressed: then it cannot unfold into more than the file has.
    """
    try:
        with _ShortReads(path) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
                raise WeightsError(path, "holds compressed parts, which torch does not write; save it again with torch")
            if sum(max(entry.file_size, entry.compress_size) for entry in entries) > path.stat().st_size:
                raise WeightsError(path, "holds parts that are longer than the file; fetch it again")
            programs = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(programs) != 1 or programs[0].file_size > _MAX_PICKLE_BYTES:
                raise WeightsError(path, "is a zip archive, but no checkpoint as torch.save writes it")
            return archive.read(programs[0])
    except WeightsError:
        raise
    except Exception as error:
        # zipfile follows offsets and lengths as the file has them; a false one ends in any exception.
        raise WeightsError(path, f"is not a whole torch file ({error}); fetch it again") from error


def _load_torch(path: Path, *, mapped: bool) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        # The loader runs through whatever the file says; any exception may come of that and means the same.
        words = " ".join(str(error).split())[:200]
        raise WeightsError(
            path, f"is not a whole checkpoint of torch ({type(error).__name__}: {words}); fetch it again"
        ) from error


def _load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str | int | float]]:
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            about = _about(file.metadata() or {})
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(path, f"is not a whole safetensors file ({error}); fetch it again") from error


def _pick(path: Path, content: object) -> tuple[dict[str, Tensor], dict[str, str | int | float]]:
    """The state dict, and the texts and numbers beside it."""
    if (tensors := _tensors(content)) is not None:
        return tensors, {}
    if isinstance(content, dict):
        for name in _NESTED:
            if (tensors := _tensors(dict.get(content, name))) is not None:
                return tensors, _about(content)
    holds = ", ".join(sorted(map(_shown, dict.keys(content)))[:10]) if isinstance(content, dict) else ""
    what = f"a dictionary of {holds or 'nothing'}" if isinstance(content, dict) else type(content).__name__
    raise WeightsError(path, f"holds no state dict, at the top or under {', '.join(_NESTED)}; it holds {what}")


def _shown(name: object) -> str:
    # Of other keys than texts only the type: what they print as is up to the file.
    return name[:40] if isinstance(name, str) else type(name).__name__


def _tensors(value: object) -> dict[str, Tensor] | None:
    """`value` if it is a mapping from names to tensors, and not empty."""
    # dict's own methods: a hostile file may have put other things in their place on an OrderedDict.
    if not isinstance(value, dict) or not dict.__len__(value):
        return None
    items = dict.items(value)
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in items):
        return None
    return {name: tensor.detach() for name, tensor in items}


def _about(content: dict[Any, Any]) -> dict[str, str | int | float]:
    """Texts and numbers beside the weights; those of a training's settings begin with `args.`."""
    args = dict.get(content, "args")
    settings = vars(args) if type(args) is argparse.Namespace else args
    if not isinstance(settings, dict):
        return _plain(content)
    return _plain(content) | {f"args.{name}": value for name, value in _plain(settings).items()}


def _plain(content: dict[Any, Any]) -> dict[str, str | int | float]:
    return {
        name: value
        for name, value in dict.items(content)
        if isinstance(name, str)
        and len(name) <= _MAX_TEXT
        and (
            (isinstance(value, str) and len(value) <= _MAX_TEXT)
            or (isinstance(value, int) and abs(value) <= _MAX_INT)
            or isinstance(value, float)
        )
    }


def _checked(path: Path, tensors: dict[str, Tensor], file_bytes: int) -> dict[str, Tensor]:
    """A few numbers can be shown as a tensor of any size; then the first use of it would fill the memory."""
    for name, tensor in tensors.items():
        if tensor.dtype not in (*FLOATS, *_WHOLE):
            raise WeightsError(
                path,
                f"holds {name[:100]} as {_dtype(tensor.dtype)}; allowed for weights are "
                f"{', '.join(map(_dtype, FLOATS))}; save it again as one of these",
            )
    shown = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if shown > _SHOWN * file_bytes:
        raise WeightsError(
            path,
            f"holds tensors of {shown} bytes, but has {file_bytes} bytes; allowed are {_SHOWN} times as many, for "
            "tensors that share their numbers; save it again with each tensor by itself",
        )
    return tensors


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
