"""The verbs `compress` and `decompress`: read files, call the library, write files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.talk import JsonOption, MegapixelsOption, tell
from miscomp.errors import InputError, MiscompError, StreamError, UsageError, WeightsError

if TYPE_CHECKING:
    from miscomp.codecs.quality_map import FloatArray
    from miscomp.codecs.rate import Encoded
    from miscomp.codecs.rows import CodecRow
    from miscomp.codecs.spec import CodecSpec
    from miscomp.images import Picture

OutputOption = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="File to write; a folder for a folder or several inputs.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]


def compress(
    inputs: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Images, or folders of images.")],
    output: OutputOption,
    codec: Annotated[
        str, typer.Option(metavar="NAME", help="Codec, or codec with its setting: lucid@0.25bpp.")
    ] = "lucid",
    quality: Annotated[
        float | None, typer.Option(help="Quality on the codec's own scale; `miscomp codecs` lists them.")
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="Target rate in bits per pixel; the closest one is searched.")
    ] = None,
    quality_map: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to spend bits: a grey image, .npy, or folder of them.")
    ] = None,
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Compress images to real files with any codec, at a quality or at a rate.

    Without --quality and --bpp, the codec's default is used. What was reached is told for each file. A quality
    map (lucid only) raises the quality where it is brighter than 128 and lowers it where it is darker.

    Example: miscomp compress photo.png --codec lucid --bpp 0.25 -o photo.misc
    """
    from miscomp.codecs.catalog import CODECS
    from miscomp.codecs.rate import check_map
    from miscomp.codecs.spec import open_spec

    spec = _spec(codec, quality, bpp)
    row = CODECS[spec.name]
    if quality_map is not None:
        check_map(row)
    to_folder = _wants_folder(inputs, output)
    plan = _plan(_list_files(inputs), output, row.suffix, to_folder=to_folder, force=force, also_read=quality_map)
    if not to_folder:
        _check_suffix(Path(output), row)
    open_spec(spec)

    _run(plan, partial(_compress_one, spec=spec, maps=quality_map, limit=max_megapixels), json_lines=json_lines)


