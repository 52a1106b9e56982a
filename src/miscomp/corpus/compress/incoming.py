"""`incoming/`: where a worker's result lies until the driver takes it in, as a folder that is whole once it has a name.

- `incoming/.unfinished-.../`: being written
- `incoming/MODEL-SHA1/`: whole: `stream`, `reconstruction.png`, and `result.json` with their hashes
- `incoming/set-aside/`: what did not fit the corpus, for a person to look at
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from miscomp.corpus.compress.tasks import Coded, Measured, Outcome, Task
from miscomp.errors import InputError

STREAM, PICTURE, RESULT = "stream", "reconstruction.png", "result.json"
UNFINISHED = ".unfinished-"
SET_ASIDE = "set-aside"
SCHEMA = 1
MAX_RESULT_BYTES = 2**20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What `result.json` says."""

    miscomp_result: int
    image_sha1: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    model: str
    spec: str
    suffix: Annotated[str, Field(pattern=r"^\.[a-z0-9]{1,8}$")]
    stream_sha256: str
    stream_bytes: Annotated[int, Field(ge=0)]
    sha256: str
    """Of the reconstruction's file."""
    measured: Measured


_PLACED = TypeAdapter(Placed)


def place(incoming: Path, task: Task, coded: Coded) -> None:
    """Write a result, whole or not at all; the same task's, if it is there, stays.

    A power cut may leave less than was written under the name; then the hashes tell, and it is not taken in.
    Raises `OSError`; `place_outcome` says what that means for the task.
    """
    partial = incoming / f"{UNFINISHED}{task.key}-{secrets.token_hex(8)}"
    partial.mkdir(parents=True)
    try:
        placed = Placed(
            miscomp_result=SCHEMA,
            image_sha1=task.image_sha1,
            model=task.model,
            spec=task.spec,
            suffix=coded.suffix,
            stream_sha256=hashlib.sha256(coded.stream).hexdigest(),
            stream_bytes=len(coded.stream),
            sha256=hashlib.sha256(coded.png).hexdigest(),
            measured=coded.measured,
        )
        (partial / STREAM).write_bytes(coded.stream)
        (partial / PICTURE).write_bytes(coded.png)
        (partial / RESULT).write_text(json.dumps(asdict(placed), ensure_ascii=True) + "\n", encoding="ascii")
        try:
            os.rename(partial, incoming / task.key)
        except OSError:
            # Its twin by a worker that outlived its driver; both hold the same.
            if not (incoming / task.key / RESULT).is_file():
                raise
            shutil.rmtree(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def place_outcome(incoming: Path, task: Task, coded: Coded, *, seconds: float) -> Outcome:
    """Place a result and say how that went; a full disk is a reason to stop, not a fault of the task."""
    try:
        place(incoming, task, coded)
    except OSError as error:
        return Outcome(
            task=task,
            reason=f"its result cannot be written: {error.strerror or error}",
            seconds=seconds,
            full=error.errno in _NO_SPACE,
        )
    return Outcome(task=task, seconds=seconds)


def read_placed(folder: Path) -> Placed:
    """What a whole result says of itself. Raises `InputError` for one that is damaged or of another form."""
    path = folder / RESULT
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RESULT_BYTES + 1)
        if len(content) > MAX_RESULT_BYTES:
            raise ValueError(f"it has more than {MAX_RESULT_BYTES} bytes")
        placed = _PLACED.validate_json(content, strict=True)
        # The PSNR of equal pictures is infinite; nothing is no number.
        if wrong := [name for name, value in asdict(placed.measured).items() if value != value]:
            raise ValueError(f"{', '.join(wrong)} is no number")
        if nul := [name for name, value in asdict(placed.measured).items() if isinstance(value, str) and "\0" in value]:
            raise ValueError(f"{', '.join(nul)} holds a NUL, which no database keeps")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            path, f"is damaged: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(path, f"is damaged: {error}") from error
    if placed.miscomp_result != SCHEMA:
        raise InputError(path, f"has form {placed.miscomp_result}; this release knows {SCHEMA}")
    if folder.name != f"{placed.model}-{placed.image_sha1}":
        raise InputError(path, f"belongs to {placed.model}-{placed.image_sha1}, not into this folder")
    return placed


def waiting(incoming: Path) -> list[Path]:
    """Folders that are whole, by name, after everything unfinished was removed; only the driver may ask."""
    incoming.mkdir(exist_ok=True)
    found: list[Path] = []
    for entry in sorted(incoming.iterdir()):
        if entry.name.startswith(UNFINISHED):
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != SET_ASIDE:
            found.append(entry)
    return found


def set_aside(folder: Path) -> Path:
    """Move a result to where nobody takes it in, and return its new place."""
    shelf = folder.parent / SET_ASIDE
    shelf.mkdir(exist_ok=True)
    target = shelf / folder.name
    number = 1
    while target.exists() or target.is_symlink():
        number += 1
        target = shelf / f"{folder.name}-{number}"
    os.rename(folder, target)
    return target
