"""Where statements come from: an audit's folder, a compressed file, or a codec that somebody names.

Each is bound to pixels, by their hash: it does not fit another picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.spec import parse_spec
from miscomp.disclose.kinds import KINDS, kind_of
from miscomp.disclose.known import describe_detector
from miscomp.disclose.risk import RISK_FORM, risk
from miscomp.disclose.statement import MAX_PLACES, Codec, Coding, Picture, Place, Statement, to_json
from miscomp.disclose.wording import standing_note
from miscomp.errors import InputError, UsageError
from miscomp.images import Pixels, pixel_sha256, read
from miscomp.records import GIVEN, Annotation, ModelRow, PairResult
from miscomp.report.run import Run, read_json
from miscomp.tables import read as read_table

_NAME_LIMIT = 200
"""Characters of a file's name that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which result of an audit is meant; what is empty is not asked for."""

    image: str = ""
    """The original's file name or SHA-1."""
    model: str = ""
    """As the report names it: `lucid@0.25bpp`, `given`."""
    pixels: Pixels | None = None
    """Of the reconstruction: only results for exactly these pixels will do."""


def from_audit(
    folder: Path, wanted: Wanted | None = None, *, codec: Codec | None = None, stated: str = ""
) -> Statement:
    """What an audit found in one reconstruction; for several, read the `Audit` once.

    `codec` says what made the reconstruction where the audit does not know it (`given`). Raises `InputError` for a
    damaged report, or where its picture is missing or is not of the size in the report, and `UsageError` where no
    result fits, or several do: a statement is about one picture.
    """
    audit = Audit(folder)
    return audit.statement(audit.find(wanted or Wanted()), codec=codec, stated=stated)


class Audit:
    """An audit's folder: the report is read once, and each reconstruction is decoded at most once."""

    def __init__(self, folder: Path, run: Run | None = None) -> None:
        """`run`: the report, where it is read already. Raises `InputError` for a damaged one."""
        self.folder = folder
        self.run = read_json(folder / "report.json") if run is None else run
        self._pictures: dict[str, Picture] = {}
        self._codecs: dict[str, Codec] = {}

    def statement(self, result: PairResult, *, codec: Codec | None = None, stated: str = "") -> Statement:
        """The statement on one of its results; raises as `from_audit` does."""
        row, run = result.row, self.run
        if codec is not None and row.model != GIVEN:
            raise UsageError(f"the audit says that {row.model} made the picture; leave the codec out")
        findings = [finding.annotation for finding in result.findings]
        try:
            # Of equal scores the report's order decides.
            places = sorted(map(_place, findings), key=lambda one: -(one.score or 0.0))
            return Statement(
                codec=codec or self._codec(row.model),
                picture=self._picture(result),
                bpp=row.bpp,
                stated=stated,
                compared=True,
                detector=describe_detector(_text(run.settings, "detect.detector"), run.detector, run.settings),
                findings=len(places),
                places=tuple(places[:MAX_PLACES]),
                risk=risk(places, width=row.width, height=row.height),
                risk_form=RISK_FORM,
                note=standing_note("by_hand") if codec is not None else "",
            )
        except ValidationError as error:
            raise _unfit(self.folder / "report.json", error) from error

    def find(self, wanted: Wanted) -> PairResult:
        """The one result that is meant. Raises `UsageError` where none fits, or several that say different things."""
        found: Sequence[PairResult] = [
            one
            for one in self.run.results
            if wanted.image in ("", one.row.filename, one.row.image_sha1) and wanted.model in ("", one.row.model)
        ]
        if wanted.pixels is not None:
            asked = picture_of(wanted.pixels)
            same_size = [one for one in found if (one.row.width, one.row.height) == (asked.width, asked.height)]
            found = [one for one in same_size if self._picture(one) == asked]
        # Of the same picture under several names, each result says the same.
        if len(found) == 1 or (wanted.pixels is not None and len({to_json(self.statement(one)) for one in found}) == 1):
            return found[0]
        where = self.folder / "report.json"
        if found:
            raise UsageError(f"{where} has several results that fit ({_listed(found)}); name the image and the model")
        pixels = "" if wanted.pixels is None else "exactly these pixels"
        meant = " and ".join(filter(None, (wanted.image, wanted.model, pixels)))
        hint = "; if the picture was only saved again since, give --resaved" if pixels else ""
        raise UsageError(
            f"{where} has no result{f' for {meant}' if meant else ''}; it has {_listed(self.run.results)}{hint}"
        )

    def _picture(self, result: PairResult) -> Picture:
        name = result.reconstruction_file
        if name not in self._pictures:
            self._pictures[name] = _picture(self.folder, result)
        return self._pictures[name]

    def _codec(self, model: str) -> Codec:
        if model not in self._codecs:
            self._codecs[model] = _codec_of(self.folder, model)
        return self._codecs[model]


