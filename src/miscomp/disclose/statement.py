"""The statement: what is said about one picture, whatever place it is written to. Read from strangers' files, strictly.

It says what was done and what was looked at. It proves nothing about the scene, and its absence proves nothing at all.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from miscomp.taxonomy import split_categories

FORM = 1
"""Number of the statement's form."""
MAX_BYTES = 256 * 1024
"""Of a statement as JSON; what is longer is not read."""
MAX_PLACES = 500
"""Findings that one statement lists; `findings` counts all of them."""


class Coding(StrEnum):
    """What kind of codec made the pixels."""

    CLASSICAL = "classical"
    """Transforms and quantisation: errors look like errors."""
    NEURAL = "neural"
    """A trained decoder that was made to come close to the original."""
    GENERATIVE = "generative"
    """A trained decoder that fills in what looks real: detail in it may be invented."""
    UNKNOWN = "unknown"


def _category(text: str) -> str:
    split_categories(text)
    return text


_Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", max_length=64)]
_Time = Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z)?$", max_length=32)]
_Text = Annotated[str, Field(max_length=300)]


class Part(BaseModel):
    """A part of the statement; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Codec(Part):
    """What made the pixels."""

    name: _Text
    """The registry's, `hific`; empty where it is not known."""
    kind: Coding
    version: _Text = ""
    """Of the program that coded."""
    weights_sha256: _Sha256 = ""
    setting: _Text = ""
    """As on the command line: `q3`, `0.25bpp`."""
    seed: int | None = None
    """Where decoding is random."""


class Picture(Part):
    """Which pixels are meant: a statement that was copied to another picture does not fit it."""

    width: int = Field(ge=1, lt=2**31)
    height: int = Field(ge=1, lt=2**31)
    pixel_sha256: _Sha256 = ""
    """As `miscomp.images.pixel_sha256`, over the upright sRGB pixels as this project reads them."""


class Detector(Part):
    """What looked for changes, and how often it errs."""

    name: _Text
    version: _Text = ""
    recall: float | None = Field(default=None, ge=0, le=1)
    """Share of planted or labelled miscompressions that it finds, where that was measured."""
    false_per_image: float | None = Field(default=None, ge=0)
    """Mean number of findings on pictures without any, where that was measured."""
    measured_on: _Text = ""
    """What these were measured on, with n; empty: its error rates are not known."""


class Place(Part):
    """A candidate finding: pixels [x, x + w) x [y, y + h)."""

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    w: int = Field(ge=1, lt=2**31)
    h: int = Field(ge=1, lt=2**31)
    category: Annotated[str, Field(max_length=64), AfterValidator(_category)] = ""
    symbol: bool = False
    score: float | None = Field(default=None, ge=0, le=1)


class Statement(Part):
    """What is disclosed about one picture."""

    miscomp_disclosure: Literal[1] = 1
    codec: Codec
    picture: Picture
    bpp: float | None = Field(default=None, gt=0)
    """Real: 8 * bytes of the compressed file / pixels; none where no compressed file is known."""
    coded: _Time = ""
    """When it was coded; empty where that is not known."""
    stated: _Time = ""
    """When this was written."""
    compared: bool
    """Whether the pixels were compared with the original. If not, nothing is known about changes."""
    original_sha256: _Sha256 = ""
    """Of the original's file, where it may be told."""
    detector: Detector | None = None
    findings: int | None = Field(default=None, ge=0)
    """How many candidates the detector found; none where nothing was compared."""
    places: tuple[Place, ...] = Field(default=(), max_length=MAX_PLACES)
    """The first of them by score."""
    risk: float | None = Field(default=None, ge=0, le=1)
    """See `miscomp.disclose.risk`; none where nothing was compared."""
    risk_form: _Text = ""
    """Which definition of the risk figure: `miscomp-risk-1`."""
    note: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not self.compared and (self.findings is not None or self.risk is not None or self.places):
            raise ValueError("nothing was compared, so there are no findings and no risk figure")
        if self.compared and (self.detector is None or self.findings is None):
            raise ValueError("what was compared names its detector and the number of findings")
        if self.findings is not None and len(self.places) > self.findings:
            raise ValueError(f"lists {len(self.places)} places and says that there are {self.findings}")
        for one in self.places:
            if one.x + one.w > self.picture.width or one.y + one.h > self.picture.height:
                raise ValueError(f"the place at {one.x}, {one.y} reaches outside the picture")
        return self


def to_json(statement: Statement) -> str:
    """The statement's text: ASCII, keys in the record's order; the same statement gives the same text."""
    content = statement.model_dump(mode="json")
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two, other programs may take the other."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("the statement has the same key twice")
    return content


def from_json(text: str | bytes) -> Statement:
    """Read a statement. Raises `ValueError` that says what is wrong; takes bounded memory for any text."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"the statement has {len(text)} bytes, at most {MAX_BYTES} are read")
    try:
        content: Any = json.loads(text, object_pairs_hook=_once)
        form = content.get("miscomp_disclosure") if isinstance(content, dict) else None
        if type(form) is int and form > FORM:
            raise ValueError(f"the statement has form {form}, this release knows up to {FORM}; update miscomp")
        return Statement.model_validate(content)
    except (RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"the statement cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"the statement is not one of this form: {where}: {first['msg']}") from error
