"""The folder of fetched weights: what lies in it, how a file gets there, and whether it still is what was fetched.

Beside each file stands `NAME.sha256`, as `sha256sum -c` reads it: the hash that the file had when it came.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import platformdirs

from miscomp.codecs.checkpoints import Checkpoint
from miscomp.codecs.connections import check_address
from miscomp.codecs.downloads import Limits, Progress, discard, download
from miscomp.codecs.locks import locked
from miscomp.errors import UsageError, WeightsError
from miscomp.folders import file_sha256, replacing, write_text

FOLDER_VARIABLE = "MISCOMP_WEIGHTS"
MIRROR_VARIABLE = "MISCOMP_WEIGHTS_URL"

Check = Callable[[Path], None]
"""Raises `WeightsError` for a file that holds no weights."""

State = Literal["cached", "to be fetched", "bring your own"]
Verdict = Literal["ok", "as recorded", "not recorded", "wrong hash", "missing", "unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a look at one file of the folder told."""

    checkpoint: Checkpoint
    path: Path
    verdict: Verdict
    """`ok`: it has the published digits. `as recorded`: none are published, it is what was fetched. `not recorded`:
    neither is known. `missing`: a record without its file.
    """
    sha256: str
    """As found; empty where nothing could be read."""

    @property
    def good(self) -> bool:
        """Whether it may be used."""
        return self.verdict in ("ok", "as recorded", "not recorded")


def cache_folder() -> Path:
    """Where fetched weights lie: the variable `MISCOMP_WEIGHTS`, else a folder of the user's cache. May not exist."""
    given = os.environ.get(FOLDER_VARIABLE, "").strip()
    return Path(given).expanduser() if given else platformdirs.user_cache_path("miscomp", appauthor=False) / "weights"


def place(checkpoint: Checkpoint) -> Path:
    """Where a checkpoint's file lies once it is fetched."""
    return cache_folder() / checkpoint.filename


def find(checkpoint: Checkpoint) -> Path | None:
    """The fetched file, not yet checked; none where it is not there."""
    path = place(checkpoint)
    return path if path.is_file() else None


def state(checkpoint: Checkpoint) -> State:
    """What has to be done before a checkpoint can be used."""
    if find(checkpoint) is not None:
        return "cached"
    return "to be fetched" if checkpoint.url else "bring your own"


def recorded(checkpoint: Checkpoint) -> str:
    """The SHA-256 that the file had when it was fetched; empty where no record can be read."""
    try:
        with _record(place(checkpoint)).open(encoding="utf-8", errors="replace") as file:
            found = re.match(r"[0-9a-f]{64}(?=\s)", file.read(100))
    except OSError:
        return ""
    return found[0] if found else ""


def fetch(
    checkpoint: Checkpoint,
    *,
    from_file: Path | None = None,
    mirror: str = "",
    force: bool = False,
    limits: Limits | None = None,
    progress: Progress = lambda done, total: None,
    check: Check = lambda path: None,
) -> Path:
    """Put a checkpoint's file into the folder and return its path; one that is there is checked and kept.

    `from_file` is the file itself or a folder that holds it under its published name; then nothing is downloaded.
    `mirror` stands in the place of the published folder. `force` fetches anew. Where no hash is published, `check` is
    called with what came and raises `WeightsError` for what are no weights. Raises `WeightsError` (nothing is in the
    folder that was not there before, but for a part to go on with) and `UsageError`.
    """
    target, limits = place(checkpoint), limits or Limits()
    if from_file is not None and from_file.is_dir():
        from_file = from_file / checkpoint.filename
    url = "" if from_file is not None else _address(checkpoint, mirror)
    with _alone(target):
        if target.exists() and not force:
            _keep(checkpoint, target, from_file)
        elif from_file is not None:
            _copy_in(checkpoint, from_file, target, limits=limits, check=check)
        else:
            _download(checkpoint, url, target, limits=limits, progress=progress, check=check)
    return target


def verify(checkpoints: Iterable[Checkpoint]) -> Iterator[Checked]:
    """Read every file of these that is, or once was, in the folder."""
    for checkpoint in checkpoints:
        path = place(checkpoint)
        if path.exists() or _record(path).exists():
            yield _check(checkpoint, path)


def _check(checkpoint: Checkpoint, path: Path) -> Checked:
    found, known = "", recorded(checkpoint)
    verdict: Verdict
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        verdict = "missing"
    except OSError:
        verdict = "unreadable"
    else:
        if not found.startswith(checkpoint.sha256) or (known and found != known):
            verdict = "wrong hash"
        elif checkpoint.sha256:
            verdict = "ok"
        else:
            verdict = "as recorded" if known else "not recorded"
    return Checked(checkpoint=checkpoint, path=path, verdict=verdict, sha256=found)


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _address(checkpoint: Checkpoint, mirror: str) -> str:
    if mirror:
        check_address(mirror, "the mirror")
        return f"{mirror.rstrip('/')}/{quote(checkpoint.filename)}"
    if not checkpoint.url:
        raise WeightsError(
            checkpoint.filename,
            f"cannot be fetched by this program: {checkpoint.source}. Get it there and give it with --from",
        )
    return checkpoint.url


