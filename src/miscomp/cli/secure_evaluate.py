"""`secure evaluate`: how far pictures destroy themselves when they are compressed again, and what that costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.audit_commands import showing_progress
from miscomp.cli.talk import MegapixelsOption, tell
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.secure.codec import SecureCodec
    from miscomp.secure.evaluation import SecureEvaluation

NO_BASE = "none"


def evaluate(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES", help="Images, or folders of images.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for tables, page, contact sheets and plots.")
    ],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights made by `miscomp secure train` on lucid.")
    ] = None,
    codec: Annotated[
        str, typer.Option(metavar="SPEC", help="Codec, as in slic, slic@q0.6 or mbt2018@file:mine.pth.")
    ] = "slic",
    quality: Annotated[float | None, typer.Option(help="Quality of both compressions. [default: the codec's]")] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Untouched codec to count the cost against, as in lucid@q0.6, or `none`; a name alone is at the "
            "codec's quality. [default: lucid for slic, else none]",
        ),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Edit, as in jpeg, splice or half+jpeg; may be repeated. [default: all]"),
    ] = None,
    curve: Annotated[
        int, typer.Option(min=0, max=100, help="Points of a rate-distortion curve over the codec's qualities.")
    ] = 0,
    pictures: Annotated[int, typer.Option(min=0, help="How many pictures the page shows, the first ones.")] = 4,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Read the words that are left.")] = True,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the plots.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of noise and of where foreign content is put.")] = 0,
    max_megapixels: MegapixelsOption = 200.0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the evaluation in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout, no table.")] = False,
) -> None:
    """Measure how far pictures destroy themselves when they are compressed again, edited or not, and what that costs.

    A second run into the same DIR with the same settings does only what is new. What fails is listed, the rest goes
    on, and the exit code is 1.

    Example: miscomp secure evaluate photos -o evaluation
    """
    from miscomp.secure.codec import open_secure
    from miscomp.secure.evaluate import EvaluateOptions
    from miscomp.secure.evaluate import evaluate as run_evaluation

    options = EvaluateOptions(
        edits=tuple(edit) if edit else None,
        curve=curve,
        pictures=pictures,
        text=text,
        plots=plots,
        seed=seed,
        max_megapixels=max_megapixels,
        force=force,
    )
    opened = open_secure(weights, codec=codec, quality=quality)
    untouched = _base(base, opened)
    with showing_progress() as progress:
        evaluation = run_evaluation(images, opened, output, options, base=untouched, progress=progress)
    _tell(evaluation, output, json_object=json_object)


def _base(base: str | None, codec: SecureCodec) -> SecureCodec | None:
    """The codec that the cost is counted against. Raises `UsageError` and `WeightsError`."""
    from miscomp.codecs.rows import plain
    from miscomp.secure.codec import DEFAULT, open_secure

    name = base if base is not None else "lucid" if codec.codec.name == DEFAULT else NO_BASE
    if name == NO_BASE:
        return None
    return open_secure(codec=name if "@" in name else f"{name}@q{plain(codec.quality)}")


def _tell(evaluation: SecureEvaluation, folder: Path, *, json_object: bool) -> None:
    """Print figures on stdout, what went wrong on stderr. Leaves with 1 if anything failed."""
    from miscomp.secure.evaluation import evaluation_record
    from miscomp.secure.evaluation_page import PAGE
    from miscomp.secure.evaluation_text import evaluation_text

    if json_object:
        typer.echo(json.dumps(evaluation_record(evaluation)))
    else:
        typer.echo(evaluation_text(evaluation).rstrip("\n"))
        typer.echo(f"page: {one_line(str(folder / PAGE))}")
    for failure in evaluation.failures:
        tell(f"failed: {failure.name}: {failure.reason}")
    if evaluation.failures:
        raise typer.Exit(1)
