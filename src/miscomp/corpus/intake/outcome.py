"""What becomes of a file that was examined, given what a corpus holds: added, there already, rejected or failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from miscomp.corpus.entries import SourceImage, now
from miscomp.corpus.intake.files import Found
from miscomp.corpus.intake.picture import Examined, Made, Refusal
from miscomp.errors import UsageError
from miscomp.report.wording import visible

MAX_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where photographs come from; the same for all that are added at once."""

    source: str
    """The data set's name, as it is to be cited; settings by source, such as `scales`, go by it."""
    licence: str
    """SPDX, or the words of the terms."""
    split: str = ""
    """The part of the data set; empty where it has none."""

    def __post_init__(self) -> None:
        for name in ("source", "licence", "split"):
            text = getattr(self, name)
            if text != text.strip() or len(text) > MAX_TEXT or visible(text) != text or "\n" in text:
                allowed = f"one line of at most {MAX_TEXT} characters without spaces around it"
                raise UsageError(f"the {name} {visible(text[:80])!r} cannot be recorded; give {allowed}")
            if not text and name != "split":
                raise UsageError(f"the {name} is empty; say it, since whoever uses the pictures has to know it")


class Outcome(StrEnum):
    """What became of a file."""

    ADDED = "added"
    PRESENT = "already there"
    """The same content under the same name and source."""
    RESTORED = "put back"
    """The corpus had lost the file of this picture; its row stays as it was."""
    REJECTED = "rejected"
    """By a rule; nothing is wrong with the run."""
    FAILED = "failed"
    """It could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A file and what became of it."""

    path: Path
    name: str
    outcome: Outcome
    image_sha1: str = ""
    """Of the picture it became; for a duplicate, of the one that is there."""
    kind: str = ""
    """Why it was refused; see `Refusal`."""
    reason: str = ""
    same_as: str = ""
    """Of a duplicate: name and source of the one that is there."""
    note: str = ""
    """What was changed on the way to sRGB, or how what is there differs from what was asked for."""


@dataclass(slots=True)
class Known:
    """The pictures that are there, by three hashes: of the file that was added, of the pixels, of the PNG."""

    origins: dict[str, SourceImage] = field(default_factory=dict)
    pixels: dict[str, SourceImage] = field(default_factory=dict)
    names: dict[str, SourceImage] = field(default_factory=dict)
    lost: dict[str, SourceImage] = field(default_factory=dict)
    """Those whose file is not there, by its name."""

    def learn(self, image: SourceImage, *, lost: bool = False) -> None:
        """Count a picture among those that are there; the file of a lost one has to be examined once more."""
        self.pixels[image.pixel_sha256] = image
        if lost:
            self.lost[image.image_sha1] = image
            return
        # An import may not know it, and a file that could not be read has none: these are not the same.
        if image.origin_sha256:
            self.origins[image.origin_sha256] = image
        self.names[image.image_sha1] = image


def judge(found: Found, examined: Examined, provenance: Provenance, known: Known) -> tuple[Result, SourceImage | None]:
    """What becomes of a file, and the row of a picture that is new or was lost; nothing is changed."""
    made = examined.made
    lost = known.lost.get(made.image_sha1) if made is not None else None
    if made is not None and lost is not None and lost.sha256 == made.sha256:
        result = Result(path=found.path, name=found.name, outcome=Outcome.RESTORED, image_sha1=made.image_sha1)
        return replace(result, note=made.note), lost
    twin = known.origins.get(examined.origin_sha256)
    same = "content"
    if twin is None and made is not None:
        twin = known.names.get(made.image_sha1) or known.pixels.get(made.pixel_sha256)
        same = "pixels after preprocessing"
    if twin is not None:
        return _known_before(found, provenance, twin, same), None
    if made is None:
        return _refused(found, examined), None
    image = _row(found, examined.origin_sha256, made, provenance)
    result = Result(path=found.path, name=found.name, outcome=Outcome.ADDED, image_sha1=made.image_sha1, note=made.note)
    return result, image


def _known_before(found: Found, provenance: Provenance, twin: SourceImage, same: str) -> Result:
    if twin.removed:
        reason = f"it was removed from this corpus at a person's request, on {twin.removed[:10]}; delete it here too"
        return Result(
            path=found.path, name=found.name, outcome=Outcome.REJECTED, kind=Refusal.REMOVED.value, reason=reason
        )
    if same == "content" and (twin.name, twin.source) == (found.name, provenance.source):
        differs = [
            f"its {what} stays {there!r}"
            for what, there, asked in (
                ("licence", twin.licence, provenance.licence),
                ("split", twin.split, provenance.split),
            )
            if there != asked
        ]
        return Result(
            path=found.path,
            name=found.name,
            outcome=Outcome.PRESENT,
            image_sha1=twin.image_sha1,
            note="; ".join(differs),
        )
    # The reason is stored, so it does not name the other file, which may have to be forgotten one day.
    return Result(
        path=found.path,
        name=found.name,
        outcome=Outcome.REJECTED,
        image_sha1=twin.image_sha1,
        kind=Refusal.DUPLICATE.value,
        reason=f"has the same {same} as what became {twin.filename}",
        same_as=f"{twin.name or 'a file'} of {twin.source}",
    )


def _refused(found: Found, examined: Examined) -> Result:
    if examined.refusal is None:
        raise RuntimeError(f"{found.path}: neither a picture nor a refusal nor known before")
    failed = examined.refusal == Refusal.CORRUPT
    return Result(
        path=found.path,
        name=found.name,
        outcome=Outcome.FAILED if failed else Outcome.REJECTED,
        kind=examined.refusal.value,
        reason=examined.reason,
    )


def _row(found: Found, origin_sha256: str, made: Made, provenance: Provenance) -> SourceImage:
    return SourceImage(
        image_sha1=made.image_sha1,
        sha256=made.sha256,
        pixel_sha256=made.pixel_sha256,
        width=made.width,
        height=made.height,
        size_bytes=len(made.content),
        name=found.name,
        origin_sha256=origin_sha256,
        origin_width=made.origin_width,
        origin_height=made.origin_height,
        source=provenance.source,
        licence=provenance.licence,
        split=provenance.split,
        note=made.note,
        added=now(),
    )
