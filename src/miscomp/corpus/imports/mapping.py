"""What a release's columns, models and folders are called: `assets/import_mapping.toml`, which users may edit."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from miscomp.corpus.config import Name, Section, explain
from miscomp.errors import InputError, UsageError
from miscomp.folders import write_text
from miscomp.records import Annotation, View
from miscomp.taxonomy import Origin

MAX_MAPPING_BYTES = 2**20
_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")
_IMAGE_FIELDS = ("width", "height", "source", "bpp", "psnr", "ssim", "ms_ssim", "annotations", "multi", "viewed")
_PAIR = ("filename", "image_sha1", "model", "rate")
FIELDS: dict[str, tuple[str, ...]] = {
    "annotations": (*_PAIR, *(name for name in Annotation.__dataclass_fields__ if name not in _PAIR)),
    "images": (*_PAIR, *_IMAGE_FIELDS),
    "sources": (
        *("filename", "image_sha1", "pixel_sha256", "width", "height"),
        *("source", "licence", "split", "name", "removed"),
    ),
    "views": (*_PAIR, *(name for name in View.__dataclass_fields__ if name not in _PAIR)),
}
"""What each kind of table may have; the mapping gives the headers for them."""


def plain(text: str) -> str:
    """A header's or model's name without what is not compared: capitals and all but letters and digits."""
    return "".join(character for character in text.casefold() if character.isalnum())


def _pattern(text: str) -> str:
    if unknown := sorted({*_PLACEHOLDER.findall(text)} - {"{model}", "{ab}", "{sha1}", "{ext}"}):
        raise ValueError(f"knows no {', '.join(unknown)}; there are {{model}}, {{ab}}, {{sha1}} and {{ext}}")
    if "{sha1}" not in text:
        raise ValueError("needs {sha1} in it")
    return _inside(text)


def _inside(text: str) -> str:
    if not text or text.startswith(("/", "\\")) or ":" in text or ".." in re.split(r"[/\\]", text) or "\0" in text:
        raise ValueError("must be a path from the release's folder on that stays in it")
    return text


def _extension(text: str) -> str:
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,16}", text):
        raise ValueError("must be a dot and up to 16 letters or digits")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Inside = Annotated[str, AfterValidator(_inside)]
Extension = Annotated[str, AfterValidator(_extension)]
Headers = dict[str, tuple[str, ...]]


class Values(Section):
    """How tables write yes, no and nothing, in lower case."""

    yes: tuple[str, ...]
    no: tuple[str, ...]
    missing: tuple[str, ...]


class Defaults(Section):
    """What stands where a release has no column for it."""

    labeler: Name
    origin: Origin
    licence: str = ""
    split: str = ""
    time: str = Field(default="", pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z)?$")


class Files(Section):
    """Where a release's pictures lie."""

    originals: tuple[Pattern, ...]
    reconstructions: tuple[Pattern, ...]
    compressed: tuple[Pattern, ...]
    extensions: tuple[Extension, ...]
    sha1_is_content: bool = True


class ModelNames(Section):
    """A model of a release, and how it may be spelled."""

    codec: Name
    codec_names: tuple[str, ...] = Field(min_length=1)
    setting: str = ""
    target_bpp: float | None = Field(default=None, gt=0, le=100)
    aliases: tuple[str, ...] = ()
    folders: tuple[Inside, ...] = ()


class Stated(Section):
    """What its authors say is in a release."""

    about: str
    annotations: int | None = None
    images: int | None = None
    annotations_by_model: dict[str, int] = Field(default_factory=dict)
    viewed_by_model: dict[str, int] = Field(default_factory=dict)


class Mapping(Section):
    """A whole mapping."""

    annotations: Headers
    images: Headers
    views: Headers
    sources: Headers
    values: Values
    defaults: Defaults
    files: Files
    models: dict[Name, ModelNames]
    stated: Stated | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        for role, known in FIELDS.items():
            if unknown := sorted({*self.headers(role)} - {*known}):
                raise ValueError(f"[{role}] has {', '.join(unknown)}; a table can have: {', '.join(known)}")
            _need_one_meaning(role, self.headers(role))
        _need_one_meaning("models", {name: (name, *one.aliases) for name, one in self.models.items()})
        return self

    def headers(self, role: str) -> Headers:
        """The accepted headers of a kind of table, by field."""
        found: Headers = getattr(self, role)
        return found


def _need_one_meaning(where: str, names: Headers) -> None:
    meaning: dict[str, str] = {}
    for name, accepted in names.items():
        for one in accepted:
            if not plain(one):
                raise ValueError(f"[{where}] {name}: {one!r} has no letter or digit to compare")
            if meaning.setdefault(plain(one), name) != name:
                raise ValueError(f"[{where}] takes {one!r} for both {meaning[plain(one)]} and {name}; remove one")


def default_text() -> str:
    """The mapping for the published release, with its comments."""
    return (files("miscomp.corpus") / "assets" / "import_mapping.toml").read_text(encoding="utf-8")


def write_mapping(path: Path) -> None:
    """Write the default mapping for editing. Raises `UsageError` where a file is there already."""
    if path.exists():
        raise UsageError(f"{path} exists and is not overwritten; choose another name, or remove it")
    try:
        write_text(path, default_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error}; check the folder, its permissions and space") from error


def read_mapping(path: Path | None = None) -> Mapping:
    """The mapping in a file, or the default. Raises `InputError` that names every key that is wrong."""
    where: Path | str = path or "import_mapping.toml"
    try:
        if path is None:
            text = default_text()
        else:
            with path.open("rb") as file:
                content = file.read(MAX_MAPPING_BYTES + 1)
            if len(content) > MAX_MAPPING_BYTES:
                raise InputError(
                    where, f"has more than {MAX_MAPPING_BYTES} bytes; a mapping is a few kilobytes of TOML"
                )
            text = content.decode()
        return Mapping.model_validate(tomllib.loads(text))
    except ValidationError as error:
        problem = f"{explain(error)}; correct it, or write a fresh one with --write-mapping"
        raise InputError(where, problem) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(where, f"cannot be read as a mapping: {error}; it must be TOML") from error
