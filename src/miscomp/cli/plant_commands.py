"""The verb `plant`: photographs in, pairs with known miscompressions out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.audit_commands import showing_progress
from miscomp.cli.talk import MegapixelsOption, tell
from miscomp.errors import UsageError
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.audit.run import Progress
    from miscomp.plant.run import Planting, Step


def _list_kinds(wanted: bool) -> None:
    if not wanted:
        return
    from miscomp.plant.catalog import KINDS

    typer.echo(f"{'kind':16} {'category':10} {'symbol':7} what")
    for row in KINDS:
        symbol = "symbol" if row.symbol else ""
        typer.echo(f"{row.name:16} {row.category or 'negative':10} {symbol:7} {row.description}")
    raise typer.Exit


def plant(
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES", help="Photographs, or folders of photographs.")
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for pictures, tables and sheets.")
    ],
    codec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPEC",
            help="Codec that the changed pictures go through, as in lucid@0.25bpp or jpeg@like:lucid; may be "
            "repeated. [default: lucid and jpeg, at 0.25 and 0.75 bpp]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other plants.")] = 0,
    count: Annotated[
        int,
        typer.Option(
            min=0,
            help="Miscompressions in a picture of 768 x 512; the number grows as the square root of the area.",
        ),
    ] = 6,
    kinds: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Kinds, as in character,removed; see --list. [default: all]"),
    ] = None,
    strengths: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Strengths above 0 and up to 1, with commas between them.")
    ] = "0.25,0.5,0.75,1",
    negatives: Annotated[
        int, typer.Option(min=0, help="Hard negatives, counted likewise, and seams in each high-rate reconstruction.")
    ] = 3,
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Add pairs without any change of meaning.")
    ] = True,
    natural: Annotated[
        int, typer.Option(min=0, help="Known words, counted likewise, for codecs to break; needs the extra `text`.")
    ] = 4,
    plates: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Photographs of cars, each with a .txt that says where its plate is."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; results do not depend on it. [default: what cores and memory allow]"),
    ] = None,
    max_megapixels: MegapixelsOption = 200.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the plants in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout, no text.")] = False,
    _list: Annotated[
        bool, typer.Option("--list", callback=_list_kinds, is_eager=True, help="Print the kinds and leave.")
    ] = False,
) -> None:
    """Make pairs with known miscompressions: photographs changed in meaning, then coded.

    Each changed picture goes through every codec; the unchanged one is the original beside it. Controls and hard
    negatives show what a detector should leave alone.

    A second run into the same DIR with the same settings does only what is new. What fails is listed, the rest goes
    on, and the exit code is 1.

    Example: miscomp plant photos --codec lucid@0.25bpp --codec jpeg@like:lucid --seed 1 -o planted
    """
    from miscomp.audit.run import default_jobs
    from miscomp.codecs.spec import parse_spec
    from miscomp.plant.catalog import KINDS
    from miscomp.plant.request import DEFAULT_CODECS, PlantOptions, choose_kinds
    from miscomp.plant.run import run_plant

    if not images and plates is None:
        raise UsageError("no photographs; name at least one, a folder of them, or a folder with --plates")
    options = PlantOptions(
        seed=seed,
        count=count,
        negatives=negatives,
        strengths=_numbers(strengths),
        controls=controls,
        natural=natural,
        jobs=jobs or default_jobs(_at_most(images or [], plates)),
        max_megapixels=max_megapixels,
        force=force,
        kinds=choose_kinds(KINDS.names if kinds is None else kinds.split(",")),
    )
    specs = [parse_spec(name) for name in codec or DEFAULT_CODECS]
    with showing_progress() as progress:
        planting = run_plant(images or [], specs, output, options, plates=plates, progress=_passed_on(progress))
    _tell(planting, output, json_object=json_object)


def _at_most(images: list[Path], plates: Path | None) -> int:
    """No fewer pictures than there are; decides how many processes are worth their start."""
    folders = [path for path in (*images, plates) if path is not None and path.is_dir()]
    return len(images) + sum(len(list(folder.iterdir())) for folder in folders)


def _numbers(text: str) -> tuple[float, ...]:
    """Read `0.5,1`; raises `UsageError` for anything else."""
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--strengths needs numbers with commas between them, as in 0.5,1; got {text!r}") from error


def _passed_on(progress: Callable[[Progress], None]) -> Callable[[Step], None]:
    """Show steps as an audit's progress is shown."""
    from miscomp.audit.run import Progress

    def update(step: Step) -> None:
        progress(
            Progress(
                done=step.done,
                total=step.total,
                outcome=step.outcome,
                name=step.name,
                reason=step.reason,
                seconds=step.seconds,
            )
        )

    return update


def _tell(planting: Planting, folder: Path, *, json_object: bool) -> None:
    """Print figures on stdout, what went wrong on stderr. Leaves with 1 if anything failed."""
    from miscomp.plant.run import planting_text

    if json_object:
        typer.echo(json.dumps(planting.record()))
    else:
        typer.echo(planting_text(planting).rstrip("\n"))
        typer.echo(f"sheets: {one_line(str(folder / 'sheets'))}")
    for result in planting.results:
        for note in result.notes:
            tell(f"{result.name}: {note}")
    for failure in planting.failures:
        tell(f"failed: {failure.name}: {failure.reason}")
    if planting.failures:
        raise typer.Exit(1)
