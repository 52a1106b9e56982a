"""The verbs `write`, `mark` and `keygen` below `disclose`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.batches import list_files, plan_outputs, read_bounded, replacing, run_plan, wants_folder
from miscomp.cli.codec_commands import ForceOption
from miscomp.cli.talk import JsonOption, MegapixelsOption, tell
from miscomp.errors import InputError, UsageError

if TYPE_CHECKING:
    from miscomp.disclose.signing import Credentials
    from miscomp.disclose.sources import Audit
    from miscomp.disclose.statement import Coding, Statement
    from miscomp.images import Pixels

OutputOption = Annotated[
    str, typer.Option("--output", "-o", metavar="PATH", help="File to write, or a folder (for several pictures).")
]
LanguageOption = Annotated[str, typer.Option(metavar="CODE", help="Language of captions and marks: en or de.")]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where the statement comes from."""

    source: Path | None
    codec: str
    kind: Coding | None
    image: str
    model: str
    resaved: bool
    stated: str
    note: str
    max_megapixels: float


def write(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Pictures (PNG, JPEG, WebP, AVIF, JPEG XL, TIFF), .misc streams."),
    ],
    output: OutputOption,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="PATH", help="An audit's folder, or the compressed file.")
    ] = None,
    codec: Annotated[
        str,
        typer.Option(metavar="NAME", help="Which codec made the pixels, if no report and no compressed file tells."),
    ] = "",
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="Of a codec that is not in the list: classical, neural or generative.")
    ] = "",
    image: Annotated[
        str, typer.Option(metavar="NAME", help="Which original of the report; told from the pixels without it.")
    ] = "",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="Which codec of the report; told from the pixels without it.")
    ] = "",
    resaved: Annotated[
        bool, typer.Option("--resaved", help="The picture was only saved in another format since it was looked at.")
    ] = False,
    original: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The original: its name and hash are told, its pixels never are."),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="A note of yours, part of the statement.")] = "",
    stated: Annotated[str, typer.Option(metavar="TIME", help="When it is stated, ISO-8601 UTC. [default: now]")] = "",
    language: LanguageOption = "en",
    chain: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Sign a C2PA manifest: your certificate, then its issuers'.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="PEM", help="Private key of that certificate.")] = None,
    signer: Annotated[
        str,
        typer.Option(metavar="COMMAND", help="Instead of a key: a program that signs what it reads on its input."),
    ] = "",
    timestamp: Annotated[
        str, typer.Option(metavar="URL", help="RFC 3161 service that is asked for a time stamp when signing.")
    ] = "",
    break_manifest: Annotated[
        bool, typer.Option("--break-manifest", help="Write into a signed picture although its manifest then fails.")
    ] = False,
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Put a statement into copies of pictures: into EXIF, XMP and IPTC, and into a signed manifest if you sign.

    Pixels are not decoded again and stay as they are; metadata that is there is kept. Originals are not touched.

    Example: miscomp disclose write photo.png --from report -o disclosed.png
    """
    from miscomp.disclose.sources import Audit
    from miscomp.disclose.writing import Options, about, disclose, has_manifest, with_original

    if (source is None) == (not codec):
        raise UsageError("say where the statement comes from: --from a report or a compressed file, or --codec NAME")
    if stated and not _is_time(stated):
        raise UsageError(f"--stated needs ISO-8601 in UTC such as 2026-11-22T09:30:00Z, got {stated!r}")
    credentials = _credentials(chain, key, signer, timestamp)
    beside = read_bounded(original, max_megapixels) if original else None
    if beside is not None and has_manifest(beside, original):
        tell(f"{original}: its signed manifest is not taken along, as it may show the original's pixels")
    asked = _Source(
        source=source, codec=codec, kind=_kind(kind), image=image, model=model, resaved=resaved,
        stated=stated or _now(), note=note, max_megapixels=max_megapixels,
    )  # fmt: skip

    audit = Audit(source) if source is not None and source.is_dir() else None

    def work(path: Path, target: Path) -> dict[str, object]:
        content = read_bounded(path, max_megapixels)
        pixels = _pixels(content, path, max_megapixels)
        said = about(_statement(asked, audit, pixels), pixels, resaved=resaved, where=path)
        said = with_original(said, beside)
        options = Options(
            title=target.name,
            language=language,
            credentials=credentials,
            original=original.name if original else "",
            break_manifest=break_manifest,
        )
        written, notes = disclose(content, said, options, where=path)
        with replacing(target) as unfinished:
            unfinished.write_bytes(written)
        for one in notes:
            tell(f"{path}: {one}")
        return {"findings": said.findings, "risk": said.risk, "signed": credentials is not None, "notes": list(notes)}

    to_folder = wants_folder(inputs, output)
    files = list_files(inputs)
    plan = plan_outputs(files, output, None, to_folder=to_folder, force=force, also_read=original)
    if resaved and source is not None and len(plan) > 1:
        raise UsageError("--resaved is for one picture: saved again, pixels do not tell which result is meant")
    for file, target in plan:
        if _plain(file) != _plain(target):
            raise UsageError(f"{target} would hold what {file} holds, another format than its name says")
    run_plan(plan, work, json_lines=json_lines)


def mark(
    inputs: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Pictures that disclose something.")],
    output: OutputOption,
    style: Annotated[
        str, typer.Option(metavar="STYLE", help="strip (below the picture), corner (on it), or none (boxes alone).")
    ] = "strip",
    boxes: Annotated[bool, typer.Option("--boxes", help="Outline the findings, outside of their pixels.")] = False,
    language: LanguageOption = "en",
    max_megapixels: MegapixelsOption = 200.0,
    force: ForceOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Draw what a picture's file discloses onto a copy of it, as PNG that discloses the same.

    The picture itself is not touched, and no finding is covered.

    Example: miscomp disclose mark disclosed.png --style strip --boxes -o marked.png
    """
    from miscomp.disclose.marks import draw_mark
    from miscomp.disclose.reading import Fit, read_disclosure
    from miscomp.disclose.writing import Options, disclose, marked
    from miscomp.images import encode_png

    def work(path: Path, target: Path) -> dict[str, object]:
        reading = read_disclosure(path, max_megapixels=max_megapixels)
        said = reading.statement
        if said is None:
            raise InputError(path, "discloses nothing that could be drawn; write a statement first: disclose write")
        if reading.fit not in (Fit.YES, Fit.UNBOUND):
            raise InputError(path, f"is not marked: {reading.fit}; write a statement about it first")
        if reading.disagreements:
            raise InputError(path, f"is not marked: {'; '.join(reading.disagreements)}; write a statement again first")
        pixels = _pixels(read_bounded(path, max_megapixels), path, max_megapixels)
        drawn = draw_mark(pixels, said, style=style, language=language, boxes=boxes)
        options = Options(title=target.name, language=language)
        content, _ = disclose(encode_png(drawn), marked(said, drawn), options, where=target)
        with replacing(target) as unfinished:
            unfinished.write_bytes(content)
        return {"style": style, "boxes": boxes}

    files = list_files(inputs)
    plan = plan_outputs(files, output, ".png", to_folder=wants_folder(inputs, output), force=force)
    run_plan(plan, work, json_lines=json_lines)


