"""The verb `compress` below `secure`: that of every codec, and a look at what slic alone can do to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.batches import check_suffix, list_files, plan_outputs, replacing, run_plan, wants_folder
from miscomp.cli.codec_commands import ForceOption, OutputOption
from miscomp.cli.secure_verify import WeightsOption
from miscomp.cli.talk import JsonOption, MegapixelsOption, tell
from miscomp.errors import InputError
from miscomp.report.wording import count

if TYPE_CHECKING:
    from miscomp.secure.codec import SecureCodec
    from miscomp.secure.damage import Damage


def compress(
    inputs: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Images, or folders of images.")],
    output: OutputOption,
    quality: Annotated[float | None, typer.Option(help="Quality on slic's scale; `miscomp codecs` lists it.")] = None,
    weights: WeightsOption = None,
    allow_damage: Annotated[
        bool, typer.Option("--allow-damage", help="Write files in which the codec destroyed part of the picture.")
    ] = False,
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Compress images so that they destroy themselves when they are compressed again.

    As `miscomp compress --codec slic`, and each file is decoded and looked at: some natural textures look like the
    codec's own perturbation, which destroys them at once. Such a picture is refused.

    Example: miscomp secure compress photo.png -o photo.misc
    """
    from miscomp.codecs.catalog import CODECS
    from miscomp.secure.codec import DEFAULT, open_secure

    row = CODECS[DEFAULT]
    to_folder = wants_folder(inputs, output)
    plan = plan_outputs(list_files(inputs), output, row.suffix, to_folder=to_folder, force=force)
    if not to_folder:
        check_suffix(Path(output), row)
    secure = open_secure(weights, quality=quality)
    work = partial(_compress_one, secure=secure, allow_damage=allow_damage, limit=max_megapixels)
    run_plan(plan, work, json_lines=json_lines)


def _compress_one(
    source: Path, target: Path, *, secure: SecureCodec, allow_damage: bool, limit: float
) -> dict[str, object]:
    from miscomp.codecs.catalog import CODECS
    from miscomp.codecs.rate import encode_at_quality
    from miscomp.images import list_images, read
    from miscomp.metrics.psnr import psnr_pixels
    from miscomp.secure.calibration import weights_sha256
    from miscomp.secure.damage import damages

    if source.is_dir():
        list_images(source)  # says what is looked for in it
    picture = read(source, max_megapixels=limit)
    for warning in picture.warnings:
        tell(f"{source}: {warning}")
    encoded = encode_at_quality(secure.codec, CODECS[secure.codec.name], picture.pixels, secure.quality)
    x1 = secure.decompress(encoded.content)
    lost, whole = damages(picture.pixels, x1), psnr_pixels(picture.pixels, x1)
    if lost:
        tell(f"{source}: {_refused(source, secure, lost, allowed=allow_damage)}")
    with replacing(target) as unfinished:
        unfinished.write_bytes(encoded.content)
    size = f"{len(encoded.content)} bytes, {encoded.bpp:.4g} bpp"
    tell(f"{source} -> {target}: {secure.label}, {size}, {whole:.2f} dB")
    boxes = [{"x": d.box.x, "y": d.box.y, "w": d.box.w, "h": d.box.h, "psnr_db": d.psnr_db} for d in lost]
    return {
        "codec": secure.codec.name,
        "quality": secure.quality,
        "weights_sha256": weights_sha256(secure),
        "width": picture.width,
        "height": picture.height,
        "bytes": len(encoded.content),
        "bpp": encoded.bpp,
        "psnr_db": None if whole == float("inf") else whole,
        "damaged": boxes,
    }


def _refused(source: Path, secure: SecureCodec, lost: Sequence[Damage], *, allowed: bool) -> str:
    """What the codec destroyed, in words. Raises `InputError` unless it is allowed."""
    box = lost[0].box
    where = f"{box.w} x {box.h} pixels at {box.x}, {box.y} come back at {lost[0].psnr_db:.1f} dB"
    problem = f"{secure.label} destroys part of it at once: {where} ({count(len(lost), 'place')})"
    if allowed:
        return problem
    advice = "what is there looks like the codec's perturbation, as in a picture that it made before"
    raise InputError(source, f"{problem}; {advice}; use another codec, or --allow-damage to write it so")
