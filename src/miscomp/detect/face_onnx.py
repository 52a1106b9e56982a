"""YuNet and SFace from ONNX files that the user gives, run by OpenCV: another face detector, and faces as vectors.

Wu et al., "YuNet: a tiny millisecond-level face detector", Machine Intelligence Research 2023; Zhong et al.,
"SFace: sigmoid-constrained hypersphere loss for robust face recognition", IEEE TIP 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from miscomp.detect.face_finder import COLUMNS, LEAST, Face, Rows
from miscomp.errors import WeightsError
from miscomp.images import Pixels

WANTED_YUNET = "give YuNet of the OpenCV model zoo (face_detection_yunet_2023mar.onnx, MIT)"
WANTED_SFACE = "give SFace of the OpenCV model zoo (face_recognition_sface_2021dec.onnx, Apache-2.0)"

SFACE_SAME = 0.363
"""Cosine from which SFace takes two faces for one person's: the threshold that its authors publish."""

_MOST_ROWS = 2000
_REPEATED = 0.4


class OnnxDetector(Protocol):
    """What is used of `cv2.FaceDetectorYN`."""

    def setInputSize(self, size: tuple[int, int], /) -> None: ...

    def detect(self, image: NDArray[np.uint8], /) -> tuple[int, Any]: ...


class OnnxRecogniser(Protocol):
    """What is used of `cv2.FaceRecognizerSF`."""

    def alignCrop(self, image: NDArray[np.uint8], row: NDArray[np.float32], /) -> Any: ...

    def feature(self, aligned: Any, /) -> Any: ...


class FaceEmbedding(Protocol):
    """Turns a face into a vector that is alike for alike persons."""

    identity: str
    same: float
    """Cosine from which two faces count as one person's."""

    def vector(self, pixels: Pixels, face: Face) -> NDArray[np.float64]:
        """A vector of length 1."""
        ...


class YuNetLook:
    """Faces in one small picture by YuNet."""

    def __init__(self, detector: OnnxDetector) -> None:
        self._detector = detector

    def __call__(self, pixels: Pixels) -> Rows:
        """One row a face, its points in the order of `Landmarks`."""
        self._detector.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, found = self._detector.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
        if found is None:
            return np.empty((0, COLUMNS), np.float32)
        rows: Rows = np.array(found, dtype=np.float32).reshape(-1, COLUMNS)
        rows[:, 2:4] += rows[:, 0:2]
        return rows


class SFaceEmbedding:
    """A face as a vector by SFace, aligned by its five landmarks."""

    same = SFACE_SAME

    def __init__(self, recogniser: OnnxRecogniser, identity: str) -> None:
        self._recogniser = recogniser
        self.identity = identity

    def vector(self, pixels: Pixels, face: Face) -> NDArray[np.float64]:
        """The feature divided by its length."""
        box = face.box
        points = [value for point in face.landmarks for value in point]
        row = np.array([box.x, box.y, box.w, box.h, *points, face.confidence], np.float32)
        aligned = self._recogniser.alignCrop(np.ascontiguousarray(pixels[:, :, ::-1]), row)
        feature = np.asarray(self._recogniser.feature(aligned), np.float64).ravel()
        return feature / max(float(np.linalg.norm(feature)), 1e-12)


def load_yunet(content: bytes, where: Path) -> YuNetLook:
    """YuNet from an ONNX file's bytes, tried once. Raises `WeightsError` for anything else."""
    try:
        detector = cv2.FaceDetectorYN.create(
            "onnx", _buffer(content), _buffer(b""), (64, 64), LEAST, _REPEATED, _MOST_ROWS
        )
        look = YuNetLook(cast(OnnxDetector, detector))
        look(np.full((64, 64, 3), 128, np.uint8))
    except Exception as error:  # OpenCV raises its own kind, and others for shapes that do not fit
        raise WeightsError(where, f"is not YuNet ({_first_line(error)}); {WANTED_YUNET}") from error
    return look


def load_sface(content: bytes, where: Path, identity: str) -> SFaceEmbedding:
    """SFace from an ONNX file's bytes, tried once. Raises `WeightsError` for anything else."""
    try:
        recogniser = cv2.FaceRecognizerSF.create("onnx", _buffer(content), _buffer(b""))
        size = np.asarray(recogniser.feature(np.full((112, 112, 3), 128, np.uint8))).size
        if size < 2:
            raise ValueError(f"its answer has {size} values")
    except Exception as error:  # as above
        raise WeightsError(where, f"is not SFace ({_first_line(error)}); {WANTED_SFACE}") from error
    return SFaceEmbedding(cast(OnnxRecogniser, recogniser), identity)


def _buffer(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]
