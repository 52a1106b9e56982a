"""Pairs of an original and its reconstruction: made by a codec, or from two files that belong together."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.codecs.rate import encode
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.errors import ImageError, SizeMismatch, StreamError, UsageError
from miscomp.images import IMAGE_SUFFIXES, Picture, Pixels, list_images, read
from miscomp.records import GIVEN, Failure

_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """One reconstruction beside its original, of the same size. Raises `SizeMismatch` for any other."""

    original: Picture
    reconstruction: Pixels
    model: str
    """The codec's spec as it was asked for, or `given`."""
    bpp: float | None = None
    """Real: 8 * bytes of the compressed file / pixels; none where no compressed file is known."""
    stream: bytes = b""
    """The codec's own file where it was made here."""
    suffix: str = ""
    """File suffix of `stream`."""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        height, width = self.reconstruction.shape[:2]
        if (width, height) != (self.original.width, self.original.height):
            raise SizeMismatch(
                self.original.path,
                f"the original has {self.original.width} x {self.original.height} pixels, the reconstruction "
                f"({self.model}) {width} x {height}; give pictures of the same size, nothing is resized",
            )


def coded_pair(original: Picture, spec: CodecSpec, *, like_bpp: float | None = None) -> Pair:
    """Compress and decompress; `like_bpp` is the rate that the codec named by `like:` reached on this picture.

    Raises `UsageError` for a picture that the codec's format cannot hold.
    """
    encoded = encode(spec, original.pixels, like_bpp=like_bpp)
    # The stream was made here from a picture that was accepted: no other limit applies.
    megapixels = original.width * original.height / 1e6
    pixels = open_spec(spec).decompress(encoded.content, max_megapixels=max(MAX_MEGAPIXELS, megapixels + 1))
    pixels.setflags(write=False)
    return Pair(
        original=original,
        reconstruction=pixels,
        model=str(spec),
        bpp=encoded.bpp,
        stream=encoded.content,
        suffix=CODECS[spec.name].suffix,
        warnings=(encoded.note,) if encoded.note else (),
    )


