"""The published models of TensorFlow Compression by its script `tfci.py`, run as a program; its own `.tfci` files.

A `.tfci` file is a serialized `tf.train.Example`: a map from names to lists, of which `MD` holds the model's name
and one-letter names hold strings and shapes. The script fetches the model that a file names and runs its graph,
and uses the name as a part of a path. So a file is parsed here first, and only a published name is passed on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.external import Program, ask, find_executable, git_commit, read_timeout_s
from miscomp.codecs.rows import CodecRow
from miscomp.errors import StreamError, UsageError
from miscomp.folders import file_sha256
from miscomp.images import Pixels

SCRIPT = "MISCOMP_TFCI"
PYTHON = "MISCOMP_TFCI_PYTHON"
MODELS = "MISCOMP_TFCI_MODELS"
SOURCE = "https://github.com/tensorflow/compression/blob/master/models/tfci.py"


def _numbered(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}-{index}" for index in range(1, count + 1))


FAMILIES: dict[str, tuple[str, ...]] = {
    "tfci-bmshj2018-factorized": _numbered("bmshj2018-factorized-mse", 8),
    "tfci-bmshj2018-factorized-ms-ssim": _numbered("bmshj2018-factorized-msssim", 8),
    "tfci-bmshj2018-hyperprior": _numbered("bmshj2018-hyperprior-mse", 8),
    "tfci-bmshj2018-hyperprior-ms-ssim": _numbered("bmshj2018-hyperprior-msssim", 8),
    "tfci-mbt2018-mean": _numbered("mbt2018-mean-mse", 8),
    "tfci-mbt2018-mean-ms-ssim": _numbered("mbt2018-mean-msssim", 8),
    "tfci-hific": ("hific-lo", "hific-mi", "hific-hi"),
    "tfci-ms2020": _numbered("ms2020-cc10-mse", 10),
    "tfci-ms2020-ms-ssim": _numbered("ms2020-cc8-msssim", 9),
}
"""Row to models, by rising rate: quality 1 is the first."""

_CODEC_OF = {model: codec for codec, models in FAMILIES.items() for model in models}
_MODEL_KEY = b"MD"
_MAX_ENTRIES = 64
"""The models pack fewer than ten tensors."""
_MAX_SHAPE_BYTES = 80
"""Longer lists of whole numbers are no shapes."""
_BYTES = 2
"""Protocol buffers' type of every field here: a length and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """What a `.tfci` file says about itself."""

    model: str
    """Published, hence safe to pass on."""
    numbers: tuple[int, ...]
    """The whole numbers in its shapes, in their order: heights and widths of the picture and of latents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tfci:
    """One family of models."""

    row: CodecRow
    program: Program
    models_folder: str = ""
    """Where the script keeps the models that it fetches; empty: where it does by itself."""

    @property
    def name(self) -> str:
        """The registry row's name."""
        return self.row.name

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        """Encode 8-bit RGB, (h, w, 3), with the family's model number `quality`.

        Raises `UsageError` for another quality and for whatever goes wrong with the program.
        """
        self.row.qualities.check(self.name, quality)
        model = FAMILIES[self.name][int(quality) - 1]

        def arguments(source: str, target: str) -> Sequence[str]:
            return [*self._options(), "compress", model, source, target]

        content = self.program.encode(pixels, arguments)
        try:
            written = read_coded(content).model
        except StreamError as error:
            raise UsageError(f"{self.name}: its program wrote no .tfci file: {error.problem}") from error
        if written != model:
            raise UsageError(f"{self.name}: its program was asked for the model {model} and wrote a file of {written}")
        return content

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode a file of the family. Raises `StreamError` for anything but a whole one of at most `max_megapixels`.

        The formats have no checksum: damage inside a string may give a wrong picture instead of an error.
        """
        coded = read_coded(content)
        codec = _CODEC_OF[coded.model]
        if codec != self.name:
            raise StreamError("stream", f"it is a file of {codec} (model {coded.model}), not of {self.name}")
        largest = sorted(coded.numbers)[-2:]
        if len(largest) == 2 and largest[0] * largest[1] > max_megapixels * 1e6:
            found = f"it holds a shape of {largest[0]} x {largest[1]}"
            raise StreamError("stream", f"{found}; the limit is {max_megapixels:g} megapixels, raise it to read")

        def arguments(source: str, target: str) -> Sequence[str]:
            return [*self._options(), "decompress", source, target]

        pixels = self.program.decode(content, arguments, max_megapixels=max_megapixels)
        if coded.numbers and not set(pixels.shape[:2]) <= set(coded.numbers):
            height, width = pixels.shape[:2]
            found = f"its program decoded {width} x {height} pixels"
            raise StreamError("stream", f"{found}, a size that the file does not state (it has {coded.numbers})")
        return pixels

    def version(self) -> str:
        """What codes: the script's commit or else its SHA-256, and the library's version where its Python tells it."""
        script = Path(self.program.command[-1])
        commit = git_commit(script)
        which = f"commit {commit}" if commit else f"SHA-256 {file_sha256(script)}"
        library = ""
        if len(self.program.command) == 2:
            question = "from importlib.metadata import version; print(version('tensorflow-compression'))"
            library = ask([self.program.command[0], "-c", question])
        return f"{script.name}, {which}" + (f", tensorflow-compression {library}" if library else "")

    def _options(self) -> list[str]:
        return ["--metagraph_cache", self.models_folder] if self.models_folder else []


def open_family(row: CodecRow) -> Tfci:
    """Find the script by the environment; `UsageError` says what to get and which variable to set."""
    named = os.environ.get(SCRIPT, "")
    advice = (
        f"get {SOURCE} and an environment with tensorflow-compression 2 (pip install 'tensorflow-compression==2.*'), "
        f"and let {SCRIPT} name the script and {PYTHON} that environment's Python interpreter"
    )
    if not named:
        raise UsageError(f"{row.name} runs TensorFlow Compression's tfci.py, which is not part of miscomp: {advice}")
    script = Path(named).expanduser().absolute()
    if not script.is_file():
        raise UsageError(f"{SCRIPT} is {named!r}, which is no file: {advice}")
    command: tuple[str, ...]
    if script.suffix == ".py":
        command = (find_executable(os.environ.get(PYTHON, "") or "python3", PYTHON), str(script))
    else:
        command = (find_executable(str(script), SCRIPT),)
    models = os.environ.get(MODELS, "")
    return Tfci(
        row=row,
        program=Program(codec=row.name, command=command, coded_suffix=row.suffix, timeout_s=read_timeout_s()),
        models_folder=str(Path(models).expanduser().absolute()) if models else "",
    )


def codec_of(content: bytes) -> str | None:
    """Which codec wrote a `.tfci` file; none for other bytes, and for a file of a model that is not known."""
    try:
        return _CODEC_OF[read_coded(content).model]
    except StreamError:
        return None


def read_coded(content: bytes) -> Coded:
    """Parse a `.tfci` file; raises `StreamError` for other bytes and for a model that is not published.

    Stricter than protocol buffers: a field that comes twice is refused, because readers differ in which they take.
    """
    try:
        (features,) = _single(content, 1)
        model, numbers = "", list[int]()
        keys: set[bytes] = set()
        for entry in _fields(features, {1}, most=_MAX_ENTRIES):
            key, value = _single(entry[1], 2)
            if key in keys:
                raise ValueError("a name comes twice")
            keys.add(key)
            if key == _MODEL_KEY:
                model = _read_model(value)
            else:
                numbers += _read_numbers(value)
    except ValueError as error:
        begin = content[:8].hex(" ") or "nothing"
        raise StreamError("stream", f"not a whole .tfci file ({error}); it begins with {begin}") from None
    if not model:
        raise StreamError("stream", "not a .tfci file: it names no model")
    if model not in _CODEC_OF:
        raise StreamError("stream", f"it names the model {model[:60]!r}, which is none of {', '.join(FAMILIES)}")
    return Coded(model=model, numbers=tuple(numbers))


def _read_model(feature: bytes) -> str:
    (values,) = _single(feature, 1)
    return _single(values, 1)[0].decode("ascii")


def _read_numbers(feature: bytes) -> list[int]:
    """A shape's numbers; empty for strings and for long lists."""
    numbers: list[int] = []
    for number, content in _fields(feature, {1, 3}, most=1):
        if number == 3:
            for _, packed in _fields(content, {1}, most=1):
                position = 0
                while position < len(packed) <= _MAX_SHAPE_BYTES:
                    value, position = _varint(packed, position)
                    if value >= 2**31:
                        raise ValueError(f"a shape has the number {value}")
                    numbers.append(value)
    return numbers


def _single(content: bytes, count: int) -> list[bytes]:
    """The bytes of fields 1 to `count`, each there once."""
    fields = sorted(_fields(content, set(range(1, count + 1)), most=count))
    if [number for number, _ in fields] != list(range(1, count + 1)):
        raise ValueError("a field is missing or comes twice")
    return [value for _, value in fields]


def _fields(content: bytes, allowed: set[int], *, most: int) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field of a message; raises `ValueError` for any not of bytes, or not allowed."""
    position = count = 0
    while position < len(content):
        tag, position = _varint(content, position)
        if tag & 7 != _BYTES or tag >> 3 not in allowed:
            raise ValueError(f"field {tag >> 3} of type {tag & 7}")
        length, position = _varint(content, position)
        if position + length > len(content):
            raise ValueError("a field reaches past the end")
        count += 1
        if count > most:
            raise ValueError(f"more than {most} fields")
        yield tag >> 3, content[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A number below 2^64 in base 128, lowest digit first, and where it ends."""
    value = 0
    for index in range(10):
        if position + index >= len(content):
            raise ValueError("a number is cut off")
        byte = content[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("a number is longer than ten bytes")
