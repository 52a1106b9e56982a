"""Decision node 2, source `face`: faces in either picture, and what may have happened to them.

The project ships no face detector: the user gives its weights, and `note_without` says so where none were given.
Faces are found and compared within a pair only; nothing is stored, named or looked up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from miscomp.detect.base import PairInHand, Proposal
from miscomp.detect.face_compare import (
    SHIFT,
    FaceChange,
    identity_change,
    landmark_change,
    looks,
    shifts,
    structure_change,
    vanished,
)
from miscomp.detect.face_finder import Face, FaceFinder, SearchingFinder, match_faces
from miscomp.detect.face_onnx import WANTED_SFACE, WANTED_YUNET, FaceEmbedding, load_sface, load_yunet
from miscomp.errors import UsageError, WeightsError
from miscomp.images import Pixels

MAX_WEIGHTS_BYTES = 64 * 2**20
"""SFace, the largest of the files meant, has up to 39 MB; a file above this is refused before it is read."""

SOURCE = "face"

_FULL_SIDE = 24.0
_LEAST_RELEVANCE = 0.5
_MEANT = "RetinaFace with MobileNet 0.25 (biubug6/Pytorch_Retinaface, MIT, .pth) or " + WANTED_YUNET.removeprefix(
    "give "
)


class FaceSource:
    """Proposes the faces of both pictures; an unchanged one with `changed` left to the maps."""

    def __init__(self, finder: FaceFinder, embedding: FaceEmbedding | None = None) -> None:
        self._finder = finder
        self._embedding = embedding

    @property
    def identity(self) -> str:
        """Names all weights: goes into the detector's version."""
        parts = [self._finder.identity, *([self._embedding.identity] if self._embedding else [])]
        return "+".join(parts)

    def find(self, pixels: Pixels) -> list[Face]:
        """The faces of one picture (h, w, 3) uint8 sRGB, the surest first."""
        return self._finder.faces(pixels)

    def __call__(self, pair: PairInHand) -> list[Proposal]:
        """At most one proposal a face, what surely changed first; none where no pixel of the face changed."""
        before, after = (self._finder.faces(pixels) for pixels in (pair.original, pair.reconstruction))
        matched = match_faces(before, after)
        found = [self._of_face(pair, before[i], after[j]) for i, j in matched]
        there, back = (pair.original, pair.reconstruction), (pair.reconstruction, pair.original)
        known_before, known_after = {i for i, _ in matched}, {j for _, j in matched}
        found += [self._alone(there, f, lost=True) for i, f in enumerate(before) if i not in known_before]
        found += [self._alone(back, f, lost=False) for j, f in enumerate(after) if j not in known_after]
        proposals = [proposal for proposal in found if proposal]
        return sorted(proposals, key=lambda p: (-p.strength, p.box))

    def _of_face(self, pair: PairInHand, before: Face, after: Face) -> Proposal | None:
        """A face at one place in both pictures."""
        if _equal(pair.original, pair.reconstruction, before):
            return None
        structure, numbers = structure_change(pair.original, pair.reconstruction, before)
        changes = [structure]
        if max(shifts(before, after)) > SHIFT[0]:
            here, there = (looks(self._finder, pixels, before) for pixels in (pair.original, pair.reconstruction))
            changes.append(landmark_change(before, here, there))
        figures: dict[str, float | str] = {**numbers}
        if self._embedding:
            pictures = (pair.original, pair.reconstruction)
            person, cosines = identity_change(*pictures, faces=(before, after), embedding=self._embedding)
            changes.append(person)
            figures |= cosines
        figures |= {"face_confidence": before.confidence, "face_confidence_reconstruction": after.confidence}
        return self._proposal(before, [change for change in changes if change], figures)

    def _alone(self, pictures: tuple[Pixels, Pixels], face: Face, *, lost: bool) -> Proposal | None:
        """A face that the detector took for one only in the first of two pictures."""
        if _equal(*pictures, face):
            return None
        here, there = (looks(self._finder, pixels, face) for pixels in pictures)
        best = max((other.confidence for other in there if other), default=0.0)
        structure, differs = structure_change(*pictures, face)
        figures: dict[str, float | str] = {**differs}
        figures |= {"face_confidence": face.confidence, "face_confidence_elsewhere": best}
        # Where the face is surely seen in neither, the place still matters, and its structure may tell.
        changes = [structure] if structure else []
        certainty = vanished(here, there)
        if certainty > 0:
            where = "original, not in the reconstruction" if lost else "reconstruction, not in the original"
            changes.append(FaceChange(certainty=certainty, words=f"a face is seen in the {where}", box=face.box))
        return self._proposal(face, changes, figures)

    def _proposal(self, face: Face, changes: Sequence[FaceChange], figures: dict[str, float | str]) -> Proposal:
        side = math.sqrt(face.box.area)
        relevant = min(max(side / _FULL_SIDE, _LEAST_RELEVANCE), 1.0)
        ordered = sorted(changes, key=lambda change: -change.certainty)
        numbers = figures | {key: value for change in ordered for key, value in change.numbers.items()}
        numbers |= {"face_side_px": round(side, 1), "face_weights": self.identity}
        words = "a face; " + (
            "; ".join(change.words for change in ordered) or "no change of the face itself is certain"
        )
        return Proposal(
            box=ordered[0].box if ordered else face.box,
            relevant=round(relevant, 3),
            source=SOURCE,
            words=words,
            symbol=True,
            changed=ordered[0].certainty if ordered else None,
            changed_words="; ".join(change.words for change in ordered),
            strength=(ordered[0].certainty if ordered else 0.0) + 1e-6 * side,
            numbers=numbers,
        )


