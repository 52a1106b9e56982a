"""What a corpus is to be: `corpus.toml`, written with comments, read strictly; SCLIC's numbers are the defaults.

Source of the defaults: Hofer and Böhme, "Challenging Cases of Neural Image Compression", ACM MM 2025, section 3 and
appendix 1; `miscomp.corpus.profiles` has its codecs.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from miscomp.codecs.spec import parse_spec
from miscomp.errors import InputError, MiscompError

CONFIG = "corpus.toml"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What models, codecs and labelers may be called: letters, digits, dots, hyphens, underscores."""

Name = Annotated[str, Field(pattern=NAME)]


def _need_once(what: str, names: Any) -> None:
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise ValueError(f"{what} name {', '.join(twice)} twice")


class Section(BaseModel):
    """A table of the file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class About(Section):
    """What readers of the published corpus are told."""

    title: str = Field(default="", description="As it is published; empty: the folder's name.")
    description: str = Field(default="", description="One paragraph, for the README and the data sheet.")
    creators: tuple[str, ...] = Field(default=(), description="Who made it.")
    licence: str = Field(
        default="CC-BY-4.0", description="Of the annotations (SPDX); each image keeps its source's licence."
    )
    version: str = Field(default="0.1.0", description="Of the corpus, as in semantic versioning.")
    url: str = Field(default="", description="Where it is published.")
    citation: str = Field(default="", description="How it is to be cited.")


class Database(Section):
    """Where the tables are."""

    url: str = Field(
        default="",
        description="SQLAlchemy URL such as postgresql+psycopg://user@host/name; empty: corpus.sqlite in this folder. "
        "The environment variable MISCOMP_CORPUS_DATABASE stands above it.",
    )


class Images(Section):
    """How photographs are taken in (SCLIC 3.1)."""

    multiple: int = Field(default=16, ge=1, le=1024, description="Width and height are cropped to multiples of this.")
    max_side: int = Field(
        default=2304, ge=16, le=65536, description="Larger pictures are scaled down (Lanczos), in pixels."
    )
    min_side: int = Field(
        default=256, ge=1, le=65536, description="Smaller ones are rejected; the paper gives no number: this is ours."
    )
    scales: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default={"RAISE": 0.4}, description="By source: scaled to this share where max_side does not ask for less."
    )
    max_megapixels: float = Field(
        default=200.0, gt=0, description="Pictures with more pixels, in millions, are rejected."
    )


class Screening(Section):
    """Who decides which pictures are worth a labeler's time (SCLIC 3.1)."""

    screeners: int = Field(
        default=2, ge=1, le=9, description="Each decides alone; out only if all say (borderline) exclude."
    )
    include: tuple[str, ...] = Field(
        default=(
            "people, or depictions of people: statues, drawings, posters",
            "symbols and signs: text, religious, cultural, traffic",
            "vehicles",
            "buildings",
            "other things made by people: fences, patterns, cables",
            "reflections and shadows in which an object can be told",
        ),
        description="Include a picture that shows any of these.",
    )
    exclude: tuple[str, ...] = Field(
        default=(
            "none of the above",
            "only large, close things without any small detail",
            "what could distress the people who look at it",
        ),
        description="Exclude a picture of which one of these is true.",
    )


