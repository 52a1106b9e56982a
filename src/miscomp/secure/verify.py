"""Does a picture carry the perturbation of a self-destructing codec? An answer in numbers, never "authentic".

The codec is public and has no key. That a picture carries the perturbation says that its pixels come out of this
codec, perhaps by way of edits which the perturbation survives; it does not say who encoded what, or when.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from miscomp.codecs import container
from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.errors import StreamError
from miscomp.images import Pixels, decode
from miscomp.metrics.psnr import psnr_pixels
from miscomp.secure.calibration import Calibration, Thresholds
from miscomp.secure.codec import SecureCodec
from miscomp.secure.measure import measure
from miscomp.secure.survival import (
    Flags,
    Plane,
    State,
    States,
    Survival,
    block_states,
    compare,
    largest_region,
    recompress,
)

Answer = Literal["carries", "partly", "absent", "undecided"]

LEAST_SIDE = 64
"""Pixels a side that a picture needs: below, the codec sees more of its own padding than of the picture."""

LEAST_BLOCKS = 16
"""Blocks that must be left to judge: as many as the smallest picture has."""

_MOST_UNCERTAIN = 0.5

_THROUGHOUT = 0.5
"""Share of destroyed blocks above which a picture without a region of survivors is said to carry the perturbation."""

_FAR_APART_DB = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What re-compression did to a picture."""

    answer: Answer
    codec: str
    """Which re-compressed it."""
    width: int
    height: int
    blocks: int
    """Blocks of 16 x 16 pixels that were judged; those at the right and at the bottom may be smaller."""
    left_out: int
    """Blocks of one colour that reach the border and were not destroyed: they hold nothing to judge."""
    destroyed: int
    uncertain: int
    survives: int
    largest_survivor: int
    """Blocks of the largest connected region of survivors."""
    psnr_db: float
    """Of the re-compression against the picture as it stands, whole; inf where they are equal."""
    shifted_psnr_db: float | None
    """The same where 5 rows and 11 columns are cut off first: in a picture that carries, either can survive by an
    alignment in which the perturbation does not act. None for pictures too small to be cut."""
    fitted_psnr_db: float
    """As it stands, after the best fit of its colours, so that a negative is recognised."""
    local_correlation: float
    """As it stands: mean absolute correlation of the luminances over windows of 16 x 16 pixels, 0 to 1."""
    intact: bool | None = None
    """Of a stream of `miscomp`: whether its checksums hold; none for a picture's file."""
    notes: tuple[str, ...] = ()

    @property
    def destroyed_share(self) -> float | None:
        """Destroyed blocks of those judged, 0 to 1; none where none were."""
        return self.destroyed / self.blocks if self.blocks else None

    def record(self) -> dict[str, Any]:
        """For JSON: every number with its name; an infinite PSNR is none."""
        values = {name: _finite(value) for name, value in asdict(self).items()}
        return {**values, "destroyed_share": self.destroyed_share, "meaning": MEANINGS[self.answer]}


MEANINGS: dict[Answer, str] = {
    "carries": (
        "compressing it again destroys it, as it destroys what this codec coded; natural textures that look like the "
        "perturbation are destroyed too. Whether it was edited since cannot be told where the perturbation survives "
        "the edit (lightened, blurred, saved as JPEG, put together from coded pictures), and anyone can encode a "
        "forged picture, or lay a coded one's perturbation over it"
    ),
    "partly": (
        "compressing it again destroys a part of it and not the rest. Either that part was coded by this codec, and "
        "the rest was put in, or had its perturbation washed out, or is what the coded part was put into (`miscomp "
        "secure locate` shows where); or none of it was, and the part is a texture that looks like the perturbation by "
        "nature"
    ),
    "absent": (
        "it survives being compressed again: it was never coded by this codec, or the perturbation was washed out. "
        "Nothing follows about whether it was edited"
    ),
    "undecided": "it cannot be told whether it was coded by this codec",
}
"""What follows from an answer, and what does not."""


def verify(pixels: Pixels, secure: SecureCodec, calibration: Calibration) -> Verdict:
    """Compress pixels (h, w, 3) again with real streams, in two alignments, and judge what is left in both."""
    again = recompress(pixels, secure.again)
    verdict = judge(pixels, again, calibration.thresholds, codec=secure.label)
    return settled(verdict, calibration.problem(secure))


def settled(verdict: Verdict, problem: str) -> Verdict:
    """A verdict with a note about its thresholds, and without an answer where the picture is too small for one."""
    notes = (*verdict.notes, problem) if problem else verdict.notes
    if min(verdict.height, verdict.width) >= LEAST_SIDE:
        return replace(verdict, notes=notes)
    small = f"{verdict.width} x {verdict.height} pixels are too small to say; at least {LEAST_SIDE} a side are needed"
    return replace(verdict, answer="undecided", notes=(small, *notes))