def decompress(
    inputs: Annotated[list[Path], typer.Argument(metavar="FILE", help="Compressed files of any listed codec.")],
    output: OutputOption,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Checkpoint of yours that the files were made with.")
    ] = None,
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Decompress files to PNG; the codec is told from each file's content, not from its name.

    Example: miscomp decompress photo.misc -o photo.png
    """
    from miscomp.codecs.catalog import detect_codec, open_codec
    from miscomp.codecs.spec import CodecSpec, open_spec
    from miscomp.images import write_png

    if weights is not None and not weights.is_file():
        raise UsageError(f"{weights} is no file; --weights names the checkpoint that the files were made with")
    to_folder = _wants_folder(inputs, output)
    plan = _plan(list(dict.fromkeys(inputs)), output, ".png", to_folder=to_folder, force=force)
    if not to_folder and Path(output).suffix.lower() != ".png":
        raise UsageError(f"{output} does not end in .png; decompress writes PNG files only, name it so")

    def work(source: Path, target: Path) -> dict[str, object]:
        content = _read_bounded(source, max_megapixels)
        name = detect_codec(content, source)
        try:
            codec = open_codec(name) if weights is None else open_spec(CodecSpec(name, file=str(weights)))
            pixels = codec.decompress(content, max_megapixels=max_megapixels)
        except StreamError as error:
            raise StreamError(source, error.problem) from error
        except WeightsError as error:
            raise StreamError(source, f"is of {name}, which cannot decode it here: {error}") from error
        height, width = pixels.shape[:2]
        _make_folder(target.parent)
        write_png(target, pixels)
        tell(f"{source} -> {target}: {name}, {width} x {height}")
        return {"codec": name, "width": width, "height": height}

    _run(plan, work, json_lines=json_lines)


def _spec(codec: str, quality: float | None, bpp: float | None) -> CodecSpec:
    from miscomp.codecs.spec import CodecSpec, parse_spec

    given = [quality is not None, bpp is not None, "@" in codec]
    if sum(given) > 1:
        raise UsageError("give one of --quality, --bpp and a setting behind the codec's name, not several")
    spec = parse_spec(codec) if not any(given[:2]) else CodecSpec(codec, quality=quality, bpp=bpp)
    if spec.like is not None:
        raise UsageError(f"{spec}: there is no {spec.like} here to follow; give a rate with --bpp")
    return spec


def _wants_folder(inputs: list[Path], output: str) -> bool:
    """Whether `output` names a folder; what the inputs turn out to hold does not matter."""
    return len(inputs) > 1 or inputs[0].is_dir() or output.endswith(("/", os.sep)) or Path(output).is_dir()


def _list_files(inputs: list[Path]) -> list[Path]:
    """The files that are named or lie in a named folder, each once. A folder without any stays, to fail by itself."""
    from miscomp.images import list_images

    files: list[Path] = []
    for path in inputs:
        try:
            files += list_images(path) if path.is_dir() else [path]
        except InputError:
            files.append(path)
    return list(dict.fromkeys(files))


def _plan(
    files: list[Path], output: str, suffix: str, *, to_folder: bool, force: bool, also_read: Path | None = None
) -> list[tuple[Path, Path]]:
    """Pair each input with its output. Raises `UsageError` before anything is done where files would be lost."""
    folder = Path(output)
    if not to_folder:
        plan = [(file, folder) for file in files]
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{output} is a file; several inputs need a folder behind -o")
        plan = [(file, folder / (file.stem + suffix)) for file in files]
    sources = {file.resolve() for file in (*files, *([also_read] if also_read else []))}
    taken: dict[Path, Path] = {}
    for source, target in plan:
        if target in taken:
            raise UsageError(f"{taken[target]} and {source} would both be written to {target}; rename one or run twice")
        taken[target] = source
        if target.resolve() in sources:
            raise UsageError(f"{target} is an input and would be overwritten; choose another -o")
        if target.is_dir() or (target.exists() and not force):
            raise UsageError(f"{target} exists; choose another -o, or give --force to overwrite files")
    return plan


def _check_suffix(target: Path, row: CodecRow) -> None:
    """Refuse a name that says another format than the bytes will have."""
    from miscomp.codecs.catalog import CODECS

    suffix = target.suffix.lower().replace(".jpeg", ".jpg")
    if suffix != row.suffix and suffix in {".png", ".tif", ".tiff", *(other.suffix for other in CODECS)}:
        raise UsageError(f"{target} would hold {row.name}, not what its name says; call it {target.stem}{row.suffix}")


def _run(plan: list[tuple[Path, Path]], work: Callable[[Path, Path], dict[str, object]], *, json_lines: bool) -> None:
    """Do each file; one that fails is listed and the others go on. Leaves with exit code 1 if any failed."""
    failures: list[str] = []
    for source, target in plan:
        try:
            record = {"input": str(source), "output": str(target), **work(source, target)}
        except (MiscompError, OSError) as error:
            message = str(error) if isinstance(error, InputError) else f"{source}: {error}"
            failures.append(message)
            record = {"input": str(source), "error": message}
        if json_lines:
            typer.echo(json.dumps(record))
    for message in failures:
        tell(f"failed: {message}")
    if failures:
        tell(f"{len(failures)} of {len(plan)} failed")
        raise typer.Exit(1)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, f"cannot be a folder to write to: {error.strerror}; choose another -o") from error


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield a file beside `target` that takes its place when all went well, and is removed when not.

    Raises `InputError` where it cannot be written.
    """
    _make_folder(target.parent)
    unfinished = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield unfinished
        os.replace(unfinished, target)
    except OSError as error:
        raise InputError(target, f"cannot be written: {error.strerror}; check its folder and the space") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _compress_one(source: Path, target: Path, *, spec: CodecSpec, maps: Path | None, limit: float) -> dict[str, object]:
    from miscomp.codecs.rate import encode
    from miscomp.images import list_images, read

    if source.is_dir():
        list_images(source)  # says what is looked for in it
    picture = read(source, max_megapixels=limit)
    for warning in picture.warnings:
        tell(f"{source}: {warning}")
    offsets = None if maps is None else _read_map(maps, picture, limit)
    encoded = encode(spec, picture.pixels, quality_map=offsets)
    with _replacing(target) as unfinished:
        unfinished.write_bytes(encoded.content)
    tell(f"{source} -> {target}: {_describe(spec, encoded)}")
    return {"codec": spec.name, "width": picture.width, "height": picture.height, **_numbers(spec, encoded)}


def _read_map(maps: Path, picture: Picture, limit: float) -> FloatArray:
    from miscomp.codecs.quality_map import map_for, read_map

    try:
        path = map_for(maps, picture.path)
        return read_map(path, height=picture.height, width=picture.width, max_megapixels=limit)
    except InputError as error:
        raise InputError(picture.path, f"its quality map cannot be used: {error}") from error


def _describe(spec: CodecSpec, encoded: Encoded) -> str:
    quality = f"quality {encoded.quality:g}" if spec.file is None else "weights of your own"
    text = f"{spec.name}, {encoded.bpp:.4g} bpp, {quality}, {len(encoded.content)} bytes"
    return f"{text}; {encoded.note}" if encoded.note else text


def _numbers(spec: CodecSpec, encoded: Encoded) -> dict[str, object]:
    from miscomp.codecs.base import HasCheckpoints
    from miscomp.codecs.catalog import CODECS
    from miscomp.codecs.spec import open_spec

    rest = {name: getattr(encoded, name) for name in ("bpp", "quality", "target_bpp", "reached", "note")}
    if spec.file is not None:  # one quality, which only its maker knows
        rest["quality"] = None
    codec = open_spec(spec)
    if isinstance(codec, HasCheckpoints):
        rest["weights_sha256"] = codec.weights_sha256(encoded.quality)
    if CODECS[spec.name].seeded:
        rest["seed"] = spec.seed or 0
    return {"bytes": len(encoded.content), **rest}


def _read_bounded(path: Path, max_megapixels: float) -> bytes:
    """Read a file whose size such a picture can explain: 12 bytes a pixel and a megabyte beside them."""
    if not path.is_file():
        raise StreamError(
            path, "no such file" if not path.exists() else "not a file; give the files of a folder by name"
        )
    limit = int(12e6 * max_megapixels) + 2**20
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise StreamError(path, f"longer than {limit} bytes; raise --max-megapixels ({max_megapixels:g}) to read it")
    return content
