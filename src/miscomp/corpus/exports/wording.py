"""Text that is not ours in files for people and programs: Markdown, YAML, addresses of licences."""

from __future__ import annotations

import json
import re
import unicodedata

_SPDX = re.compile(
    r"CC0-1\.0|CC-BY(-NC)?(-SA|-ND)?-[1-4]\.0|PDDL-1\.0|ODbL-1\.0|ODC-By-1\.0|MIT|Apache-2\.0|BSD-[23]-Clause"
    r"|CDLA-(Permissive|Sharing)-1\.0|CDLA-Permissive-2\.0",
)
"""Identifiers that images and tables are published under; another text is passed on as it is."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!$])")
_FIRST = re.compile(r"^([-+=:])")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def plain(text: str) -> str:
    """One line in which nothing is hidden: every character that does not show is written as `⟨U+202E⟩`."""
    return "".join(
        one if one.isprintable() or unicodedata.category(one) == "Zs" else f"⟨U+{ord(one):04X}⟩" for one in text
    )


def markdown(text: str) -> str:
    """Text that Markdown and the HTML in it show as it is, in a line, a list or a table's cell."""
    shown = _SPECIAL.sub(r"\\\1", plain(" ".join(text.split())))
    shown = _NUMBERED.sub(r"\1\\\2", _FIRST.sub(r"\\\1", shown))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def yaml(text: str) -> str:
    """A quoted text of YAML; JSON's spelling is one."""
    return json.dumps(plain(" ".join(text.split())), ensure_ascii=False)


def licence_url(licence: str) -> str:
    """The address of a licence that has an SPDX identifier, an address as it is; empty for others."""
    if _SPDX.fullmatch(licence):
        return f"https://spdx.org/licenses/{licence}.html"
    return licence if re.fullmatch(r"https?://[^\s<>\"]+", licence) else ""


def is_spdx(licence: str) -> bool:
    """Whether it is an identifier that is known here."""
    return bool(_SPDX.fullmatch(licence))


def size_category(size: int) -> str:
    """The size category of a dataset card: `10K<n<100K`."""
    steps = ((1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"), (10_000_000, "10M"))
    below = ""
    for step, word in steps:
        if size < step:
            return f"{below}<n<{word}" if below else f"n<{word}"
        below = word
    return f"n>{below}"
