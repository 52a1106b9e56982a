"""A made-up file of weights that a server on the loopback has, and ways to ask for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import Server

from miscomp.codecs.checkpoints import Checkpoint
from miscomp.codecs.downloads import Limits
from miscomp.codecs.weight_store import fetch
from miscomp.errors import MiscompError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def row(url: str = "", sha256: str = SHA256[:8]) -> Checkpoint:
    return Checkpoint(
        name="mbt2018@q3",
        codec="mbt2018",
        quality=3,
        filename="w.pth.tar",
        url=url,
        sha256=sha256,
        source="made up for a test",
        licence="none",
    )


def at(server: Server, sha256: str = SHA256[:8]) -> Checkpoint:
    return row(f"{server.root}/v1/w.pth.tar", sha256)


def fails(checkpoint: Checkpoint, **options: Any) -> str:
    with pytest.raises(MiscompError) as caught:
        fetch(checkpoint, **{"limits": Limits(patience=10), **options})
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
