"""What an examiner is told of a file: each fact with what it proves and what it does not."""

from __future__ import annotations

from miscomp.disclose.credential import Credential, State
from miscomp.disclose.reading import MANIFEST, Fit, Reading
from miscomp.disclose.statement import Statement
from miscomp.disclose.wording import words

ABSENT = (
    "No disclosure was found. That says nothing: most pictures carry none, and saving a picture again removes it "
    "without a trace. Absent is not clean."
)
UNREADABLE = "No disclosure could be read. Something is there that cannot be read or validated; see below."
STRIPPED = "Whether a disclosure was removed, by saving the picture again or on purpose, cannot be seen from the file."
STATES = {
    State.ABSENT: "No signed manifest (C2PA) is in the file. Absent is not clean: saving again removes it.",
    State.INVALID: (
        "The signed manifest (C2PA) does not hold: the file was changed after it was signed, the manifest is broken, "
        "or its certificate is not one that may sign. What it says cannot be relied on."
    ),
    State.EXPIRED: (
        "The signed manifest (C2PA) is whole: file and statement are as they were when it was signed. But the signer's "
        "certificate is not valid today, and no time stamp shows that it was when it signed: who signed cannot be told."
    ),
    State.UNTRUSTED: (
        "The signed manifest (C2PA) is whole: file and statement are as they were when it was signed. Who signed is "
        "not among those whom you trust, so the name in it may be anybody's. Valid is not authentic."
    ),
    State.TRUSTED: (
        "The signed manifest (C2PA) is whole, and its signer's certificate leads to one that you trust. It proves who "
        "said this, not that what was said is true of the scene."
    ),
}
_MAX_PLACES = 20
_FITS = {
    Fit.YES: "The statement is about exactly these pixels.",
    Fit.NO: (
        "The statement is NOT about these pixels: the picture was changed, or saved again with loss, or the statement "
        "was copied from another picture."
    ),
    Fit.UNBOUND: "The statement names no pixels: it could have been copied from any picture of this size.",
    Fit.UNKNOWN: "Whether the statement is about these pixels is not known.",
}


def explain(reading: Reading, language: str = "en") -> list[str]:
    """Paragraphs: the statement in words of `language`, then in English how far it can be relied on."""
    said = reading.statement
    if said is None:
        nothing = UNREADABLE if reading.problems else ABSENT
        lines = [nothing] if not reading.statements else ["What the manifest states is not shown as a fact; see below."]
    else:
        found = words(said, language)
        lines = [found.title, *found.paragraphs, *_listed(said), _FITS[reading.fit], _places(reading)]
    if reading.credential is not None:
        lines += _signed(reading.credential)
    lines += [f"Caption in {place}, whoever wrote it: {text}" for place, text in reading.captions.items()]
    if reading.source_type:
        lines.append(f"Digital source type in XMP, whoever wrote it: {reading.source_type}")
    lines += [f"The places disagree: {one}." for one in reading.disagreements]
    lines += [f"Not readable: {one}." for one in reading.problems]
    if said is not None:
        lines.append(STRIPPED)
    return lines


def _listed(said: Statement) -> list[str]:
    """Hashes, times, and where the findings are, the first of them by score."""
    known = (
        ("Stated, by the writer's own clock", said.stated),
        ("SHA-256 of the codec's weights", said.codec.weights_sha256),
        ("SHA-256 of the original's file", said.original_sha256),
        ("SHA-256 of the pixels that it is about", said.picture.pixel_sha256),
    )
    lines = [f"{name}: {text}." for name, text in known if text]
    for one in said.places[:_MAX_PLACES]:
        facts = (one.category, "symbol" if one.symbol else "", "" if one.score is None else f"score {one.score:.2f}")
        where = f"x {one.x}, y {one.y}, {one.w} x {one.h} pixels"
        lines.append(f"Candidate: {', '.join(filter(None, (where, *facts)))}.")
    if len(said.places) > _MAX_PLACES:
        lines.append(f"{len(said.places) - _MAX_PLACES} more are listed; --json shows them.")
    return lines


def _places(reading: Reading) -> str:
    plain = [place for place in reading.statements if place != MANIFEST]
    if not plain:
        return "It is in the signed manifest alone."
    anybody = "Anybody can write or change what is not signed."
    return f"It is in {' and '.join(reading.statements)}. {anybody}"


def _signed(credential: Credential) -> list[str]:
    lines = [STATES[credential.state]]
    if credential.state == State.ABSENT:
        return lines if not credential.remote else [*lines, "It names a manifest elsewhere, which was not fetched."]
    if credential.signer:
        lines.append(f"Signer, as the certificate says: {credential.signer}.")
    if credential.signed:
        lines.append(f"Signed at {credential.signed}, by a time stamp of a service that you trust.")
    else:
        lines.append("No trusted time is in the signature.")
    if credential.stamped:
        stamp = "a service that is not among those whom you trust; anybody can run one, with any clock"
        lines.append(f"A time stamp says {credential.stamped}, by {stamp}.")
    if credential.actions:
        lines.append(f"Actions: {', '.join(credential.actions)}.")
    if credential.ingredients:
        lines.append(f"Made from: {', '.join(credential.ingredients)}.")
    if credential.codes:
        lines.append(f"Validation: {', '.join(credential.codes)}.")
    return lines
