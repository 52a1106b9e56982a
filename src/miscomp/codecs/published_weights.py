"""Which networks a published codec runs with: found by quality when encoding, by their hash when decoding."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
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
from miscomp.codecs.weight_store import find, recorded
from miscomp.errors import StreamError, WeightsError

_MOST_BYTES = 2 * 2**30
"""Of weights and what is made of them that stay in memory, of all codecs together; the last one stays in any case."""
_TIMES = 3
"""What a network takes beside its file: its weights, and those that streams need in float64."""


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


class _Memory:
    """Networks that were loaded last, of all codecs; a file that was changed is another."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[int, Loaded]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Loaded | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def put(self, key: Hashable, loaded: Loaded, size: int) -> None:
        with self._lock:
            self._kept[key] = size, loaded
            while len(self._kept) > 1 and sum(one for one, _ in self._kept.values()) > _MOST_BYTES:
                self._kept.popitem(last=False)


_memory = _Memory()


class WeightsOfRow:
    """The checkpoints of one row, loaded when they are needed."""

    def __init__(self, row: CodecRow, file: Path | None = None, given: Loaded | None = None) -> None:
        """Use the row's own checkpoints, or a file of the user's, or networks at hand, for every quality."""
        self._row, self._file, self._given = row, file, given

    def at(self, quality: int) -> Loaded:
        """The networks of a quality. Raises `WeightsError` where they are missing or do not fit."""
        return self._given or self._load(self._path(quality), self._digits(quality))

    def sha256(self, quality: int | None) -> str:
        """Of the file of a quality; for none, over the hashes of every quality's."""
        if quality is not None or self._given is not None or self._file is not None:
            return self.at(int(self._row.qualities.default) if quality is None else quality).sha256
        # As they were when they were fetched: reading a gigabyte tells nothing more, since each is checked when used.
        hashes = [recorded(one) or self.at(one.quality).sha256 for one in checkpoints_of(self._row.name)]
        return hashlib.sha256(" ".join(hashes).encode("ascii")).hexdigest()

    def check(self, quality: int | None) -> None:
        """Load those of a quality; for none, see that all are there."""
        if quality is not None:
            self.at(quality)
        elif self._given is None and self._file is None:
            known = checkpoints_of(self._row.name)
            missing = [one for one in known if find(one) is None]
            if missing:
                names = ", ".join(f"q{one.quality}" for one in missing)
                raise WeightsError(
                    self._row.name,
                    f"a rate is searched among all its qualities, and the weights of {names} are not on this machine; "
                    f"get them with: {_getting(self._row.name, missing[0])} ({missing[0].source}), or name one quality",
                )

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
        return "decode it with the file that it was made with: miscomp decompress --weights FILE"

    def _checkpoint(self, quality: int) -> Checkpoint:
        for checkpoint in checkpoints_of(self._row.name):
            if checkpoint.quality == quality:
                return checkpoint
        raise WeightsError(
            f"{self._row.name}@q{quality}",
            f"no weights of this quality are known; use your own: {self._row.name}@file:PATH",
        )

    def _digits(self, quality: int) -> str:
        """What the file's hash must begin with: all of it as it was fetched, or else what its authors say."""
        if self._file is not None:
            return ""
        checkpoint = self._checkpoint(quality)
        found = recorded(checkpoint)
        return found if found.startswith(checkpoint.sha256) else checkpoint.sha256

    def _path(self, quality: int) -> Path:
        if self._file is not None:
            return self._file
        checkpoint = self._checkpoint(quality)
        path = find(checkpoint)
        if path is None:
            name = f"{self._row.name}@q{quality}"
            get = _getting(name, checkpoint)
            raise WeightsError(
                name,
                f"its weights ({checkpoint.filename}) are not on this machine; get them with: {get} "
                f"({checkpoint.source}), or use your own: {self._row.name}@file:PATH",
            )
        return path

    def _load(self, path: Path, digits: str) -> Loaded:
        try:
            now = path.stat()
        except OSError as error:
            raise WeightsError(path, f"cannot be read: {error.strerror}; check the path") from error
        key = (self._row.name, path, digits, now.st_ino, now.st_size, now.st_mtime_ns)
        loaded = _memory.get(key)
        if loaded is None:
            loaded = self._read(path, digits)
            _memory.put(key, loaded, _TIMES * now.st_size)
        return loaded

    def _read(self, path: Path, digits: str) -> Loaded:
        file = read_checkpoint(path, sha256_start=digits)
        named = file.about.get("model", self._row.architecture)
        if named != self._row.architecture:
            raise WeightsError(path, f"says that it is of {named}, not of {self._row.architecture}; use that codec")
        metric, wanted = file.about.get("metric"), "ms-ssim" if self._row.name.endswith("-ms-ssim") else "mse"
        if metric in ("mse", "ms-ssim") and metric != wanted:
            raise WeightsError(path, f"says that it was trained for {metric}; {self._row.name} is trained for {wanted}")
        try:
            network = network_from_state(self._row.architecture, file.tensors, file.about)
        except ValueError as error:
            raise WeightsError(path, f"does not hold weights of {self._row.architecture}: {error}") from error
        return load_network(path, network, file.sha256)


def _getting(name: str, checkpoint: Checkpoint) -> str:
    return f"miscomp weights fetch {name}" + ("" if checkpoint.url else " --from PATH")
