"""`miscomp annotate training`: pairs that all labelers look at on their own and then talk about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.corpus_options import CorpusArgument
from miscomp.cli.talk import JsonOption, tell
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from miscomp.corpus.corpus import Corpus


def training(
    corpus: CorpusArgument,
    *,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="SHA1:MODEL", help="Train on this pair; may be repeated. The SHA-1 may be cut short."),
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="Train on so many pairs, drawn from those in no batch.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Which are drawn, and in which order they are shown.")] = 0,
    labelled_too: Annotated[
        bool, typer.Option("--labelled-too", help="Take pairs that labelers are given for labeling, too.")
    ] = False,
    labelers: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Who is trained, as in ann,bob; else all labelers.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Add nothing; print what there is.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Make a training batch and give it to all labelers; what they draw there counts nowhere.

    Each labeler annotates its pairs alone, as any others. Who is done with a pair sees what all the others who are done
    marked there, with their answers, to talk about it. Pairs for training are left out of later batches; those that
    labelers are given already are refused, since who has discussed a pair does not label it like a new one. Without
    --pair and --count, the training batches that are there are given to labelers who do not have them yet.

    Example: miscomp annotate training street --count 2
    """
    from miscomp.corpus.corpus import open_corpus

    if list_ and (pair or count or labelers is not None or labelled_too):
        raise UsageError("--list prints what there is and goes with nothing that changes it")
    if pair and count:
        raise UsageError("--pair says which pairs, --count draws some; give one of them")
    opened = open_corpus(corpus)
    if not list_:
        names = [name.strip() for name in labelers.split(",")] if labelers is not None else None
        _make(opened, pair or [], count, seed=seed, labelled_too=labelled_too, labelers=names)
    _print(opened, json_lines=json_lines)


def _make(
    corpus: Corpus, texts: list[str], count: int, *, seed: int, labelled_too: bool, labelers: list[str] | None
) -> None:
    from miscomp.annotate.training import assign_training, everybody, make_training, read_pair
    from miscomp.corpus.manifest import write_manifest

    with corpus.owned():
        with corpus.writing() as connection:
            if texts or count:
                pairs = [read_pair(connection, text) for text in texts]
                made = make_training(
                    connection, corpus.config, pairs=pairs, count=count, seed=seed, labelled_too=labelled_too
                )
                tell(f"training batch {made.batch} with {made.size} pairs")
            people = everybody(connection, corpus.config) if labelers is None else labelers
            given = assign_training(connection, people)
        write_manifest(corpus)
    tell(f"{len(given)} new assignments")


def _print(corpus: Corpus, *, json_lines: bool) -> None:
    from miscomp.annotate.training import trainings

    with corpus.reading() as connection:
        found = trainings(connection)
    for one in found:
        if json_lines:
            record = {"batch": one.batch, "pairs": [":".join(pair) for pair in one.pairs], "done": dict(one.done)}
            typer.echo(json.dumps(record))
        else:
            done = ", ".join(f"{name} {number} of {len(one.pairs)}" for name, number in one.done.items())
            typer.echo(f"{one.batch}: {len(one.pairs)} pairs; done: {done or 'given to nobody'}")
            for sha1, model in one.pairs:
                typer.echo(f"  {sha1}:{model}")
    if not found:
        tell("there are no training batches; make one with --count or --pair")