def from_codec(codec: Codec, pixels: Pixels, *, stated: str = "") -> Statement:
    """Nothing but which codec made these pixels; nothing was compared."""
    note = standing_note("by_hand")
    return Statement(codec=codec, picture=picture_of(pixels), compared=False, stated=stated, note=note)


def named_codec(text: str, kind: Coding | None = None) -> Codec:
    """A codec as a user names it: `hific`, `hific@q2`, or with `kind` any other.

    Of weights in a file of the user's only the name is kept, not the folder. Raises `UnknownName` for a name that is
    not in the registry where no kind is given, and `UsageError` for a setting that the codec does not have, or for a
    kind that contradicts the registry's.
    """
    name, at, _ = text.partition("@")
    if kind is not None and name not in CODECS:
        if not text or len(text) > 300:
            raise UsageError(f"a codec's name has 1 to 300 characters, got {len(text)}")
        return Codec(name=text, kind=kind)
    known = kind_of(name)
    if kind not in (None, known):
        raise UsageError(f"{name} is {known} by this project's table, not {kind}; leave the kind out")
    spec = parse_spec(text)
    return Codec(name=name, kind=known, setting=_public(spec.setting) if at else "", seed=spec.seed)


def picture_of(pixels: Pixels) -> Picture:
    """Size and hash of a picture."""
    height, width = pixels.shape[:2]
    return Picture(width=width, height=height, pixel_sha256=pixel_sha256(pixels))


def _listed(results: Sequence[PairResult]) -> str:
    names = [f"{one.row.filename} by {one.row.model}" for one in results]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return (", ".join(names[:10]) + more) or "none"


def _place(found: Annotation) -> Place:
    box = found.box
    return Place(x=box.x, y=box.y, w=box.w, h=box.h, category=found.category, symbol=found.symbol, score=found.score)


def _picture(folder: Path, result: PairResult) -> Picture:
    path = folder / result.reconstruction_file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(path, f"lies outside the report's folder {folder}; pictures are named relative to it")
    row = result.row
    picture = picture_of(read(path, max_megapixels=row.width * row.height / 1e6 + 0.001).pixels)
    if (picture.width, picture.height) != (row.width, row.height):
        found = f"{picture.width} x {picture.height} pixels, the report says {row.width} x {row.height}"
        raise InputError(path, f"has {found}; make the audit again")
    return picture


def _codec_of(folder: Path, model: str) -> Codec:
    """What `models.csv` says about a model; its name and setting alone where the table is not there."""
    if model == GIVEN:
        return Codec(name="", kind=Coding.UNKNOWN)
    table = folder / "models.csv"
    rows = [row for row in read_table(table, ModelRow) if row.model == model] if table.is_file() else []
    if not rows:
        return named_codec(model)
    row = rows[0]
    # A newer release may have codecs that this one does not know; the table says so much, and no more is claimed.
    kind = KINDS.get(row.codec, Coding.UNKNOWN)
    setting = _public(row.setting)
    version, seed = row.version, row.seed
    return Codec(
        name=row.codec, kind=kind, version=version, weights_sha256=row.weights_sha256, setting=setting, seed=seed
    )


def _public(setting: str) -> str:
    """A setting without the folder of a user's own weights, which says more than a picture should."""
    before, mark, path = setting.partition("file:")
    return before + mark + path.replace("\\", "/").rpartition("/")[2][-_NAME_LIMIT:] if mark else setting


def _text(settings: Any, name: str) -> str:
    value = settings.get(name, "")
    return value if isinstance(value, str) else ""


def _unfit(where: Path, error: ValidationError) -> InputError:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the whole"
    return InputError(where, f"does not make a statement: {place}: {first['msg']}; make the audit again")
