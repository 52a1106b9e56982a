"""The verb `weights`: fetch what others published, and tell whether it still is what it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.talk import JsonOption, tell, tell_above
from miscomp.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from rich.progress import Progress

    from miscomp.codecs.checkpoints import Checkpoint


app = typer.Typer(
    help="Fetch the published weights of codecs and metrics, and check those that were fetched.", no_args_is_help=True
)


@app.callback()
def _weights() -> None:
    """Fetch the published weights of codecs and metrics, and check those that were fetched."""


@app.command("fetch")
def fetch_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME[@qN]", help="Codecs or metrics' weights; all qualities or one."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All weights that can be fetched.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="PATH", help="The file, or a folder of such files; no download.")
    ] = None,
    mirror: Annotated[
        str, typer.Option(metavar="URL", envvar="MISCOMP_WEIGHTS_URL", help="Folder to download from instead.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Fetch anew, and replace what is there.")] = False,
) -> None:
    """Fetch published weights into the folder where codecs and metrics look for them, and check their SHA-256.

    Files that are there are checked and kept. A download that was cut off goes on where it stopped. The paths are
    printed on stdout.

    Example: miscomp weights fetch mbt2018-mean cheng2020-anchor@q3
    """
    checkpoints = _asked_for(names or [], every=every, source=source, mirror=mirror)
    with _bar() as bar:
        failures = [one for one in checkpoints if not _fetch_one(one, bar, source=source, mirror=mirror, force=force)]
    if failures:
        tell(f"{len(failures)} of {len(checkpoints)} failed: {', '.join(one.name for one in failures)}")
        raise typer.Exit(1)


@app.command("verify")
def verify_weights(json_lines: JsonOption = False) -> None:
    """Read every fetched file again, and say whether it is what was published or at least what was fetched.

    Leaves with exit code 1 if one is not, or is gone.

    Example: miscomp weights verify
    """
    from miscomp.codecs.checkpoints import all_checkpoints
    from miscomp.codecs.weight_store import cache_folder, verify

    count = bad = 0
    for checked in verify(all_checkpoints()):
        count, bad = count + 1, bad + (not checked.good)
        name, path = checked.checkpoint.name, str(checked.path)
        if json_lines:
            typer.echo(json.dumps({"name": name, "path": path, "verdict": checked.verdict, "sha256": checked.sha256}))
        else:
            typer.echo(f"{checked.verdict:12}  {name:32}  {path}")
    if not count:
        tell(f"no weights were fetched to {cache_folder()}")
    elif bad:
        tell(f"{bad} of {count} are not as they should be; fetch them again with: miscomp weights fetch NAME --force")
        raise typer.Exit(1)


@app.command("list")
def list_weights(json_lines: JsonOption = False) -> None:
    """List the published weights: which are here, which can be fetched, and which you have to bring.

    Example: miscomp weights list --json
    """
    from miscomp.codecs.checkpoints import all_checkpoints
    from miscomp.codecs.weight_store import State, cache_folder, state

    if json_lines:
        for checkpoint in all_checkpoints():
            typer.echo(json.dumps(_record(checkpoint)))
        return
    typer.echo(f"in {cache_folder()}")
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in all_checkpoints():
        groups.setdefault(checkpoint.codec or checkpoint.name, []).append(checkpoint)
    for owner, group in groups.items():
        by_state: dict[State, list[str]] = {"cached": [], "to be fetched": [], "bring your own": []}
        for checkpoint in group:
            by_state[state(checkpoint)].append(f"q{checkpoint.quality}" if checkpoint.codec else checkpoint.filename)
        told = "; ".join(f"{one}: {' '.join(found)}" for one, found in by_state.items() if found)
        typer.echo(f"{owner:30}{told}")
    for origin in dict.fromkeys((one.source, one.licence) for one in all_checkpoints()):
        owners = [owner for owner, group in groups.items() if group[0].source == origin[0]]
        typer.echo(f"{', '.join(owners)}: {origin[0]}; licence: {origin[1]}")


def _record(checkpoint: Checkpoint) -> dict[str, object]:
    from miscomp.codecs.weight_store import find, recorded, state

    path = find(checkpoint)
    parts = ("name", "filename", "url", "source", "licence", "note")
    return {
        **{part: getattr(checkpoint, part) for part in parts},
        "codec": checkpoint.codec or None,
        "quality": checkpoint.quality or None,
        "sha256_published": checkpoint.sha256,
        "sha256_recorded": recorded(checkpoint),
        "state": state(checkpoint),
        "path": None if path is None else str(path),
        "bytes": None if path is None else path.stat().st_size,
    }


def _asked_for(names: Sequence[str], *, every: bool, source: Path | None, mirror: str) -> list[Checkpoint]:
    """The checkpoints, each once. Raises `UsageError` before anything is fetched."""
    from miscomp.codecs.checkpoints import all_checkpoints, find_checkpoints

    if every == bool(names):
        raise UsageError("give names of weights, or --all; miscomp weights list shows what there is")
    if not every:
        asked = list(dict.fromkeys(one for name in names for one in find_checkpoints(name)))
        if source is not None and len(asked) > 1 and not source.is_dir():
            raise UsageError(
                f"--from: {source} is no folder, but {len(asked)} files are asked for; name one as NAME@q3"
            )
        return asked
    if source is not None and not source.is_dir():
        raise UsageError(f"--from: {source} is no folder; with --all, give one that holds files of published weights")
    within_reach = [
        one for one in all_checkpoints() if (one.url or mirror if source is None else (source / one.filename).is_file())
    ]
    left = len(all_checkpoints()) - len(within_reach)
    if left:
        tell(f"{left} files are left out: {'bring your own' if source is None else f'they are not in {source}'}")
    return within_reach


def _fetch_one(checkpoint: Checkpoint, bar: Progress, *, source: Path | None, mirror: str, force: bool) -> bool:
    """Fetch, and tell what became of it; whether all went well."""
    from miscomp.codecs.weight_store import fetch, find, recorded

    before = None if force else find(checkpoint)
    task = bar.add_task(checkpoint.name, total=None)
    try:
        path = fetch(
            checkpoint,
            from_file=source,
            mirror=mirror,
            force=force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            check=_check,
        )
    except WeightsError as error:
        tell_above(bar, f"{checkpoint.name}: {error}")
        return False
    finally:
        bar.remove_task(task)
    what = "was there, and is as it should be" if before is not None else f"{path.stat().st_size / 1e6:.1f} MB"
    known = f"begins with the published {checkpoint.sha256}" if checkpoint.sha256 else "is recorded; none is published"
    tell_above(bar, f"{checkpoint.name}: {what}; its SHA-256 {recorded(checkpoint) or '(not recorded)'} {known}")
    typer.echo(path)
    return True


def _check(path: Path) -> None:
    """Raise `WeightsError` for a file that is no checkpoint. Whether it fits its codec shows when it is used."""
    from miscomp.codecs.checkpoint_files import read_checkpoint

    read_checkpoint(path)


def _bar() -> Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
