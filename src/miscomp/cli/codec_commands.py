"""The verbs `compress` and `decompress`: read files, call the library, write files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.batches import (
    check_suffix,
    list_files,
    make_folder,
    plan_outputs,
    read_bounded,
    replacing,
    run_plan,
    wants_folder,
)
from miscomp.cli.talk import JsonOption, MegapixelsOption, tell
from miscomp.errors import InputError, StreamError, UsageError, WeightsError

if TYPE_CHECKING:
    from miscomp.codecs.base import Codec
    from miscomp.codecs.quality_map import FloatArray
    from miscomp.codecs.rate import Encoded
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
    to_folder = wants_folder(inputs, output)
    plan = plan_outputs(list_files(inputs), output, row.suffix, to_folder=to_folder, force=force, also_read=quality_map)
    if not to_folder:
        check_suffix(Path(output), row)
    open_spec(spec)

    run_plan(plan, partial(_compress_one, spec=spec, maps=quality_map, limit=max_megapixels), json_lines=json_lines)


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
    from miscomp.images import write_png

    if weights is not None and not weights.is_file():
        raise UsageError(f"{weights} is no file; --weights names the checkpoint that the files were made with")
    to_folder = wants_folder(inputs, output)
    plan = plan_outputs(list(dict.fromkeys(inputs)), output, ".png", to_folder=to_folder, force=force)
    if not to_folder and Path(output).suffix.lower() != ".png":
        raise UsageError(f"{output} does not end in .png; decompress writes PNG files only, name it so")

    def work(source: Path, target: Path) -> dict[str, object]:
        content = read_bounded(source, max_megapixels)
        name = detect_codec(content, source)
        try:
            codec = open_codec(name) if weights is None else _with_weights(name, weights)
            pixels = codec.decompress(content, max_megapixels=max_megapixels)
        except StreamError as error:
            raise StreamError(source, error.problem) from error
        except WeightsError as error:
            raise StreamError(source, f"is of {name}, which cannot decode it here: {error}") from error
        height, width = pixels.shape[:2]
        make_folder(target.parent)
        write_png(target, pixels)
        tell(f"{source} -> {target}: {name}, {width} x {height}")
        return {"codec": name, "width": width, "height": height}

    run_plan(plan, work, json_lines=json_lines)


def _with_weights(name: str, weights: Path) -> Codec:
    """A codec with a file of weights of the user's. Raises `WeightsError` and `UsageError`."""
    from miscomp.codecs.lucid import NAMES, Lucid
    from miscomp.codecs.spec import CodecSpec, open_spec

    return Lucid(weights, name=name) if name in NAMES else open_spec(CodecSpec(name, file=str(weights)))


def _spec(codec: str, quality: float | None, bpp: float | None) -> CodecSpec:
    from miscomp.codecs.spec import CodecSpec, parse_spec

    given = [quality is not None, bpp is not None, "@" in codec]
    if sum(given) > 1:
        raise UsageError("give one of --quality, --bpp and a setting behind the codec's name, not several")
    spec = parse_spec(codec) if not any(given[:2]) else CodecSpec(codec, quality=quality, bpp=bpp)
    if spec.like is not None:
        raise UsageError(f"{spec}: there is no {spec.like} here to follow; give a rate with --bpp")
    return spec


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
    with replacing(target) as unfinished:
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
