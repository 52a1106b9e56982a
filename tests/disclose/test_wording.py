"""The words of a statement: complete in every language, bounded, and claiming no more than the record."""

from __future__ import annotations

import string
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miscomp.disclose.plates import font
from miscomp.disclose.statement import Codec, Coding, Detector, Picture, Place, Statement
from miscomp.disclose.wording import CAPTION_LIMIT, Phrases, languages, standing_note, words
from miscomp.errors import UnknownName

TABLES = tomllib.loads((files("miscomp.disclose") / "assets" / "wording.toml").read_text(encoding="utf-8"))
PLACES = (
    Place(x=1, y=2, w=8, h=9, category="SHAPE+AMPLITUDE", symbol=True, score=0.8),
    Place(x=20, y=2, w=8, h=9, category="GEOMETRY", score=0.4),
    Place(x=40, y=2, w=8, h=9),
)


def compared(**changes: object) -> Statement:
    values: dict[str, object] = {
        "codec": Codec(name="hific", kind=Coding.GENERATIVE),
        "picture": Picture(width=1234, height=567),
        "compared": True,
        "detector": Detector(name="fused", version="fused-1+0"),
        "findings": 3,
        "places": PLACES,
        "risk": 0.4235,
        "risk_form": "miscomp-risk-1",
    }
    return Statement.model_validate(values | changes)


def bare(kind: Coding = Coding.NEURAL, name: str = "lucid") -> Statement:
    return Statement(codec=Codec(name=name, kind=kind), picture=Picture(width=5, height=4), compared=False)


def test_english_and_german_are_there() -> None:
    assert languages()[0] == "en"
    assert "de" in languages()


@pytest.mark.parametrize("language", languages())
def test_every_language_has_every_key_with_the_same_placeholders(language: str) -> None:
    names = {
        key: sorted(string.Template(text).get_identifiers() if "$" in text else [])
        for key, text in TABLES["en"].items()
    }
    theirs = {
        key: sorted(string.Template(text).get_identifiers() if "$" in text else [])
        for key, text in TABLES[language].items()
    }
    assert theirs == names
    assert all(text.strip() and string.Template(text).is_valid() for text in TABLES[language].values())


@pytest.mark.parametrize("language", languages())
def test_every_letter_of_a_language_can_be_drawn(language: str) -> None:
    # Oracle: the font's picture of a code point that no font has.
    missing = bytes(font(20).getmask("\U0010fffd"))
    letters = sorted({letter for text in TABLES[language].values() for letter in text if not letter.isspace()})
    assert [letter for letter in letters if bytes(font(20).getmask(letter)) == missing] == []


def test_an_unknown_language_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownName, match="known: de, en"):
        words(bare(), "tlh")


def test_numbers_are_written_as_a_language_writes_them() -> None:
    english, german = Phrases("en"), Phrases("de")
    assert (english.number(1234567.891, 2), german.number(1234567.891, 2)) == ("1,234,567.89", "1.234.567,89")
    assert (english.share(0.9996), english.share(1.0)) == ("99%", "100%")
    assert (english.share(0.9512), german.share(0.9512)) == ("95%", "95\u00a0%")
    assert (english.positive(0.001), german.positive(0.001)) == ("below 0.01", "unter 0,01")
    assert english.positive(0) == "0.00"
    assert (english.date("2026-03-04T05:06:07Z"), german.date("2026-03-04T05:06:07Z")) == ("2026-03-04", "04.03.2026")


@pytest.mark.parametrize(
    ("language", "nothing", "unproven", "candidate"),
    [
        ("en", "Nothing was compared", "does not prove that nothing changed", "none is proven"),
        ("de", "Es wurde nichts verglichen", "beweist nicht, dass sich nichts geändert hat", "keine ist bewiesen"),
    ],
)
def test_what_is_not_known_is_said_plainly(language: str, nothing: str, unproven: str, candidate: str) -> None:
    said = "\n".join(words(bare(), language).paragraphs)
    assert nothing in said and unproven not in said
    said = "\n".join(words(compared(findings=0, places=(), risk=0.0), language).paragraphs)
    assert unproven in said and nothing not in said and candidate not in said
    said = "\n".join(words(compared(), language).paragraphs)
    assert candidate in said and unproven not in said


