"""The folder of an audit: settings that must not change under it, and one finished folder per pair.

    settings.json                  what the audit was asked for; another request needs another folder
    originals/<hash>.png           the originals as audited, once for all their reconstructions
    pairs/<key>/                   pair.json (a report of one pair), reconstruction.png, change.png, stream.*

A pair's folder is filled under another name and renamed when complete, so a killed run leaves whole pairs or
none. What is no longer asked for stays until the folder is started anew. Names are hashes only: no text of a
user's reaches the file system.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image

from miscomp.errors import InputError
from miscomp.folders import ResultsFolder
from miscomp.images import Picture, write_png
from miscomp.pairs import Pair
from miscomp.records import ImageRow, PairResult
from miscomp.report.run import DISCLOSED, Run, read_json, write_json

if TYPE_CHECKING:
    from miscomp.audit.examine import PairFindings

WRITTEN = (
    "annotations.csv",
    "images.csv",
    "models.csv",
    "report.json",
    "report.html",
    "timings.json",
    "descriptions.json",
)
"""Files that an audit writes at its end, beside the settings, and what `miscomp describe` adds to them."""

_FOLDERS = ("pairs", "originals", "report_files", DISCLOSED)
_UNFINISHED = ".unfinished-"


def pair_key(identity: Mapping[str, str]) -> str:
    """Name of a pair's folder: 32 hex digits over everything that decides what is in it."""
    text = json.dumps(dict(identity), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AuditFolder(ResultsFolder):
    """One audit's folder; several processes may save pairs in it, one at a time may own it."""

    kind: ClassVar[str] = "audit"

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Create the folder, or go on in one made with the same settings; with `force`, start anew in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the
        pairs and reports of an earlier audit and nothing else.
        """
        try:
            if force:
                self._clear()
            elif self.path.is_dir():
                self.check_settings(settings)
            (self.path / "pairs").mkdir(parents=True, exist_ok=True)
            (self.path / "originals").mkdir(exist_ok=True)
            self.write_settings(settings)
            self.clean()
        except OSError as error:
            raise self.useless(error) from error

    def _clear(self) -> None:
        if self.saved_settings() is None:
            return
        for name in WRITTEN:
            (self.path / name).unlink(missing_ok=True)
        for name in _FOLDERS:
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)

    def clean(self) -> None:
        """Remove what killed or interrupted processes left unfinished."""
        for folder in ("pairs", "originals"):
            for left in (self.path / folder).glob(f"{_UNFINISHED}*"):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)

    def load(self, identity: Mapping[str, str]) -> PairResult | None:
        """A finished pair; none where there is none, or where its files are damaged or incomplete."""
        path = self.path / "pairs" / pair_key(identity) / "pair.json"
        if not path.is_file():
            return None
        try:
            run = read_json(path)
        except InputError:
            return None
        if run.settings != identity or len(run.results) != 1:
            return None
        result = run.results[0]
        files = [result.original_file, result.reconstruction_file, result.change_file]
        files += [result.stream_file] if result.stream_file else []
        return result if all((self.path / name).is_file() for name in files) else None

    def save(
        self, pair: Pair, row: ImageRow, found: PairFindings, *, identity: Mapping[str, str], warnings: tuple[str, ...]
    ) -> PairResult:
        """Write a pair's folder in one step. The same pair gives the same bytes: `seconds` is left out."""
        key = pair_key(identity)
        place = f"pairs/{key}"
        unfinished = self.path / "pairs" / f"{_UNFINISHED}{key}-{os.getpid()}"
        result = PairResult(
            row=row,
            findings=found.findings,
            original_file=self._save_original(pair.original),
            reconstruction_file=f"{place}/reconstruction.png",
            change_file=f"{place}/change.png",
            stream_file=f"{place}/stream{pair.suffix}" if pair.stream else "",
            warnings=warnings,
        )
        run = Run(
            version=identity["version"],
            settings=dict(identity),
            results=(result,),
            failures=(),
            unmatched=(),
            detector=identity["detector"],
        )
        try:
            unfinished.mkdir()
            write_png(unfinished / "reconstruction.png", pair.reconstruction)
            Image.fromarray(found.change_map).save(unfinished / "change.png", compress_level=3)
            if pair.stream:
                (unfinished / f"stream{pair.suffix}").write_bytes(pair.stream)
            write_json(run, unfinished / "pair.json")
            _move(unfinished, self.path / "pairs" / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return result

    def _save_original(self, picture: Picture) -> str:
        name = f"originals/{picture.pixel_sha256[:32]}.png"
        target = self.path / name
        if not target.is_file():
            unfinished = target.with_name(f"{_UNFINISHED}{os.getpid()}-{target.name}")
            try:
                write_png(unfinished, picture.pixels)
                os.replace(unfinished, target)
            finally:
                unfinished.unlink(missing_ok=True)
        return name


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        # A damaged pair lies there, or another process was faster with the same pair.
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)
