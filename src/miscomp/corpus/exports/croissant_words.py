"""The words of a Croissant file: its context, what each column is, and how the data came about."""

from __future__ import annotations

from typing import Any

from miscomp.corpus.exports.facts import Facts
from miscomp.corpus.exports.release import Release

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The names that version 1.0 of the format prescribes."""

COLUMNS = {
    "annotations": "boxes in this reconstruction that were not found by a detector",
    "batch": "the batch in which it was looked at",
    "bpp": "real bit rate: 8 x bytes of the compressed file / pixels",
    "category": "AMPLITUDE, GEOMETRY, SHAPE, joined by +, the main one first; empty when none was given",
    "changed": "a detector's answer in [0, 1]: did something visibly change",
    "closed": "when it was closed, ISO-8601 UTC",
    "codec": "the codec",
    "content": "the picture",
    "expected": "a detector's answer in [0, 1]: is it what one would expect there",
    "filename": "name of the photograph's file",
    "h": "height of the box in pixels",
    "height": "of the picture in pixels",
    "id": "first 8 digits of the picture's SHA-1, model, first 8 digits of the box' SHA-1; not unique alone",
    "image_sha1": "SHA-1 of the photograph's PNG, 40 hex digits: its name",
    "judgement": "of a second look at a box: confirm, reject or unsure",
    "kind": "what kind of more miscompressions than were boxed",
    "labeler": "who drew or looked: a pseudonym unless labelers agreed to be named, or a detector's name",
    "licence": "of the photograph and its reconstructions",
    "model": "codec at a setting",
    "ms_ssim": "MS-SSIM of this picture",
    "multi": "whether more miscompressions are there than were boxed",
    "multi_kind": "what kind these are",
    "name": "what the photograph's file was called before; empty unless published",
    "note": "free text",
    "opened": "when it was opened, ISO-8601 UTC",
    "origin": "person, detector, truth or simulated",
    "overall": "whether the picture as a whole gives another impression",
    "pixel_sha256": "SHA-256 of the photograph's pixels",
    "psnr": "PSNR of this picture in dB; inf for identical ones",
    "relevant": "a detector's answer in [0, 1]: does what changed carry meaning",
    "removed": "whether its pixels were removed at a person's request",
    "reviewer": "who took a second look: a pseudonym unless people agreed to be named",
    "score": "a detector's score in [0, 1]; it orders candidates and is no probability",
    "seed": "of the codec",
    "setting": "at which the codec ran",
    "sha256": "SHA-256 of the photograph's PNG",
    "size_bytes": "of the photograph's PNG",
    "source": "where the photograph is from",
    "split": "train, test or another part; all versions of a photograph are in one",
    "ssim": "SSIM of this picture",
    "suspicion": "a detector's answer in [0, 1]: does the reconstruction alone give it away",
    "symbol": "whether it changed a text or a symbol",
    "target_bpp": "bit rate that was asked for",
    "time": "ISO-8601 UTC; empty for detectors",
    "version": "of the codec, or of the detector",
    "w": "width of the box in pixels",
    "weights_sha256": "of the codec's weights",
    "width": "of the picture in pixels",
    "x": "left edge of the box in pixels",
    "y": "upper edge of the box in pixels",
}
"""What each column of the tables is."""


def responsible(release: Release, facts: Facts) -> dict[str, Any]:
    """How the data came about and what it is not for, in the RAI vocabulary."""
    config = release.snapshot.config
    images = config.images
    biases = [
        "Photographs were chosen for details in which a change of meaning can be told; shares here are not those of "
        "pictures at large."
    ]
    biases += [f"{one.model} is a stand-in: {one.stand_in}" for one in facts.stand_ins]
    people = "Labelers are named." if release.options.labelers else "Labelers are pseudonyms."
    return {
        "rai:dataCollection": "Photographs from the sources in sources.csv, compressed and decoded by the codecs in "
        "models.csv.",
        "rai:dataPreprocessingProtocol": [
            f"Cropped to multiples of {images.multiple} pixels, scaled down to at most {images.max_side} pixels a "
            "side (Lanczos), cropped again, saved as PNG; what was imported came as it is."
        ],
        "rai:dataAnnotationProtocol": [
            "Labelers compare original and reconstruction and box what changed in meaning; of several alike, up to "
            f"{config.batches.instances} are drawn and the reconstruction is flagged."
        ],
        "rai:annotationsPerItem": f"{facts.viewed} of {facts.reconstructions} reconstructions were looked at, "
        f"{facts.several} of them by more than one labeler.",
        "rai:dataBiases": biases,
        "rai:dataUseCases": ["Training and scoring detectors of miscompressions; studies of what codecs change."],
        "rai:dataLimitations": [
            "Not the ground truth of every change: a place without a box is one where nobody marked anything.",
            "Not for ranking codecs without care: rates differ, and a photograph may be coded by some of them only.",
        ],
        "rai:personalSensitiveInformation": [
            f"Photographs may show people. {people} {facts.removed} photographs were removed at a person's request: "
            "their rows stay, their pixels are not given."
        ],
    }
