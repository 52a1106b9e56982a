"""The questions, read from `prompts.toml`, and the version that results carry."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from miscomp.records import Box

_FILE = Path(__file__).with_name("prompts.toml")


@dataclass(frozen=True, slots=True)
class Prompts:
    """The templates of all questions."""

    version: str
    """First 12 hex digits of the SHA-256 of the file."""
    templates: dict[str, str]

    def describe(self, place: Box, width: int, height: int) -> str:
        """The question about one picture of `width` x `height`; `place` is the box inside it, in its pixels."""
        return self._filled(
            "describe",
            left=str(round(100 * place.x / width)),
            right=str(round(100 * place.right / width)),
            top=str(round(100 * place.y / height)),
            bottom=str(round(100 * place.bottom / height)),
        )

    def compare(self, first: str, second: str, *, pictures: bool) -> str:
        """The question about two descriptions. They are quoted, so that their text cannot pose as the question's."""
        name = "compare_pictures" if pictures else "compare"
        return self._filled(
            name, first=json.dumps(first, ensure_ascii=False), second=json.dumps(second, ensure_ascii=False)
        )

    def _filled(self, name: str, **values: str) -> str:
        return Template(self.templates[name]).substitute(values).strip()


@cache
def load_prompts() -> Prompts:
    """The questions of this version of miscomp."""
    content = _FILE.read_bytes()
    templates = tomllib.loads(content.decode("utf-8"))
    return Prompts(hashlib.sha256(content).hexdigest()[:12], templates)
