"""Files written in one step, and folders of results that belong to one request and to one process."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from miscomp.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SETTINGS = "settings.json"
SCHEMA = 1

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """A folder with a `settings.json` that says what was asked for; another request needs another folder."""

    path: Path
    kind: ClassVar[str] = "run"
    """What its results are called in messages; `miscomp_KIND` marks the settings as its own."""
    elsewhere: ClassVar[str] = "choose another folder with -o"
    """What to do where the folder will not do."""
    writer: ClassVar[str] = ""
    """Who else may be at work in it; empty: another of the kind."""

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Create the folder and keep others of its kind out of it; the system lets go of it when this process ends.

        Raises `UsageError` where another is at work. Windows and some network drives have no such locks: there nobody
        is kept out.
        """
        lock = None
        try:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                if fcntl is not None:
                    lock = os.open(self.path, os.O_RDONLY)
                    _lock(lock)
            except BlockingIOError as error:
                busy = f"another {self.writer or self.kind} is writing to {self.path}"
                raise UsageError(f"{busy}; wait until it has ended, or {self.elsewhere}") from error
            except OSError as error:
                raise self.useless(error) from error
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def useless(self, error: OSError) -> UsageError:
        """What to raise where the system refuses the folder."""
        return UsageError(f"{self.path} cannot hold the {self.kind}: {error}; {self.elsewhere}")

    def saved_settings(self) -> dict[str, Any] | None:
        """The settings of what lies here; none for a folder that holds nothing of this kind."""
        try:
            saved = json.loads((self.path / SETTINGS).read_text(encoding="ascii"))
        except (OSError, ValueError, RecursionError):
            return None
        return saved if isinstance(saved, dict) and f"miscomp_{self.kind}" in saved else None

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise `UsageError` for a folder with other settings or with files of another kind; an empty one will do."""
        saved, asked = self.saved_settings(), self._marked(settings)
        if saved is None:
            if any(self.path.iterdir()):
                raise UsageError(
                    f"{self.path} holds other files and no {self.kind}; choose another folder, or give --force to "
                    "write into it"
                )
            return
        if found := _differences(saved, asked):
            changed = "; ".join(f"{name}: {_short(was)}, now {_short(now)}" for name, was, now in found)
            article = "an" if self.kind[0] in "aeiou" else "a"
            raise UsageError(
                f"{self.path} holds {article} {self.kind} with other settings ({changed}); choose another folder, or "
                f"give --force to replace that {self.kind}"
            )

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Save the settings, marked as this kind's."""
        write_text(self.path / SETTINGS, json.dumps(self._marked(settings), indent=1, ensure_ascii=True) + "\n")

    def clear(self, patterns: Sequence[str], folders: Sequence[str]) -> None:
        """Remove the files that match, and the folders that are then empty."""
        for pattern in patterns:
            for file in self.path.glob(pattern):
                file.unlink()
        for name in folders:
            with suppress(OSError):  # it holds something else, or is not there
                (self.path / name).rmdir()

    def _marked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        # Through JSON, so that tuples compare equal to the lists they come back as.
        return {f"miscomp_{self.kind}": SCHEMA, **json.loads(json.dumps(settings))}


_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What file systems without locks on folders answer; NFS the first."""


def _lock(folder: int) -> None:
    """Raises `BlockingIOError` where another process has the lock."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file beside `path` that takes its place when all went well, and is removed when not."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record to a journal as one line of JSON, and have it on the disk before going on."""
    with path.open("a", encoding="ascii", newline="\n") as file:
        file.write(json.dumps(record, ensure_ascii=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path, read: Callable[[str], list[tuple[Key, Value]]]) -> dict[Key, Value]:
    """What a journal holds, by key; nothing where there is none.

    `read` gives key and content of a whole line, and nothing for one that is torn or damaged. Such lines, and all but
    the last of a key, are dropped from the file.
    """
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return {}
    lines = text.splitlines(keepends=True)
    found = {key: (line, value) for line in lines for key, value in read(line)}
    if len(found) != len(lines):
        write_text(path, "".join(line for line, _ in found.values()))
    return {key: value for key, (_, value) in found.items()}


def package_version(name: str = "miscomp") -> str:
    """Version of a package as installed, for the settings that stand beside results."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown (not installed)"


def _differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each setting that differs, by name, with both values; of tables within tables the innermost."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*saved, *asked}):
        was, now = saved.get(name), asked.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            found += [(f"{name}.{inner}", *values) for inner, *values in _differences(was, now)]
        elif was != now:
            found.append((name, was, now))
    return found


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 80 else text[:77] + "..."
