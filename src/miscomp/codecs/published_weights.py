"""Which networks a published codec runs with: found by quality when encoding, by their hash when decoding."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs.checkpoint_files import read_checkpoint
from miscomp.codecs.checkpoints import Checkpoint, checkpoints_of
from miscomp.codecs.entropy import CodingTables
from miscomp.codecs.frequencies import shipped_gaussian
from miscomp.codecs.networks.base import LatentCoder, Network
from miscomp.codecs.networks.catalog import network_from_state
from miscomp.codecs.rows import CodecRow
from miscomp.codecs.weight_files import to_bytes
from miscomp.codecs.weight_store import find
from miscomp.errors import StreamError, WeightsError

_KEPT = 2
"""Networks that stay in memory: the widest take half a gigabyte with all that is made of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Networks ready to code with."""

    network: Network
    coder: LatentCoder
    tables: CodingTables
    sha256: str
    """Of the file that holds the weights."""


def load_network(where: object, network: Network, sha256: str) -> Loaded:
    """Networks at hand with what streams need. Raises `WeightsError` for weights that cannot code."""
    try:
        coder = network.latent_coder()
        return Loaded(network, coder, CodingTables(shipped_gaussian(), coder.tables), sha256)
    except ValueError as error:
        raise WeightsError(where, f"cannot code: {error}; fetch it again or use others") from error


def state_sha256(network: Network) -> str:
    """Stands for the file's hash where networks were made in memory; equal weights give equal ones."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return hashlib.sha256(to_bytes(state, {})).hexdigest()


class WeightsOfRow:
    """The checkpoints of one row, loaded when they are needed."""

    def __init__(self, row: CodecRow, file: Path | None = None, given: Loaded | None = None) -> None:
        """Use the row's own checkpoints, or a file of the user's, or networks at hand, for every quality."""
        self._row, self._file, self._given = row, file, given
        self._kept: OrderedDict[Path, Loaded] = OrderedDict()

    def at(self, quality: int) -> Loaded:
        """The networks of a quality. Raises `WeightsError` where they are missing or do not fit."""
        return self._given or self._load(self._path(quality), self._digits(quality))

    def check(self, quality: int | None) -> None:
        """Load those of a quality; for none, see that all are there."""
        if quality is not None:
            self.at(quality)
        elif self._given is None and self._file is None:
            for checkpoint in checkpoints_of(self._row.name):
                self._path(checkpoint.quality)

    def of_stream(self, weights: bytes, quality: int) -> Loaded:
        """The networks that a stream was made with. Raises `StreamError` where this machine does not have them."""
        scale = self._row.qualities
        if self._given is not None or self._file is not None:
            loaded = self.at(int(scale.default))
        elif scale.low <= quality <= scale.high:
            loaded = self.at(quality)
        else:
            raise StreamError("stream", f"made with weights of the user's own ({weights.hex()}); {self._give()}")
        if loaded.sha256[:16] != weights.hex():
            raise StreamError(
                "stream", f"made with other weights ({weights.hex()}) than these ({loaded.sha256[:16]}); {self._give()}"
            )
        return loaded

    def _give(self) -> str:
        return "give the file that it was made with: miscomp decompress --weights FILE"

    def _checkpoint(self, quality: int) -> Checkpoint:
        for checkpoint in checkpoints_of(self._row.name):
            if checkpoint.quality == quality:
                return checkpoint
        raise WeightsError(
            f"{self._row.name}@q{quality}",
            f"no weights of this quality are known; use your own: {self._row.name}@file:PATH",
        )

    def _digits(self, quality: int) -> str:
        return "" if self._file is not None else self._checkpoint(quality).sha256

    def _path(self, quality: int) -> Path:
        if self._file is not None:
            return self._file
        checkpoint = self._checkpoint(quality)
        path = find(checkpoint)
        if path is None:
            name = f"{self._row.name}@q{quality}"
            get = f"miscomp weights fetch {name}" + ("" if checkpoint.url else " --from FILE")
            raise WeightsError(
                name,
                f"its weights ({checkpoint.filename}) are not on this machine; get them with: {get} "
                f"({checkpoint.source}), or use your own: {self._row.name}@file:PATH",
            )
        return path

    def _load(self, path: Path, digits: str) -> Loaded:
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        file = read_checkpoint(path, sha256_start=digits)
        named = file.about.get("model", self._row.architecture)
        if named != self._row.architecture:
            raise WeightsError(path, f"says that it is of {named}, not of {self._row.architecture}; use that codec")
        try:
            network = network_from_state(self._row.architecture, file.tensors, file.about)
        except ValueError as error:
            raise WeightsError(path, f"does not hold weights of {self._row.architecture}: {error}") from error
        loaded = load_network(path, network, file.sha256)
        self._kept[path] = loaded
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return loaded