def given_pair(original: Picture, path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pair:
    """Pair an original with a reconstruction that came as a picture or as a `.misc` stream, known by content.

    Only a `.misc` stream and a JPEG tell their rate: a PNG holds what a codec made, not what it wrote, and the
    other formats may be lossless. Raises `ImageError` or `StreamError`, and `SizeMismatch` naming both sizes.
    """
    head = _head(path)
    warnings: tuple[str, ...] = ()
    if container.is_stream(head):
        content = _read_stream(path, max_megapixels)
        try:
            pixels = open_codec(detect_codec(content, path)).decompress(content, max_megapixels=max_megapixels)
        except StreamError as error:
            raise StreamError(path, error.problem) from error
        pixels.setflags(write=False)
        size_bytes: int | None = len(content)
    else:
        picture = read(path, max_megapixels=max_megapixels)
        pixels, warnings = picture.pixels, tuple(f"reconstruction: {text}" for text in picture.warnings)
        size_bytes = picture.size_bytes if head.startswith(_JPEG) else None
    bpp = None if size_bytes is None else 8 * size_bytes / (original.width * original.height)
    return Pair(original=original, reconstruction=pixels, model=GIVEN, bpp=bpp, warnings=warnings)


def _head(path: Path) -> bytes:
    if not path.is_file():  # a pipe would wait for its writer; reading the picture says what is wrong
        return b""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _read_stream(path: Path, max_megapixels: float) -> bytes:
    limit = int(12e6 * max_megapixels) + 2**20  # 12 bytes a pixel, more than any codec writes
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise StreamError(path, f"cannot be read: {error}") from error
    if len(content) > limit:
        raise StreamError(path, f"longer than {limit} bytes, more than {max_megapixels:g} megapixels can need")
    return content


def hash_file(path: Path) -> tuple[str, str]:
    """SHA-1 and SHA-256 of a regular file. Raises `ImageError` for anything else."""
    if not path.is_file():
        read(path)  # says precisely what is wrong
        raise ImageError(path, "changed while it was read; try again")
    sha1, sha256 = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha1.update(block)
                sha256.update(block)
    except OSError as error:
        raise ImageError(path, f"cannot be read: {error}; check its permissions") from error
    return sha1.hexdigest(), sha256.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which reconstruction file belongs to which original."""

    partners: tuple[tuple[Path, Path | None], ...]
    """Every original, by file name, with its reconstruction where there is one."""
    unmatched: tuple[str, ...] = ()
    """File names that found no partner, originals first."""
    failures: tuple[Failure, ...] = ()
    """Names that several files share, so that nothing says which belongs to which."""


def match_files(originals: Sequence[Path], reconstructions: Sequence[Path] | None) -> Matching:
    """Match files by name without extension; one original file and one reconstruction file match whatever their names.

    Each path is a file or a folder (its pictures are taken, and on the side of the reconstructions `.misc` files).
    Raises `UsageError` if reconstructions are given and none matches, `ImageError` for a missing path or empty folder.
    """
    files = sorted({file for path in originals for file in list_images(path)}, key=_order)
    if not files:
        raise UsageError("no originals; name at least one picture or folder of pictures")
    if reconstructions is None:
        return Matching(partners=tuple((file, None) for file in files))
    found = sorted({file for path in reconstructions for file in _list_reconstructions(path)}, key=_order)
    if len(originals) == len(reconstructions) == 1 and originals[0].is_file() and reconstructions[0].is_file():
        return Matching(partners=((files[0], found[0]),))
    return _match_by_stem(files, found)


def _match_by_stem(originals: list[Path], reconstructions: list[Path]) -> Matching:
    left, right = _by_stem(originals), _by_stem(reconstructions)
    partners: list[tuple[Path, Path | None]] = []
    failures: list[Failure] = []
    for file in originals:
        rivals, others = left[_stem(file)], right.get(_stem(file), [])
        if others and len(rivals) + len(others) > 2:
            failures.append(Failure(name=file.name, reason=_shared(rivals, others)))
            others = []
        partners.append((file, others[0] if others else None))
    alone = [file for file in originals if _stem(file) not in right]
    alone += [file for file in reconstructions if _stem(file) not in left]
    if not failures and not any(partner for _, partner in partners):
        raise UsageError(
            f"none of {len(originals)} originals and {len(reconstructions)} reconstructions have the same name without "
            f"extension (first: {originals[0].name!r} and {reconstructions[0].name!r}); rename them, or give two files"
        )
    return Matching(partners=tuple(partners), unmatched=tuple(map(shown, alone)), failures=tuple(failures))


def _shared(originals: list[Path], reconstructions: list[Path]) -> str:
    names = f"{', '.join(map(shown, originals))} and {', '.join(map(shown, reconstructions))}"
    return f"given: {names} share one name, so it is not known which belong together; rename them or give two files"


def shown(path: Path) -> str:
    """A file's name with its folder's, which tells the two sides apart without telling where they lie."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name


def _by_stem(files: list[Path]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(_stem(file), []).append(file)
    return groups


def _stem(path: Path) -> str:
    return unicodedata.normalize("NFC", path.stem)  # archives made on a Mac spell accents in two characters


_order: Callable[[Path], tuple[str, str]] = lambda path: (path.name, str(path))  # noqa: E731


def _list_reconstructions(path: Path) -> list[Path]:
    """Like `list_images`, and `.misc` files too."""
    if not path.is_dir():
        return list_images(path)
    suffixes = {*IMAGE_SUFFIXES, *(row.suffix for row in CODECS)}
    try:
        found = [p for p in path.iterdir() if p.suffix.lower() in suffixes and p.name[0] != "." and p.is_file()]
    except OSError as error:
        raise ImageError(path, f"cannot be listed: {error}") from error
    if not found:
        raise ImageError(path, f"holds no reconstruction; files ending in {', '.join(sorted(suffixes))} are looked for")
    return found
