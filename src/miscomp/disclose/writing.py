"""Put a statement into a file: the plain places first, then the signature, which covers them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from miscomp.codecs import container
from miscomp.disclose.manifest import source_type
from miscomp.disclose.places import Disclosure, place, read_places
from miscomp.disclose.signing import Credentials
from miscomp.disclose.sources import picture_of
from miscomp.disclose.statement import Statement
from miscomp.disclose.streams import other_codec
from miscomp.disclose.wording import standing_note, words
from miscomp.errors import InputError
from miscomp.folders import package_version
from miscomp.images import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a statement is put into a file."""

    title: str
    """The picture's file name, for the manifest."""
    language: str = "en"
    """Of caption and description; the statement itself has none."""
    credentials: Credentials | None = None
    """None: nothing is signed."""
    original: str = ""
    """Name of the original's file, for the manifest, where the statement tells its hash."""
    break_manifest: bool = False
    """Write into a signed file without signing it again: its manifest then fails its validation."""


def disclose(content: bytes, statement: Statement, options: Options, *, where: object) -> tuple[bytes, tuple[str, ...]]:
    """The file's bytes with the statement in every place that it has, and what could not be done.

    Pixels are not decoded and stay as they are. Raises `InputError` for a file that cannot be written to, and for a
    signed one that would be left with a manifest that fails.
    """
    signed = read_places(content, where).has_c2pa
    if signed and options.credentials is None and not options.break_manifest:
        raise InputError(
            where,
            "has a signed manifest, which would not hold any more; sign again (--chain with --key or --signer), or "
            "give --break-manifest",
        )
    if options.credentials is not None and container.is_stream(content):
        raise InputError(where, "is a stream, which carries no C2PA manifest; sign the decoded picture")
    if other := other_codec(statement, content, where):
        raise InputError(where, f"is a stream of {other}, the statement is of {statement.codec.name}")
    found = words(statement, options.language)
    said = Disclosure(
        statement=statement,
        caption=found.caption,
        description="\n".join(found.paragraphs),
        source_type=source_type(statement.codec.kind),
        software=f"miscomp {package_version()}",
    )
    written, _, notes = place(content, said, where)
    if options.credentials is None:
        return written, notes
    from miscomp.disclose.credential import sign

    # The manifest that is there already is the one of the file as it came.
    done = sign(
        written,
        statement,
        options.credentials,
        where=where,
        title=options.title,
        original=options.original,
        before=content if signed else None,
    )
    return done, tuple(one for one in notes if "C2PA" not in one)  # it fits again


def about(statement: Statement, pixels: Pixels, *, resaved: bool = False, where: object) -> Statement:
    """A statement about these pixels: it is, or with `resaved` it becomes one that says so.

    Raises `InputError` where the statement is about other pixels, whatever their size.
    """
    here = picture_of(pixels)
    said = statement.picture
    if said == here:
        return statement
    if (said.width, said.height) != (here.width, here.height):
        raise InputError(
            where, f"has {here.width} x {here.height} pixels, the statement is about {said.width} x {said.height}"
        )
    if not resaved:
        raise InputError(
            where,
            "has other pixels than those that were looked at; give the very picture, or --resaved if it was only "
            "saved in another format since",
        )
    note = f"{statement.note} {standing_note('resaved')}".strip()
    return statement.model_copy(update={"picture": here, "note": note})


def marked(statement: Statement, pixels: Pixels) -> Statement:
    """The statement for a copy onto which a mark was drawn; places stay where they are, as a strip is added below."""
    note = f"{statement.note} {standing_note('marked')}".strip()
    return statement.model_copy(update={"picture": picture_of(pixels), "note": note})


def with_original(statement: Statement, original: bytes | None) -> Statement:
    """The statement with the hash of the original's file, where one is given."""
    if original is None:
        return statement
    return statement.model_copy(update={"original_sha256": hashlib.sha256(original).hexdigest()})


def has_manifest(content: bytes, where: object) -> bool:
    """Whether a file has a signed manifest; one in which none can stand, or that cannot be read, has none."""
    try:
        return read_places(content, where).has_c2pa
    except InputError:
        return False
