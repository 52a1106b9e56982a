"""The rows of a corpus' database: frozen, checked where strangers write them, one table each.

`miscomp.corpus.schema` makes the tables from these fields. Times are ISO-8601 UTC. Text is untrusted.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from miscomp.records import Annotation


def now() -> str:
    """The time as it is stored: `2025-10-27T09:30:00.123456Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_uuid() -> str:
    """A name for an event that no other has."""
    return str(uuid.uuid4())


class Choice(StrEnum):
    """What a screener says of a picture (SCLIC 3.1)."""

    INCLUDE = "include"
    BORDERLINE = "borderline"
    EXCLUDE = "exclude"


class BatchKind(StrEnum):
    """Who is given a batch: one labeler, or all of them. What is drawn in training counts nowhere."""

    NORMAL = "normal"
    AGREEMENT = "agreement"
    TRAINING = "training"


class Action(StrEnum):
    """What an event does to a labeler's boxes."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"


class Role(StrEnum):
    """What a person may do in the labelers' tool."""

    LABELER = "labeler"
    SCREENER = "screener"
    REVIEWER = "reviewer"
    """Takes second looks at boxes of others."""
    SUPERVISOR = "supervisor"


class Judgement(StrEnum):
    """What a second look at a box comes to."""

    CONFIRM = "confirm"
    REJECT = "reject"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is known about the database itself."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """A photograph of the corpus, as preprocessed; its file is `originals/ab/SHA1.png`."""

    image_sha1: str
    """Of the PNG's content: its name."""
    sha256: str
    """Of the PNG's content."""
    pixel_sha256: str
    width: int
    height: int
    size_bytes: int
    name: str
    """The file's name as it was added; empty once it was removed."""
    origin_sha256: str
    """Of the file as it was added."""
    origin_width: int
    origin_height: int
    source: str
    licence: str
    split: str
    note: str = ""
    """What was changed on the way to sRGB."""
    added: str = ""
    half: int | None = None
    """From 0 on; none before it is allotted, or where there are no halves."""
    bulk: int | None = None
    """From 1 on; none before it is allotted."""
    removed: str = ""
    """When its pixels were removed at a person's request."""
    removed_reason: str = ""

    @property
    def filename(self) -> str:
        """Its name in every table."""
        return f"{self.image_sha1}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A file that was not taken in, and why."""

    origin_sha256: str
    """Empty where the file could not be read."""
    name: str
    source: str
    kind: str
    """`channels`, `corrupt`, `small`, `large`, `duplicate`, `removed` or `name`."""
    reason: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a screener said; the last one of a screener on a picture counts."""

    uuid: str
    image_sha1: str
    screener: str
    choice: str
    note: str
    time: str
    version: str = ""
    """Of the labelers' tool; empty where a table said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a detector saw in a picture, for the screeners; never a decision."""

    image_sha1: str
    detector: str
    version: str
    kind: str
    """`text`, `face` or `detail`."""
    value: float
    """For `detail` a share of the picture in [0, 1], for the others a count."""
    regions: str
    """Boxes as JSON: `[[x, y, w, h], ...]`."""
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A codec at a setting as it was first used in this corpus."""

    model: str
    codec: str
    """`C1` ...: what its settings share."""
    spec: str
    codec_name: str
    """The registry's, `hific`."""
    setting: str
    target_bpp: float | None
    weights_sha256: str
    seed: int | None
    version: str
    stand_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where reconstructions were made: libraries, hardware, determinism settings, as JSON."""

    environment: str
    """16 hex digits of the content's SHA-256."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What a model made of a picture; files are relative to the corpus' folder, empty where there is none."""

    image_sha1: str
    model: str
    stream_file: str
    """The compressed file; empty where it is not known, as in an imported release."""
    stream_sha256: str
    stream_bytes: int
    file: str
    """The reconstruction, lossless PNG."""
    sha256: str
    """Of that file."""
    pixel_sha256: str
    width: int
    height: int
    quality: float | None
    """At which the codec ran; encoding at it again gives the same bytes."""
    bpp: float | None
    """Real: 8 * bytes of the compressed file / pixels; in an imported release as it states."""
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    encode_s: float | None
    """Wall seconds, rate search included."""
    decode_s: float | None
    version: str
    weights_sha256: str
    environment: str
    note: str = ""
    """Such as why the target rate was not reached."""
    made: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTask:
    """A task that failed for good in a run; a later run tries again."""

    image_sha1: str
    model: str
    attempts: int
    reason: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A labeler's smallest piece of work."""

    batch: str
    bulk: int
    kind: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """A pair in a batch; `alias` is all that the labeler is told of it."""

    batch: str
    position: int
    """From 1 on."""
    image_sha1: str
    model: str
    alias: str
    """40 hex digits that tell neither picture nor model nor source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A batch and whose it is."""

    batch: str
    labeler: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvent:
    """Something a labeler, a detector or an import did to a box; a changed mind is a new event."""

    uuid: str
    action: str
    replaces: str = ""
    """The event that this one supersedes; an event has one successor at most, the database sees to that."""
    id: str
    filename: str
    image_sha1: str
    model: str
    x: int
    y: int
    w: int
    h: int
    labeler: str
    origin: str
    version: str = ""
    category: str = ""
    symbol: bool = False
    multi: bool = False
    multi_kind: str = ""
    score: float | None = None
    changed: float | None = None
    relevant: float | None = None
    suspicion: float | None = None
    expected: float | None = None
    note: str = ""
    time: str = ""
    batch: str = ""
    """In which batch a labeler drew it; empty for imports and detectors, and where it is not known."""

    @property
    def annotation(self) -> Annotation:
        """The box as the tables have it. Raises `ValueError` for values that no annotation may have."""
        return Annotation(**{name: getattr(self, name) for name in Annotation.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiFlag:
    """A labeler's word on a whole picture, above all whether it has multi-miscompressions; the last one counts."""

    uuid: str
    image_sha1: str
    model: str
    labeler: str
    multi: bool
    kind: str = ""
    note: str = ""
    time: str = field(default_factory=now)
    overall: bool = False
    """Whether the picture as a whole gives another impression: season, weather, focus, condition (appendix 2.2.3)."""
    batch: str = ""
    version: str = ""
    """Of the labelers' tool; empty where a table or an import said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Who has seen what in which batch, and when."""

    image_sha1: str
    model: str
    labeler: str
    batch: str
    opened: str
    closed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One look of a labeler at a pair, from its opening to its leaving; `Seen` has the first that was finished."""

    uuid: str
    image_sha1: str
    model: str
    labeler: str
    batch: str
    opened: str
    closed: str
    active_s: float
    """Seconds in which something was done; a labeler who went for a coffee does not work."""
    finished: bool
    """Whether the labeler said that this pair is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A detector's box that a labeler was shown as a suggestion, before or while drawing."""

    uuid: str
    event: str
    """The detector's `LabelEvent`."""
    image_sha1: str
    model: str
    labeler: str
    batch: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLook:
    """What a second person says of a box; the last word of a reviewer on a box counts."""

    uuid: str
    event: str
    """The `LabelEvent` that was looked at; a box that was changed later wants another look."""
    image_sha1: str
    model: str
    reviewer: str
    judgement: str
    category: str = ""
    symbol: bool = False
    note: str = ""
    version: str = ""
    """Of the tool."""
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may log in to the labelers' tool."""

    name: str
    roles: str
    """Joined by `+`: `labeler+reviewer`."""
    password: str
    """argon2id, as the library writes it: salt and costs are in it."""
    added: str
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is logged in."""

    token: str
    """SHA-256 of the cookie's value: who reads the database cannot log in with it."""
    account: str
    csrf: str
    """Sent with every request that changes something."""
    opened: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A folder outside the corpus that pixels were written to: exports, batches, samples."""

    path: str
    what: str
    time: str
