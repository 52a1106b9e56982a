"""The form of `manifest.json`: what is counted and what each count means. `miscomp.corpus.inventory` counts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from miscomp.corpus.config import About, Images, Screening

FORM: Literal[1] = 1
"""Number of the present form; a change of meaning is another number."""

NOTES = (
    "An export for readers: the database is the truth, and every count here can be taken from it again.",
    "bpp is real: 8 * bytes of the compressed file / pixels; std divides by n - 1, quartiles are interpolated.",
    "allotted: pairs of picture and model meant for labelers, of pictures that are in a bulk and not screened out.",
    "Labelers are called as in the tables. A name is personal data: let it be a pseudonym.",
    "The pixels of removed pictures are gone from the corpus; their coordinates and numbers stay.",
)


class Part(BaseModel):
    """A part of the manifest; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(Part):
    """What decides which pictures, pairs and batches there are."""

    seed: int
    halves: tuple[tuple[str, ...], ...]
    images: Images
    screening: Screening
    bulk_images: int
    batch_size: int
    agreement_batches: int
    instances: int


class VerdictCounts(Part):
    """Pictures by verdict, removed ones left out."""

    included: int = 0
    excluded: int = 0
    pending: int = 0
    unscreened: int = 0


class SourceCount(Part):
    """Pictures of one source, licence and split."""

    source: str
    licence: str
    split: str
    added: int
    """All that were taken in: each has a verdict or was removed."""
    removed: int
    verdicts: VerdictCounts


class RejectedCount(Part):
    """Files that were not taken in."""

    source: str
    kind: str
    files: int


class ScreeningCount(Part):
    """How far the screening is."""

    asked: int
    """Screeners that must decide."""
    screeners: int
    """Screeners that have decided on anything."""
    decisions: int
    """Changes of mind included."""
    verdicts: VerdictCounts


class Spread(Part):
    """A distribution over pictures, as SCLIC's appendix has it for bit rates (Table 3)."""

    n: int
    mean: float
    std: float | None
    """None for a single picture."""
    q25: float
    median: float
    q75: float


class ModelCount(Part):
    """A codec at a setting, and how far it is."""

    model: str
    codec: str
    spec: str
    codec_name: str
    """Empty before its first reconstruction, as is `setting`."""
    setting: str
    stand_in: str
    target_bpp: float | None
    bpp: Spread | None
    allotted: int
    done: int
    """Reconstructions, those of removed pictures included."""
    removed: int
    """Those of them whose picture was removed."""
    failed: int
    seed: int | None
    versions: tuple[str, ...]
    weights_sha256: tuple[str, ...]


class HalfCount(Part):
    """A part of the pictures, and the codecs that its labelers see."""

    half: int
    codecs: tuple[str, ...]
    bulks: int
    pictures: int


class BulkCount(Part):
    """A bulk: its pictures that are neither removed nor screened out, and what was batched of it."""

    bulk: int
    half: int | None
    pictures: int
    allotted: int
    batches: int
    pairs: int
    """In batches."""


class BatchCount(Part):
    """All batches."""

    batches: int
    agreement: int
    """Those of them that every labeler is given."""
    pairs: int
    unassigned: int
    """Batches that nobody was given."""


class LabelerCount(Part):
    """A labeler's share."""

    labeler: str
    batches: int
    """Agreement batches included, as in `pairs`."""
    pairs: int
    agreement_batches: int
    seen: int
    """Pairs that were looked at."""


class LabelCount(Part):
    """Boxes that stand, by who made them; changes of mind are not counted."""

    labeler: str
    origin: str
    boxes: int
    pairs: int
    """Pairs of picture and model with at least one of them."""


class RemovedPicture(Part):
    """A picture that was removed at a person's request."""

    image_sha1: str
    removed: str
    reason: str


class EnvironmentCount(Part):
    """Where reconstructions were made."""

    environment: str
    reconstructions: int
    content: Any
    """As recorded; a text that is no JSON stays a text."""


class FailureCount(Part):
    """Tasks that failed in the last attempt, by reason; the most frequent ones."""

    reason: str
    tasks: int


class Manifest(Part):
    """A whole `manifest.json`."""

    miscomp_manifest: Literal[1] = Field(description="Number of this form.")
    corpus: str
    """The corpus' uuid."""
    made_by: str
    """The release of miscomp that began the corpus."""
    written_by: str
    """The release that wrote this file."""
    notes: tuple[str, ...]
    about: About
    settings: Settings
    sources: tuple[SourceCount, ...]
    rejected: tuple[RejectedCount, ...]
    screening: ScreeningCount
    models: tuple[ModelCount, ...]
    halves: tuple[HalfCount, ...]
    bulks: tuple[BulkCount, ...]
    batches: BatchCount
    labelers: tuple[LabelerCount, ...]
    annotations: tuple[LabelCount, ...]
    multi_pairs: int
    """Pairs in which a labeler flagged multi-miscompressions."""
    removed: tuple[RemovedPicture, ...]
    environments: tuple[EnvironmentCount, ...]
    failures: tuple[FailureCount, ...]