def _equal(a: Pixels, b: Pixels, face: Face) -> bool:
    here = np.s_[face.box.y : face.box.bottom, face.box.x : face.box.right]
    return np.array_equal(a[here], b[here])


def open_faces(faces: str, embedding: str = "") -> FaceSource:
    """The source from weights that the user gives; which detector is told from the file's content.

    Raises `UsageError` for no detector, and `WeightsError` for a file that is missing, too large, damaged or foreign.
    """
    if not faces:
        raise UsageError(f"looking for faces needs the weights of a detector: {_MEANT}")
    path = Path(faces)
    content = _read(path, _MEANT)
    known = _embedding(Path(embedding)) if embedding else None
    if content.startswith((b"PK\x03\x04", b"\x80\x02")):
        # Imported here: who uses YuNet needs no torch for it.
        from miscomp.detect.retinaface import RetinaFaceLook, load_retinaface

        net = load_retinaface(content, path)
        return FaceSource(SearchingFinder(RetinaFaceLook(net), _identity(path, content)), known)
    if content.startswith(b"\x08"):
        return FaceSource(SearchingFinder(load_yunet(content, path), _identity(path, content)), known)
    raise WeightsError(path, f"is neither a PyTorch checkpoint nor an ONNX file; give {_MEANT}")


def _embedding(path: Path) -> FaceEmbedding:
    content = _read(path, WANTED_SFACE.removeprefix("give "))
    if not content.startswith(b"\x08"):
        raise WeightsError(path, f"is not an ONNX file; {WANTED_SFACE}")
    return load_sface(content, path, _identity(path, content))


def _read(path: Path, meant: str) -> bytes:
    try:
        # Asked before opening, because opening a pipe waits for its writer.
        if not path.is_file():
            raise WeightsError(path, f"is no file; give {meant}")
        size = path.stat().st_size
        if size > MAX_WEIGHTS_BYTES:
            raise WeightsError(path, f"has {size} bytes, at most {MAX_WEIGHTS_BYTES} are read; give {meant}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise WeightsError(path, f"cannot be read: {error}") from error


def _identity(path: Path, content: bytes) -> str:
    return f"{path.name}@{hashlib.sha256(content).hexdigest()[:8]}"


def note_without() -> str:
    """What a report says where no detector of faces was given."""
    return (
        "Faces were not looked for: no face detector was given. A changed face can be missing here or be found "
        "only as some small object; give a detector's weights to have faces compared."
    )


def note_with() -> str:
    """What a report says where one was given."""
    return (
        "People are found by their faces only: someone turned away, or smaller than about 12 pixels of face, is not "
        "found as a person."
    )