class Model(Section):
    """A codec at a setting."""

    model: Name = Field(description="Its name in every table, such as 03L.")
    codec: Name = Field(description="What its settings share, such as C3; halves are made of these.")
    spec: str = Field(description="As on the command line: hific@q1, lucid@0.25bpp, jpeg@like:lucid@0.25bpp.")
    target_bpp: float | None = Field(default=None, gt=0, description="What its rate is chosen for.")
    stand_in: str = Field(default="", description="Why it is not what the paper used; empty where it is.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        try:
            parse_spec(self.spec)
        except MiscompError as error:
            raise ValueError(str(error)) from error
        return self


class Compress(Section):
    """How the models are run."""

    attempts: int = Field(
        default=3, ge=1, le=100, description="Tries before a task is listed as failed; a later run tries anew."
    )
    min_free_gib: float = Field(default=2.0, ge=0, description="Space that is left on the disk: work stops before.")


class Batches(Section):
    """What labelers are given (SCLIC 3.1, appendix 1.3)."""

    bulk_images: int = Field(
        default=200, ge=1, description="Sources of a bulk; all versions of a picture are in one bulk."
    )
    batch_size: int = Field(default=25, ge=1, description="Pairs of a batch, the smallest piece of work.")
    agreement_batches: int = Field(
        default=2, ge=0, description="Batches that every labeler is given, to measure agreement."
    )
    labelers: tuple[Name, ...] = Field(
        default=("labeler-1", "labeler-2", "labeler-3"),
        min_length=1,
        description="The others are shared out evenly among these.",
    )
    instances: int = Field(
        default=3,
        ge=1,
        description="Of several alike, labelers draw so many and flag the picture; in agreement batches all.",
    )

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        _need_once("labelers", self.labelers)
        return self


class Annotate(Section):
    """The labelers' tool."""

    suggestions: bool = Field(
        default=False, description="Show labelers what detectors found: it biases them; what was shown is recorded."
    )
    break_after_min: int = Field(default=45, ge=1, le=1440, description="Minutes of work after which a break is due.")
    session_hours: int = Field(default=12, ge=1, le=720, description="How long a login lasts.")


class Config(Section):
    """A whole `corpus.toml`."""

    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Of the halves, the order in bulks and batches, and the codecs."
    )
    halves: tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...] = Field(
        default=(), description="Codecs of each part of the pictures; none: every picture is allotted to every codec."
    )
    about: About = About()
    database: Database = Database()
    images: Images = Images()
    screening: Screening = Screening()
    compress: Compress = Compress()
    batches: Batches = Batches()
    annotate: Annotate = Annotate()
    models: tuple[Model, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _need_once("models", [one.model for one in self.models])
        _need_once("models (without regard to capitals)", [one.model.lower() for one in self.models])
        known = {one.codec for one in self.models}
        for half in self.halves:
            _need_once("halves", half)
            if unknown := sorted({*half} - known):
                raise ValueError(f"halves name {', '.join(unknown)}, no model has such a codec; known: {sorted(known)}")
        return self

    def models_of(self, half: int | None) -> tuple[Model, ...]:
        """What pictures of a half (from 0 on) are compressed with for the labelers."""
        if not self.halves or half is None:
            return self.models
        return tuple(one for one in self.models if one.codec in self.halves[half])


def read_config(path: Path) -> Config:
    """Read a `corpus.toml`. Raises `InputError` that names every key that is wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(path, f"cannot be read as settings of a corpus: {error}") from error
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise InputError(path, f"{explain(error)}; correct it, or see the comments of a fresh one") from error


def explain(error: ValidationError) -> str:
    """What pydantic found wrong, in one line: where, what, and what stood there."""
    found = []
    for one in error.errors(include_url=False):
        where = ".".join(map(str, one["loc"])) or "the whole"
        # A database's settings may hold a password.
        hidden = isinstance(one["input"], dict | BaseModel) or one["loc"][:1] == ("database",)
        given = "" if hidden else f" (found {one['input']!r})"
        found.append(f"{where}: {one['msg'].removeprefix('Value error, ')}{given}")
    return "; ".join(found)


def write_toml(config: Config) -> str:
    """The file's text: every setting with a comment that says what it is."""
    lines = ["# A corpus of miscompressions; the defaults are those of SCLIC (Hofer and Böhme, ACM MM 2025).", ""]
    sections = ("about", "database", "images", "screening", "compress", "batches", "annotate")
    lines += _settings(config, leave=(*sections, "models"))
    for name in sections:
        lines += ["", f"[{name}]", *_settings(getattr(config, name))]
    fields = Model.model_fields
    lines += ["", "# Each model is a codec at a setting:"]
    lines += [f"# {name}: {field.description}" for name, field in fields.items()]
    for model in config.models:
        values = {name: getattr(model, name) for name in fields}
        lines += [
            "",
            "[[models]]",
            *(f"{name} = {_value(value)}" for name, value in values.items() if value is not None),
        ]
    return "\n".join(lines) + "\n"


def _settings(section: Section, leave: tuple[str, ...] = ()) -> list[str]:
    lines = []
    for name, field in type(section).model_fields.items():
        if name not in leave:
            lines += [f"# {field.description}", f"{name} = {_value(getattr(section, name))}"]
    return lines


def _value(value: Any) -> str:
    """TOML shares JSON's spelling of strings (but for DEL), numbers, booleans and arrays; tables are written inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(key)} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, tuple) and value and not isinstance(value[0], tuple) and sum(map(len, map(str, value))) > 80:
        return "[\n" + "".join(f"    {_value(one)},\n" for one in value) + "]"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
