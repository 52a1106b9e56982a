"""Which files under the named sources are pictures to be taken in, and what was passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from miscomp.errors import InputError, UsageError
from miscomp.images import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a picture."""

    path: Path
    name: str
    """From the named folder on, with slashes; of a file named directly, its own name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the sources hold."""

    files: tuple[Found, ...]
    problems: tuple[InputError, ...]
    """Sources that are missing, cannot be read or hold no picture."""
    passed_over: Mapping[str, int]
    """Files whose suffix is no picture's, and links to folders: how many of each. Hidden ones are not counted."""


@dataclass(slots=True)
class _Walk:
    corpus: Path
    recursive: bool
    files: dict[Path, Found] = field(default_factory=dict)
    problems: list[InputError] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def find_pictures(sources: Sequence[Path], corpus: Path, *, recursive: bool = True) -> Listing:
    """Files with a known suffix, in the order of the sources and then of their names; each once.

    A file that is named directly may have any suffix. Hidden files and folders are left alone, and so is the corpus'
    own folder; a source inside it raises `UsageError`. Links to folders are not followed.
    """
    walk = _Walk(_real(corpus), recursive)
    for source in sources:
        if _real(source).is_relative_to(walk.corpus):
            raise UsageError(f"{source} lies inside the corpus {corpus}; name the folder that your photographs are in")
        if not os.path.lexists(source):
            # A mistyped name is nobody's photograph: it is told, and not recorded.
            walk.problems.append(InputError(source, "does not exist; check the name"))
            continue
        if not source.is_dir():
            walk.files.setdefault(_real(source), Found(source, source.name))
            continue
        before = len(walk.files), len(walk.problems)
        _search(source, walk)
        if before == (len(walk.files), len(walk.problems)):
            wanted = ", ".join(IMAGE_SUFFIXES)
            walk.problems.append(InputError(source, f"holds no further picture; files ending in {wanted} are taken"))
    return Listing(tuple(walk.files.values()), tuple(walk.problems), dict(sorted(walk.passed_over.items())))


def _search(source: Path, walk: _Walk) -> None:
    def refused(error: OSError) -> None:
        walk.problems.append(InputError(error.filename or source, f"cannot be listed: {error.strerror}"))

    found: list[Found] = []
    for folder, folders, files in os.walk(source, onerror=refused):
        here = Path(folder)
        inside = [name for name in folders if not name.startswith(".")] if walk.recursive else []
        links = [name for name in inside if (here / name).is_symlink()]
        walk.passed_over["linked folder"] += len(links)
        folders[:] = [name for name in inside if name not in links and _real(here / name) != walk.corpus]
        for name in files:
            path = here / name
            if name.startswith("."):
                continue
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found.append(Found(path, path.relative_to(source).as_posix()))
            else:
                walk.passed_over[path.suffix.lower() or "without suffix"] += 1
    walk.passed_over += Counter()  # drops zeros
    for one in sorted(found, key=lambda one: one.name):
        walk.files.setdefault(_real(one.path), one)


def _real(path: Path) -> Path:
    # `Path.resolve` raises for links that lead in a circle.
    return Path(os.path.realpath(path))
