"""Everything that a file discloses, from every place, and whether the places agree with each other and the pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.disclose.credential import Credential, State, read_credential
from miscomp.disclose.formats.xmp import SYNTHETIC
from miscomp.disclose.manifest import source_type
from miscomp.disclose.places import read_places
from miscomp.disclose.risk import RISK_FORM, risk
from miscomp.disclose.sources import picture_of
from miscomp.disclose.statement import Statement
from miscomp.disclose.streams import other_codec
from miscomp.errors import InputError, MissingExtra
from miscomp.images import Pixels, decode, read_file

MANIFEST = "c2pa"
"""Name of the place that is signed."""
_MAX_DIFFERENCES = 20
_RISK_ROUNDING = 1.5e-4
"""The figure has four decimals; another machine's exponential may round the last one the other way."""
_WHOLE = (State.TRUSTED, State.UNTRUSTED, State.EXPIRED)


class Fit(StrEnum):
    """Whether a statement is about these pixels."""

    YES = "the pixels are those that the statement is about"
    NO = "the pixels are not those that the statement is about"
    UNBOUND = "the statement names no pixels, so it could be about any picture of this size"
    UNKNOWN = "whether a statement is about these pixels is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one file discloses."""

    path: Path
    statements: Mapping[str, Statement]
    """By place: `xmp`, `exif`, `stream`, `c2pa`."""
    captions: Mapping[str, str]
    """By place, as they stand there; anybody may have written them."""
    source_type: str
    """IPTC digital source type in the XMP; empty where there is none."""
    credential: Credential | None
    """The signed manifest; none where the c2pa library is not installed and nothing can be said."""
    fit: Fit
    disagreements: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What is there and cannot be read."""

    @property
    def statement(self) -> Statement | None:
        """The statement to go by: the signed one where its manifest is whole, else the first."""
        whole = self.credential is not None and self.credential.state in _WHOLE
        if whole and MANIFEST in self.statements:
            return self.statements[MANIFEST]
        plain = [said for place, said in self.statements.items() if place != MANIFEST]
        return plain[0] if plain else None

    @property
    def confirmed(self) -> bool:
        """Whether there is a statement, every place agrees, the pixels fit, and no manifest failed its validation."""
        failed = self.credential is not None and self.credential.state in (State.INVALID, State.EXPIRED)
        quiet = not (self.disagreements or self.problems or failed)
        return self.statement is not None and self.fit == Fit.YES and quiet


@dataclass(slots=True)
class _Found:
    statements: dict[str, Statement] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_disclosure(path: Path, *, anchors: str = "", max_megapixels: float = MAX_MEGAPIXELS) -> Reading:
    """Read a picture or a `.misc` stream. Nothing is fetched from the network.

    Raises `InputError` for a file that cannot be read at all; what is broken in it is among the `problems`.
    """
    content = read_file(path)
    places = read_places(content, path)
    found = _Found({str(place): said for place, said in places.statements.items()}, list(places.problems))
    credential = _credential(content, path, anchors, found, has_one=places.has_c2pa)
    pixels = _pixels(content, path, max_megapixels, found)
    reading = Reading(
        path=path,
        statements=found.statements,
        captions=dict(places.captions),
        source_type=places.source_type,
        credential=credential,
        fit=Fit.UNKNOWN,
    )
    said = reading.statement
    more = _other_codec(said, content, path)
    fits = Fit.UNKNOWN if said is None or pixels is None else fit_of(said, pixels)
    return Reading(
        path=path,
        statements=found.statements,
        captions=reading.captions,
        source_type=places.source_type,
        credential=credential,
        fit=fits,
        disagreements=(*_disagreements(found.statements, places.source_type), *places.disagreements, *more),
        problems=tuple(found.problems),
    )


def fit_of(statement: Statement, pixels: Pixels) -> Fit:
    """Whether a statement is about these pixels, as this release decodes them."""
    here = picture_of(pixels)
    said = statement.picture
    if (here.width, here.height) != (said.width, said.height):
        return Fit.NO
    if not said.pixel_sha256:
        return Fit.UNBOUND
    return Fit.YES if said.pixel_sha256 == here.pixel_sha256 else Fit.NO


def differences(one: Statement, other: Statement) -> list[str]:
    """Where two statements say different things: `codec.name`, `places.0.x`."""
    return list(_differing(one.model_dump(mode="json"), other.model_dump(mode="json"), ""))[:_MAX_DIFFERENCES]


def _differing(one: Any, other: Any, where: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one:  # both have every field
            yield from _differing(one[name], other.get(name), f"{where}.{name}" if where else name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _differing(first, second, f"{where}.{number}")
    elif one != other:
        yield where


def _disagreements(statements: Mapping[str, Statement], declared: str) -> Iterator[str]:
    for (first, one), (second, other) in combinations(statements.items(), 2):
        if names := differences(one, other):
            yield f"{first} and {second} differ in {', '.join(names)}"
    for place, said in statements.items():
        if said.risk_form == RISK_FORM and said.risk is not None and said.findings == len(said.places):
            follows = risk(said.places, width=said.picture.width, height=said.picture.height)
            # Only what is played down: below a picture with a strip, the same places are a smaller share of it.
            if follows - said.risk > _RISK_ROUNDING:
                yield f"the risk figure in {place} is {said.risk:g}, from its places follows at least {follows:g}"
        meant = source_type(said.codec.kind)
        short = declared.rpartition("/")[2]
        # A picture that says that a model made more of it keeps that; see `xmp.add`.
        if declared and meant and declared != meant and short not in SYNTHETIC:
            yield f"the digital source type is {short}, the statement in {place} is of a {said.codec.kind} codec"
        if not declared and meant and place == "xmp":
            yield f"the statement in {place} is of a {said.codec.kind} codec, and there is no digital source type"


def _other_codec(said: Statement | None, content: bytes, path: Path) -> Iterator[str]:
    with suppress(InputError):  # a stream that cannot be told is among the problems
        if said is not None and (other := other_codec(said, content, path)):
            yield f"the file is a stream of {other}, the statement names {said.codec.name}"


def _credential(content: bytes, path: Path, anchors: str, found: _Found, *, has_one: bool) -> Credential | None:
    if container.is_stream(content):
        return Credential(state=State.ABSENT)
    try:
        credential = read_credential(content, path, anchors=anchors)
    except MissingExtra as error:
        if has_one:
            found.problems.append(f"a signed manifest is there and was not validated: {error}")
            return None
        return Credential(state=State.ABSENT)
    found.problems += credential.problems
    if credential.statement is not None:
        found.statements[MANIFEST] = credential.statement
    return credential


def _pixels(content: bytes, path: Path, max_megapixels: float, found: _Found) -> Pixels | None:
    try:
        if container.is_stream(content):
            from miscomp.codecs.catalog import detect_codec, open_codec

            return open_codec(detect_codec(content, path)).decompress(content, max_megapixels=max_megapixels)
        return decode(content, path, max_megapixels=max_megapixels)[0]
    except InputError as error:
        found.problems.append(f"its pixels cannot be decoded: {error.problem}")
        return None
