"""A statement in plain words, in each language of `assets/wording.toml`.

The words claim no more than the record: what was found are candidates, finding none proves nothing, and what was not
looked at is said to be unknown. Texts in a statement may come from strangers: hidden characters are made visible.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

from miscomp.disclose.statement import Detector, Statement
from miscomp.errors import UnknownName
from miscomp.report.wording import one_line
from miscomp.taxonomy import Category, split_categories

_UNKNOWN = "\u2013"
CAPTION_LIMIT = 200
"""Characters of a caption."""
_NAME_LIMIT = 30
"""Characters of a codec's name within a caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a statement says, in one language; plain text without markup, whoever shows it escapes it."""

    title: str
    caption: str
    """One line of at most 200 characters."""
    paragraphs: tuple[str, ...]
    """What was done, what was compared, what was found, what is not known."""
    label: str
    """A few words that can stand on a picture."""
    detail: str
    """A second line for it."""
    mark: tuple[str, str]
    """Two lines that are shorter still."""


def languages() -> tuple[str, ...]:
    """Codes of the languages that there are, English first."""
    return tuple(_tables())


def words(statement: Statement, language: str = "en") -> Words:
    """The words for a statement. Raises `UnknownName` for a language that there is not."""
    say = Phrases(language)
    kind = statement.codec.kind.value
    parts = (_done(statement, say), _compared(statement, say), _found(statement, say), _unknown(statement, say))
    note = [say("note", note=one_line(_translated(statement.note, say)))] if statement.note else []
    return Words(
        title=say(f"title_{kind}"),
        caption=_caption(statement, say),
        paragraphs=(*filter(None, (" ".join(part) for part in parts)), *note),
        label=say(f"label_{kind}"),
        detail=_result("detail", statement, say),
        mark=(say(f"kind_{kind}"), _result("mark", statement, say)),
    )


def standing_note(name: str) -> str:
    """What the record's note says of `by_hand`, `resaved` or `marked`: English, whatever the captions are in."""
    return _tables()["en"][f"note_{name}"]


def _translated(note: str, say: Phrases) -> str:
    for key, text in _tables()["en"].items():
        if key.startswith("note_"):
            note = note.replace(text, say(key))
    return note


class Phrases:
    """The texts of one language. Raises `UnknownName` where there is no such language."""

    def __init__(self, language: str) -> None:
        if language not in _tables():
            raise UnknownName("language", language, _tables())
        self._texts = _tables()[language]

    def __call__(self, key: str, **values: str) -> str:
        return Template(self._texts[key]).substitute(values)

    def number(self, value: float, digits: int) -> str:
        """A number with fixed digits and the language's separators."""
        whole, _, rest = f"{value:,.{digits}f}".partition(".")
        whole = whole.replace(",", self._texts["thousands"])
        return f"{whole}{self._texts['decimal']}{rest}" if rest else whole

    def count(self, value: int) -> str:
        """A whole number."""
        return self.number(value, 0)

    def positive(self, value: float, digits: int = 2) -> str:
        """A number above zero; what would be rounded to zero is said to be below the last digit."""
        least = 10.0**-digits
        if 0 < value < least / 2:
            return self("below", value=self.number(least, digits))
        return self.number(value, digits)

    def share(self, value: float) -> str:
        """A share of 1 in percent; what is not all of it is never said to be."""
        return self("percent", value=self.number(100 * value if value == 1 else min(100 * value, 99), 0))

    def date(self, time: str) -> str:
        """The day of an ISO time."""
        year, month, day = time[:10].split("-")
        return self("date", year=year, month=month, day=day)


def _caption(statement: Statement, say: Phrases) -> str:
    name = one_line(statement.codec.name)
    short = name if len(name) <= _NAME_LIMIT else name[: _NAME_LIMIT - 1] + "…"
    kind = say(f"kind_{statement.codec.kind.value}")
    begin = say("caption_codec", codec=short, kind=kind) if name else say("caption_no_codec")
    # A rate that no codec has would only make the caption long; the paragraphs have it.
    if statement.bpp is not None and statement.bpp < 1000:
        begin += say("caption_rate", bpp=say.positive(statement.bpp))
    return f"{begin}. {_result('caption', statement, say)}"


def _result(prefix: str, statement: Statement, say: Phrases) -> str:
    """The outcome of the comparison in a few words: `caption`, `detail` or `mark`."""
    if not statement.compared:
        return say(f"{prefix}_not_compared")
    if not statement.findings:
        return say(f"{prefix}_none")
    # A figure that nobody gave is shown as a dash.
    risk = _UNKNOWN if statement.risk is None else say.positive(statement.risk)
    return say(f"{prefix}_found", findings=say.count(statement.findings), risk=risk)


def _done(statement: Statement, say: Phrases) -> list[str]:
    codec = statement.codec
    found = [say("done_codec", codec=one_line(codec.name)) if codec.name else say("done_no_codec")]
    found.append(say(f"done_{codec.kind.value}"))
    if codec.version:
        found.append(say("done_version", version=one_line(codec.version)))
    if codec.setting:
        found.append(say("done_setting", setting=one_line(codec.setting)))
    if codec.seed is not None:
        found.append(say("done_seed", seed=str(codec.seed)))
    bpp = statement.bpp
    found.append(say("done_no_rate") if bpp is None else say("done_rate", bpp=say.positive(bpp, 3)))
    if statement.coded:
        found.append(say("done_coded", date=say.date(statement.coded)))
    return found


def _compared(statement: Statement, say: Phrases) -> list[str]:
    detector = statement.detector
    if not statement.compared or detector is None:
        return [say("compared_no")]
    # Versions of this project's detectors begin with the detector's name.
    named = detector.version.startswith(detector.name)
    name = one_line(detector.version if named else f"{detector.name} {detector.version}".strip())
    return [say("compared_yes", detector=name or _UNKNOWN)]


def _found(statement: Statement, say: Phrases) -> list[str]:
    if not statement.compared:
        return []
    form = one_line(statement.risk_form) or _UNKNOWN
    if not statement.findings:
        return [say("found_none"), *([] if statement.risk is None else [say("risk_none", form=form)])]
    found = [say("found_some", findings=say.count(statement.findings))]
    if statement.places:
        symbols = sum(place.symbol for place in statement.places)
        found.append(say("found_listed", listed=say.count(len(statement.places)), symbols=say.count(symbols)))
        found.append(_kinds(statement, say))
    if statement.risk is not None:
        found.append(say("risk", risk=say.positive(statement.risk), form=form))
    return found


def _kinds(statement: Statement, say: Phrases) -> str:
    """How many of the listed places have which main category."""
    main = [split_categories(place.category)[:1] for place in statement.places]
    counts = {kind.value.lower(): say.count(main.count((kind,))) for kind in Category}
    return say("found_kinds", unnamed=say.count(main.count(())), **counts)


def _unknown(statement: Statement, say: Phrases) -> list[str]:
    rates = [] if statement.detector is None else _rates(statement.detector, say)
    return [*rates, say("limits")]


def _rates(detector: Detector, say: Phrases) -> list[str]:
    known = []
    if detector.recall is not None:
        known.append(say("rates_recall", recall=say.share(detector.recall)))
    if detector.false_per_image is not None:
        known.append(say("rates_false", false=say.positive(detector.false_per_image)))
    if not known:
        return [say("rates_unknown")]
    if detector.measured_on:
        known.append(say("rates_on", measured=one_line(detector.measured_on)))
    return [*known, say("rates_limit")]


@cache
def _tables() -> Mapping[str, Mapping[str, str]]:
    path = files("miscomp.disclose") / "assets" / "wording.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))