def verify_file(
    content: bytes, where: object, secure: SecureCodec, calibration: Calibration, *, max_megapixels: float
) -> Verdict:
    """`verify` for the bytes of a picture's file, or of a stream of `miscomp`.

    Raises `ImageError` for what is no picture and `StreamError` for a damaged stream, or one of other weights.
    """
    pixels, notes, intact = read_content(content, where, secure, max_megapixels=max_megapixels)
    verdict = verify(pixels, secure, calibration)
    return replace(verdict, notes=(*notes, *verdict.notes), intact=intact)


def read_content(
    content: bytes, where: object, secure: SecureCodec, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[Pixels, tuple[str, ...], bool | None]:
    """Pixels, what was changed on the way to them, and whether a stream is intact; none for a picture's file.

    Raises `ImageError` and `StreamError`, as `verify_file` does.
    """
    if not container.is_stream(content):
        return *decode(content, where, max_megapixels=max_megapixels), None
    try:
        name = detect_codec(content, where)
        codec = secure.codec if name == secure.codec.name else open_codec(name)
        return codec.decompress(content, max_megapixels=max_megapixels), (f"a stream of {CODECS[name].name}",), True
    except StreamError as error:
        raise StreamError(where, error.problem) from error


def is_intact(content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> bool | None:
    """Whether a stream's checksum over the whole file holds; none for bytes that are no stream of `miscomp`."""
    if not container.is_stream(content):
        return None
    try:
        container.unpack(content, max_megapixels=max_megapixels)
    except StreamError:
        return False
    return True


def judge(
    p: Pixels, again: Sequence[Pixels], thresholds: Thresholds, *, codec: str, survival: Survival | None = None
) -> Verdict:
    """The verdict on a picture p beside what `recompress` made of it, and `compare` of both where that is at hand.

    Raises `SizeMismatch`.
    """
    survival = survival or compare(p, *again)
    states = classify(survival.block_scores(), survival.uniform, thresholds)
    counts = np.bincount(states.ravel(), minlength=len(State))
    blocks = int(counts.sum() - counts[State.LEFT_OUT])
    left = measure(p, again[0])
    shifted = psnr_pixels(p, again[1]) if len(again) > 1 else None
    return Verdict(
        answer=answer(states, thresholds),
        codec=codec,
        width=int(p.shape[1]),
        height=int(p.shape[0]),
        blocks=blocks,
        left_out=int(counts[State.LEFT_OUT]),
        destroyed=int(counts[State.DESTROYED]),
        uncertain=int(counts[State.UNCERTAIN]),
        survives=int(counts[State.SURVIVES]),
        largest_survivor=largest_region(states == State.SURVIVES),
        psnr_db=left.psnr_db,
        shifted_psnr_db=shifted,
        fitted_psnr_db=left.fitted_psnr_db,
        local_correlation=left.local_correlation,
        notes=_notes(counts[State.LEFT_OUT] / states.size, left.psnr_db, shifted),
    )


def _notes(left_out: float, psnr_db: float, shifted_psnr_db: float | None) -> tuple[str, ...]:
    notes = []
    if left_out:
        notes.append(f"{left_out:.1%} of the blocks are of one colour up to the border and left out")
    if shifted_psnr_db is not None and psnr_db > shifted_psnr_db + _FAR_APART_DB:
        both = f"{psnr_db:.1f} dB as it stands, {shifted_psnr_db:.1f} dB cut by 5 rows and 11 columns"
        notes.append(f"the perturbation acts in one of two alignments only: {both}")
    return tuple(notes)


def classify(scores: Plane, uniform: Flags, thresholds: Thresholds) -> States:
    """`block_states` with a calibration's thresholds."""
    low, high = thresholds.survives_below, thresholds.destroyed_above
    return block_states(scores, uniform, survives_below=low, destroyed_above=high)


def answer(states: States, thresholds: Thresholds) -> Answer:
    """What the states of a picture's blocks say together."""
    counts = np.bincount(states.ravel(), minlength=len(State))
    judged = int(counts.sum() - counts[State.LEFT_OUT])
    if judged < LEAST_BLOCKS or counts[State.UNCERTAIN] > _MOST_UNCERTAIN * judged:
        return "undecided"
    if counts[State.DESTROYED] < thresholds.least_share * judged:
        return "absent"
    if largest_region(states == State.SURVIVES) >= thresholds.least_region:
        return "partly"
    return "carries" if counts[State.DESTROYED] > _THROUGHOUT * judged else "undecided"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
