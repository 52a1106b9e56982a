"""`SHA256SUMS`, as `sha256sum -c` reads it. It is written last: a folder without it is no whole export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from miscomp.folders import file_sha256, write_text

SUMS = "SHA256SUMS"


def write_sums(folder: Path, placed: Mapping[str, str], made: Mapping[str, str]) -> int:
    """Write the sums of pictures, as they were checked on their way, and of the other files; returns how many."""
    sums = {**placed, **made}
    write_text(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))
    return len(sums)


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files, by name."""
    return {name: file_sha256(folder / name) for name in names}
