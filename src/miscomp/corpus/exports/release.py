"""An export as it is being written: its folder, what goes into it and where pictures lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from miscomp.corpus.corpus import original_file, reconstruction_file, stream_file
from miscomp.corpus.entries import Reconstruction
from miscomp.corpus.exports.snapshot import Snapshot
from miscomp.folders import write_text

IMAGES = "images"
"""Below it lie `originals/ab/`, `reconstructions/MODEL/ab/` and `streams/MODEL/ab/`, as in the corpus."""

Pixels = Literal["none", "link", "copy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is asked for."""

    formats: tuple[str, ...] = ()
    """Names of `EXPORTS`; empty: all that hold no pictures of their own."""
    images: Pixels = "none"
    streams: bool = False
    """With the pictures the compressed files."""
    labelers: bool = False
    """By name; else by a pseudonym that is the same in every export of the corpus."""
    names: bool = False
    """Publish what photographs' files were called before they were added."""
    force: bool = False

    def settings(self, snapshot: Snapshot) -> dict[str, Any]:
        """What decides an export's content."""
        return {
            "corpus": snapshot.corpus,
            "corpus_version": snapshot.config.about.version,
            "state": snapshot.state,
            "formats": list(self.formats),
            "images": self.images,
            "streams": self.streams,
            "labelers": "keep" if self.labelers else "hide",
            "names": "keep" if self.names else "hide",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Where a format writes, and from what."""

    folder: Path
    snapshot: Snapshot
    options: ExportOptions
    made: list[str] = field(default_factory=list)
    """Names of the files that were written, pictures left out."""

    def write(self, name: str, text: str, *, keep: bool = False) -> None:
        """Write a file in one step; with `keep` one that is there already stays, as people fill it in."""
        path = self.at(name)
        if not (keep and path.exists()):
            write_text(path, text)

    def at(self, name: str) -> Path:
        """Where a file is to be written that belongs to the export; its folder is made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.made.append(name)
        return path


def published_original(image_sha1: str) -> str:
    """Name of a photograph's file, from the export's folder on."""
    return f"{IMAGES}/{original_file(image_sha1)}"


def published_reconstruction(image_sha1: str, model: str) -> str:
    """Name of a reconstruction's file."""
    return f"{IMAGES}/{reconstruction_file(image_sha1, model)}"


def published_stream(row: Reconstruction) -> str:
    """Name of a compressed file."""
    return f"{IMAGES}/{stream_file(row.image_sha1, row.model, Path(row.stream_file).suffix)}"
