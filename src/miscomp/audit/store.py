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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from miscomp.errors import InputError, UsageError
from miscomp.images import Picture, write_png
from miscomp.pairs import Pair
from miscomp.records import ImageRow, PairResult
from miscomp.report.run import Run, read_json, write_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from miscomp.audit.examine import PairFindings

SETTINGS = "settings.json"
WRITTEN = ("annotations.csv", "images.csv", "models.csv", "report.json", "report.html", "timings.json")
"""Files that an audit writes at its end, beside the settings."""

_SCHEMA = 1
_MARK = "miscomp_audit"
_FOLDERS = ("pairs", "originals", "report_files")
_UNFINISHED = ".unfinished-"


def pair_key(identity: Mapping[str, str]) -> str:
    """Name of a pair's folder: 32 hex digits over everything that decides what is in it."""
    text = json.dumps(dict(identity), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AuditFolder:
    """One audit's folder; several processes may save pairs in it, one at a time may own it."""

    path: Path

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Create the folder and keep other audits out of it; the system lets go of it when this process ends.

        Raises `UsageError` where another audit is at work. Windows has no such locks: there nobody is kept out.
        """
        lock = None
        try:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if fcntl is not None:
                    lock = os.open(self.path, os.O_RDONLY)
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                busy = f"another audit is writing to {self.path}"
                raise UsageError(f"{busy}; wait until it has ended, or choose another folder with -o") from error
            except OSError as error:
                raise self._useless(error) from error
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def _useless(self, error: OSError) -> UsageError:
        return UsageError(f"{self.path} cannot hold the audit: {error}; choose another folder with -o")

    def open(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Create the folder, or go on in one made with the same settings; with `force`, start anew in any.

        Raises `UsageError` for a folder with other settings or with files of another kind. `force` removes the
        pairs and reports of an earlier audit and nothing else.
        """
        asked = {_MARK: _SCHEMA, **json.loads(json.dumps(settings))}
        try:
            if force:
                self._clear()
            elif self.path.is_dir() and any(self.path.iterdir()):
                self._check(asked)
            (self.path / "pairs").mkdir(parents=True, exist_ok=True)
            (self.path / "originals").mkdir(exist_ok=True)
            write_text(self.path / SETTINGS, json.dumps(asked, indent=1, ensure_ascii=True) + "\n")
            self.clean()
        except OSError as error:
            raise self._useless(error) from error

    def _check(self, asked: Mapping[str, Any]) -> None:
        saved = self._saved()
        if saved is None:
            raise UsageError(
                f"{self.path} holds other files and no audit; choose another folder, or give --force to write into it"
            )
        names = sorted(name for name in {*saved, *asked} if saved.get(name) != asked.get(name))
        if names:
            changed = "; ".join(f"{name}: {_short(saved.get(name))}, now {_short(asked.get(name))}" for name in names)
            raise UsageError(
                f"{self.path} holds an audit with other settings ({changed}); choose another folder, or give --force "
                "to replace that audit"
            )

    def _saved(self) -> dict[str, Any] | None:
        """The settings of the audit that lies here; none for a folder that holds no audit."""
        try:
            saved = json.loads((self.path / SETTINGS).read_text(encoding="ascii"))
        except (OSError, ValueError, RecursionError):
            return None
        return saved if isinstance(saved, dict) and _MARK in saved else None

    def _clear(self) -> None:
        if self._saved() is None:
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


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        # A damaged pair lies there, or another process was faster with the same pair.
        shutil.rmtree(target, ignore_errors=True)
        source.rename(target)


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else text[:77] + "..."