def keygen(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for chain.pem, key.pem and root.pem.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificates are valid.")] = 90,
    force: ForceOption = False,
) -> None:
    """Make a chain of certificates for tests. It says TEST in every name, and no validator trusts it.

    Example: miscomp disclose keygen test-keys
    """
    from miscomp.disclose.keys import make_test_chain

    made = make_test_chain(folder, days=days, force=force)
    for path in (made.chain, made.key, made.root):
        typer.echo(str(path))
    tell("for tests: nobody should trust what is signed with it; a real signature needs a certificate of yours")


def _statement(asked: _Source, audit: Audit | None, pixels: Pixels) -> Statement:
    from miscomp.disclose.sources import Wanted, from_codec, named_codec
    from miscomp.disclose.streams import from_stream

    if asked.source is None:
        said = from_codec(named_codec(asked.codec, asked.kind), pixels, stated=asked.stated)
    elif audit is not None:
        # Saved again, the pixels do not tell which result is meant.
        wanted = Wanted(image=asked.image, model=asked.model, pixels=None if asked.resaved else pixels)
        said = audit.statement(audit.find(wanted), stated=asked.stated)
    else:
        said, _ = from_stream(asked.source, max_megapixels=asked.max_megapixels, stated=asked.stated)
    if not asked.note:
        return said
    try:
        return type(said).model_validate({**said.model_dump(), "note": f"{said.note} {asked.note}".strip()})
    except ValueError as error:
        raise UsageError(f"the note cannot be kept: {error}") from error


def _pixels(content: bytes, path: Path, max_megapixels: float) -> Pixels:
    from miscomp.codecs import container
    from miscomp.images import decode

    if container.is_stream(content):
        from miscomp.codecs.catalog import detect_codec, open_codec

        return open_codec(detect_codec(content, path)).decompress(content, max_megapixels=max_megapixels)
    return decode(content, path, max_megapixels=max_megapixels)[0]


def _credentials(chain: Path | None, key: Path | None, signer: str, timestamp: str) -> Credentials | None:
    from miscomp.disclose.signing import Credentials

    if chain is None:
        if key or signer or timestamp:
            raise UsageError("to sign, give the chain of certificates too: --chain PEM")
        return None
    try:
        command = tuple(shlex.split(signer))
    except ValueError as error:
        raise UsageError(f"--signer cannot be read as a command: {error}") from error
    return Credentials(chain=chain, key=key, command=command, timestamp_url=timestamp)


def _kind(text: str) -> Coding | None:
    from miscomp.disclose.statement import Coding

    if text and text not in (Coding.CLASSICAL, Coding.NEURAL, Coding.GENERATIVE):
        raise UsageError(f"--kind is classical, neural or generative, got {text!r}")
    return Coding(text) if text else None


def _plain(path: Path) -> str:
    suffix = path.suffix.lower()
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)


def _is_time(text: str) -> bool:
    from datetime import datetime

    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _TIME.fullmatch(text) is not None


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