@pytest.mark.parametrize(("language", "nothing", "none"), [("en", "ot compared", "prove"), ("de", "icht", "beweis")])
def test_the_short_texts_tell_nothing_found_from_nothing_compared(language: str, nothing: str, none: str) -> None:
    some, clean, blind = (
        words(statement, language) for statement in (compared(), compared(findings=0, places=(), risk=0.0), bare())
    )
    assert "3" in some.caption and "0" not in clean.caption + clean.detail + clean.mark[1]
    assert none in clean.caption.lower() and none in clean.detail.lower()
    assert nothing in blind.caption and nothing in blind.detail and nothing in blind.mark[1]
    assert len({one.detail for one in (some, clean, blind)}) == len({one.mark[1] for one in (some, clean, blind)}) == 3


def test_the_paragraphs_count_what_is_listed() -> None:
    said = "\n".join(words(compared(findings=812)).paragraphs)
    assert "may have changed: 812." in said
    assert "positions: 3; of these on letters, digits or other signs: 1." in said
    assert "colour: 0; position: 1; shape: 1; not named: 1." in said
    assert "Risk figure: 0.42, on a scale from 0 to 1 (definition miscomp-risk-1)" in said
    assert "not a probability" in said


def test_error_rates_are_given_with_what_they_were_measured_on_or_said_to_be_unknown() -> None:
    rates = Detector(name="a", recall=0.5, false_per_image=1.25, measured_on="nine pictures")
    said = "\n".join(words(compared(detector=rates), "de").paragraphs)
    assert "fand das Programm 50\u00a0%" in said and "im Mittel: 1,25." in said and "nine pictures" in said
    assert "ist nicht bekannt" not in said.splitlines()[-1]
    said = "\n".join(words(compared()).paragraphs)
    assert "How often this program misses a change" in said


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", Coding)
def test_each_kind_of_codec_has_its_own_title_and_label(language: str, kind: Coding) -> None:
    others = [words(bare(other), language) for other in Coding if other != kind]
    said = words(bare(kind), language)
    assert said.title not in {other.title for other in others}
    assert said.label not in {other.label for other in others}


def test_hidden_characters_of_a_stranger_are_shown() -> None:
    said = words(bare(name="jpeg\u202egepj\n"))
    assert "⟨U+202E⟩" in said.caption and "⟨U+000A⟩" in said.caption
    assert "\u202e" not in "".join((said.caption, *said.paragraphs))


@settings(max_examples=60)
@given(
    st.sampled_from(languages()),
    st.sampled_from(list(Coding)),
    st.text(max_size=300),
    st.none() | st.floats(1e-9, 1e12),
    st.none() | st.integers(0, 10**12),
)
def test_captions_are_one_short_line(
    language: str, kind: Coding, name: str, bpp: float | None, findings: int | None
) -> None:
    codec = Codec(name=name, kind=kind)
    if findings is None:
        statement = Statement(codec=codec, picture=Picture(width=5, height=4), compared=False, bpp=bpp)
    else:
        statement = compared(codec=codec, bpp=bpp, findings=findings, places=(), risk=1e-9)
    said = words(statement, language)
    assert len(said.caption) <= CAPTION_LIMIT
    assert "\n" not in said.caption
    assert all(said.paragraphs) and said.title and said.label and said.detail and all(said.mark)


def test_the_notes_that_this_project_writes_are_shown_in_the_readers_language() -> None:
    said = bare().model_copy(update={"note": f"{standing_note('by_hand')} Mine. {standing_note('marked')}"})
    assert words(said, "en").paragraphs[-1] == f"Note: {said.note}"
    german = words(said, "de").paragraphs[-1]
    assert german.startswith("Anmerkung: Der Codec wurde von Hand genannt") and " Mine. In diese Kopie" in german
