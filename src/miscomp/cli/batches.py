"""What the verbs share that turn many files into others: which goes where, and going on where one fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from miscomp.cli.talk import tell
from miscomp.errors import InputError, MiscompError, StreamError, UsageError

if TYPE_CHECKING:
    from miscomp.codecs.rows import CodecRow


def wants_folder(inputs: list[Path], output: str) -> bool:
    """Whether `output` names a folder; what the inputs turn out to hold does not matter."""
    return len(inputs) > 1 or inputs[0].is_dir() or output.endswith(("/", os.sep)) or Path(output).is_dir()


def list_files(inputs: list[Path]) -> list[Path]:
    """The files that are named or lie in a named folder, each once. A folder without any stays, to fail by itself."""
    from miscomp.images import list_images

    files: list[Path] = []
    for path in inputs:
        try:
            files += list_images(path) if path.is_dir() else [path]
        except InputError:
            files.append(path)
    return list(dict.fromkeys(files))


def plan_outputs(
    files: list[Path], output: str, suffix: str | None, *, to_folder: bool, force: bool, also_read: Path | None = None
) -> list[tuple[Path, Path]]:
    """Pair each input with its output; in a folder it keeps its name, with `suffix` for its own unless that is none.

    Raises `UsageError` before anything is done where files would be lost.
    """
    folder = Path(output)
    if not to_folder:
        plan = [(file, folder) for file in files]
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{output} is a file; several inputs need a folder behind -o")
        plan = [(file, folder / (file.name if suffix is None else file.stem + suffix)) for file in files]
    sources = {file.resolve() for file in (*files, *([also_read] if also_read else []))}
    taken: dict[Path, Path] = {}
    for source, target in plan:
        if target in taken:
            raise UsageError(f"{taken[target]} and {source} would both be written to {target}; rename one or run twice")
        taken[target] = source
        if target.resolve() in sources:
            raise UsageError(f"{target} is an input and would be overwritten; choose another -o")
        if target.is_dir() or (target.exists() and not force):
            raise UsageError(f"{target} exists; choose another -o, or give --force to overwrite files")
    return plan


def check_suffix(target: Path, row: CodecRow) -> None:
    """Refuse a name that says another format than the bytes will have."""
    from miscomp.codecs.catalog import CODECS

    suffix = target.suffix.lower().replace(".jpeg", ".jpg")
    if suffix != row.suffix and suffix in {".png", ".tif", ".tiff", *(other.suffix for other in CODECS)}:
        raise UsageError(f"{target} would hold {row.name}, not what its name says; call it {target.stem}{row.suffix}")


def run_plan(
    plan: list[tuple[Path, Path]], work: Callable[[Path, Path], dict[str, object]], *, json_lines: bool
) -> None:
    """Do each file; one that fails is listed and the others go on. Leaves with exit code 1 if any failed."""
    failures: list[str] = []
    for source, target in plan:
        try:
            record = {"input": str(source), "output": str(target), **work(source, target)}
        except (MiscompError, OSError) as error:
            message = str(error) if isinstance(error, InputError) else f"{source}: {error}"
            failures.append(message)
            record = {"input": str(source), "error": message}
        if json_lines:
            typer.echo(json.dumps(record))
    for message in failures:
        tell(f"failed: {message}")
    if failures:
        tell(f"{len(failures)} of {len(plan)} failed")
        raise typer.Exit(1)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, or find it there. Raises `InputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, f"cannot be a folder to write to: {error.strerror}; choose another -o") from error


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a file beside `target` that takes its place when all went well, and is removed when not.

    Raises `InputError` where it cannot be written.
    """
    make_folder(target.parent)
    unfinished = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield unfinished
        os.replace(unfinished, target)
    except OSError as error:
        raise InputError(target, f"cannot be written: {error.strerror}; check its folder and the space") from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_bounded(path: Path, max_megapixels: float) -> bytes:
    """Read a file whose size such a picture can explain: 12 bytes a pixel and a megabyte beside them."""
    if not path.is_file():
        raise StreamError(
            path, "no such file" if not path.exists() else "not a file; give the files of a folder by name"
        )
    limit = int(12e6 * max_megapixels) + 2**20
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise StreamError(path, f"longer than {limit} bytes; raise --max-megapixels ({max_megapixels:g}) to read it")
    return content