def _keep(checkpoint: Checkpoint, target: Path, from_file: Path | None) -> None:
    checked = _check(checkpoint, target)
    if not checked.good:
        raise WeightsError(target, f"is there, but {_trouble(checkpoint, checked)}; give --force to replace it")
    if from_file is not None and _hash_given(from_file) != checked.sha256:
        raise WeightsError(target, f"is there and holds other weights than {from_file}; give --force to replace it")


def _trouble(checkpoint: Checkpoint, checked: Checked) -> str:
    if checked.verdict != "wrong hash":
        return f"is {checked.verdict}"
    if not checked.sha256.startswith(checkpoint.sha256):
        return f"its SHA-256 is {checked.sha256}, published {checkpoint.sha256}..."
    return f"its SHA-256 is {checked.sha256}, it was {recorded(checkpoint)} when it was fetched"


def _hash_given(path: Path) -> str:
    try:
        if not path.is_file():
            raise WeightsError(path, "no such file; give a file, or a folder that holds it under its published name")
        return file_sha256(path)
    except OSError as error:
        raise WeightsError(path, f"cannot be read: {error.strerror}") from error


def _copy_in(checkpoint: Checkpoint, source: Path, target: Path, *, limits: Limits, check: Check) -> None:
    """The copy is what is checked, so that nothing changes between check and use."""
    if not source.is_file():
        _hash_given(source)
    size = source.stat().st_size
    if size > limits.max_bytes:
        raise WeightsError(source, f"has {size} bytes; weights have at most {limits.max_bytes}")
    try:
        with replacing(target) as copy:
            with source.open("rb") as old, copy.open("wb") as new:
                while chunk := old.read(2**20):
                    new.write(chunk)
            found = file_sha256(copy)
            if not found.startswith(checkpoint.sha256):
                use = f"name them as {checkpoint.codec}@file:{source}" if checkpoint.codec else "give the file itself"
                raise WeightsError(
                    source,
                    f"its SHA-256 is {found}, that of the published {checkpoint.filename} begins with "
                    f"{checkpoint.sha256}: these are not the published weights of {checkpoint.name}. Your own "
                    f"need no fetching: {use}",
                )
            if not checkpoint.sha256:
                _checked(check, copy, source)
            _record(target).unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(source, f"cannot be copied to {target.parent}: {error.strerror}; make room") from error
    _write_record(target, found)


def _download(
    checkpoint: Checkpoint, url: str, target: Path, *, limits: Limits, progress: Progress, check: Check
) -> None:
    part = target.with_name(target.name + ".part")
    whole = download(url, part, limits=limits, progress=progress)
    found = file_sha256(part)
    if not found.startswith(checkpoint.sha256):
        discard(part)
        raise WeightsError(
            url,
            f"what came has the SHA-256 {found}, published is {checkpoint.sha256}...; it was removed. Fetch it again; "
            "if that does not help, another file lies there: use a mirror, or bring the file and give it with --from",
        )
    if not whole and not checkpoint.sha256:
        discard(part)
        raise WeightsError(
            url,
            "the server does not say how long the file is and no hash is published, so nobody knows whether all came; "
            "use another mirror, or give the file with --from",
        )
    if not checkpoint.sha256:
        try:
            _checked(check, part, url)
        except WeightsError:
            discard(part)
            raise
    _record(target).unlink(missing_ok=True)  # a record of another file must not outlive it
    os.replace(part, target)
    discard(part)
    _write_record(target, found)


def _checked(check: Check, path: Path, where: object) -> None:
    """Let `check` look at a file that came from `where`. Raises `WeightsError`, naming that."""
    try:
        check(path)
    except WeightsError as error:
        raise WeightsError(where, f"what came are no weights and was not kept: {error.problem}") from error


def _write_record(target: Path, sha256: str) -> None:
    write_text(_record(target), f"{sha256}  {target.name}\n")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep others from fetching this file; where the system has no locks (Windows, some network drives), nobody is.

    Raises `WeightsError` where another is at work and `UsageError` for a folder that cannot be used.
    """
    path = target.with_name(target.name + ".lock")
    lock = None
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = locked(path)
        except BlockingIOError as error:
            raise WeightsError(target, "another process is fetching it; wait until it has ended") from error
        except OSError as error:
            advice = f"choose another with the environment variable {FOLDER_VARIABLE}"
            raise UsageError(f"{target.parent} cannot hold weights: {error.strerror}; {advice}") from error
        yield
    finally:
        if lock is not None:
            with suppress(OSError):  # Windows does not remove what is open
                path.unlink()
            os.close(lock)
