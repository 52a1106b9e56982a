"""Describe both sides of a finding, each without the other, and ask whether the descriptions contradict each other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from miscomp.describe.base import DescribeError, Describer, clean
from miscomp.describe.crops import CropPair, crop_pair
from miscomp.describe.meter import Meter, Usage
from miscomp.describe.prompts import load_prompts
from miscomp.images import Pixels
from miscomp.records import Box

_MOST_BRACES = 16
_MOST_CHARACTERS = 20_000


class Verdict(StrEnum):
    """Whether the two sides mean the same, as far as a model can tell."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How descriptions are compared."""

    swap: bool = True
    """Ask twice, the second time in the other order. Verdicts that do not agree make `unsure`: models tend to prefer
    what comes first."""
    pictures: bool = False
    """Show both pictures with the comparing question too; without, only the descriptions are compared."""

    @property
    def requests(self) -> int:
        """Requests per finding, without repeated ones."""
        return 4 if self.swap else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model says about both sides of a finding. All texts are a model's: untrusted, one line each, cleaned."""

    before: str
    """Of the original."""
    after: str
    """Of the reconstruction."""
    verdict: Verdict
    what: str
    """What differs, `first` being the original; empty where nothing was said."""
    raw: tuple[str, ...]
    """The answers to the comparing question as they came, in order of the passes."""
    usage: Usage


def compare_finding(
    original: Pixels,
    reconstruction: Pixels,
    box: Box,
    describer: Describer,
    *,
    options: CompareOptions | None = None,
) -> Description:
    """Describe and compare one place of two pictures of the same size.

    Both sides get the same crop and the same question and neither request knows the other side. An answer that is not
    the JSON asked for is `unsure`, with its text kept in `raw`. Raises `DescribeError`, and with a `Meter` for a
    describer `BudgetSpent`.
    """
    return compare_crops(crop_pair(original, reconstruction, box), describer, options or CompareOptions())


def compare_crops(crops: CropPair, describer: Describer, options: CompareOptions) -> Description:
    """As `compare_finding`, for crops already cut out."""
    meter = describer if isinstance(describer, Meter) else Meter(describer)
    begin = meter.usage
    prompts = load_prompts()
    question = prompts.describe(crops.place, crops.window.w, crops.window.h)
    before = _described(meter, crops.original, question)
    after = _described(meter, crops.reconstruction, question)
    sides = [(before, crops.original), (after, crops.reconstruction)]
    answers = []
    for first, second in [sides, sides[::-1]][: 1 + options.swap]:
        shown = [first[1], second[1]] if options.pictures else []
        asked = prompts.compare(first[0], second[0], pictures=options.pictures)
        answers.append(meter.describe(shown, asked).text)
    verdicts, whats = zip(*map(parse_verdict, answers), strict=True)
    return Description(
        before=before,
        after=after,
        verdict=verdicts[0] if len(set(verdicts)) == 1 else Verdict.UNSURE,
        what=whats[0],
        raw=tuple(map(clean, answers)),
        usage=_since(begin, meter.usage),
    )


def _described(meter: Meter, crop: Pixels, question: str) -> str:
    text = clean(meter.describe([crop], question).text)
    if not text:
        raise DescribeError(meter.name, "described a picture with no text; try another model")
    return text


def parse_verdict(text: str) -> tuple[Verdict, str]:
    """Read `{"verdict": ..., "what": ...}`, also inside other text, such as a fence or thoughts that come before it.

    Anything else, and two such objects with different verdicts, are `unsure`. The last object says what differs.
    """
    said = []
    for found in _objects(text[-_MOST_CHARACTERS:]):
        verdict, what = found.get("verdict"), found.get("what", "")
        if isinstance(verdict, str) and verdict.strip().lower() in tuple(Verdict):
            said.append((Verdict(verdict.strip().lower()), clean(what) if isinstance(what, str) else ""))
    if len({verdict for verdict, _ in said}) != 1:
        return Verdict.UNSURE, ""
    return said[-1]


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that begin at the last braces, in order."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = len(text)
    for _ in range(_MOST_BRACES):
        start = text.rfind("{", 0, start)
        if start < 0:
            break
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        found.insert(0, value)
    return found


def _since(begin: Usage, end: Usage) -> Usage:
    return Usage(
        requests=end.requests - begin.requests,
        prompt_tokens=end.prompt_tokens - begin.prompt_tokens,
        completion_tokens=end.completion_tokens - begin.completion_tokens,
        uncounted=end.uncounted - begin.uncounted,
        seconds=end.seconds - begin.seconds,
    )
