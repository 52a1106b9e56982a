"""The verb `train`: one command per thing that can be trained, all on the one training loop."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from miscomp.cli.talk import progress_bar, tell, tell_above
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from miscomp.training.config import TrainConfig
    from miscomp.training.runfolder import Progress, Surroundings

app = typer.Typer(help="Train networks on your own pictures.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train networks on your own pictures."""


@app.command("codec")
def train_codec(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of photographs to learn from.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Run folder; one with a checkpoint is resumed.")
    ],
    config: Annotated[Path | None, typer.Option(metavar="TOML", help="Settings of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps to train, above the settings file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random, above the settings file.")] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="Where to train, above the settings file.")
    ] = None,
    valid: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Pictures to validate on, above the settings file.")
    ] = None,
    start_from: Annotated[
        str | None, typer.Option(metavar="FILE", help="Weights to begin with, above the settings file.")
    ] = None,
    weights_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the weights here; FOLDER always gets them.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file of --weights-out.")] = False,
) -> None:
    """Train the codec lucid; the run folder gets checkpoint, settings, log, curves and weights.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp train codec photographs -o runs/first --valid others --steps 20000
    """
    if weights_out is not None and (weights_out.is_dir() or (weights_out.exists() and not force)):
        raise UsageError(f"{weights_out} exists; choose another --weights-out, or give --force to overwrite a file")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; a run needs a folder behind -o")
    given = {"steps": steps, "seed": seed, "device": device, "valid": valid, "start": start_from}
    overrides = {name: value for name, value in given.items() if value is not None}
    written = _run(images, output, _settings(config, overrides))
    if written is None:
        return
    if weights_out is not None and weights_out.resolve() != written.resolve():
        weights_out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, weights_out)
        written = weights_out
    typer.echo(written)


def _settings(file: Path | None, overrides: dict[str, Any]) -> TrainConfig:
    from miscomp.training.config import TrainConfig, load_config

    return load_config(file, overrides) if file is not None else TrainConfig(**overrides)


def _run(images: Path, output: Path, config: TrainConfig) -> Path | None:
    """Train; the weights file, or none in a process that does not write.

    A signal that asks for the end leaves with the exit code that is usual for it, after a checkpoint.
    """
    from miscomp.training.codec import train_codec as train
    from miscomp.training.loop import Stopped
    from miscomp.training.processes import open_accelerator

    accelerator = None
    with catching_signals() as caught, showing_training(caught) as around:
        try:
            written = train(images, output, config, around=around)
            accelerator = open_accelerator(config)
            return written if accelerator.is_main_process else None
        except Stopped as stopped:
            accelerator = open_accelerator(config)
            if accelerator.is_main_process:
                around.talk(f"{stopped}; give the same command again to go on")
            raise typer.Exit(128 + (caught.number or signal.SIGTERM)) from None
        finally:
            if accelerator is not None:
                accelerator.end_training()


@dataclass(slots=True)
class Caught:
    """The signal that asked for the end, 0 before there is one."""

    number: int = 0


@contextmanager
def catching_signals() -> Iterator[Caught]:
    """Keep the first Ctrl-C or request to end for the run to see; a second one ends it at once."""
    caught = Caught()

    def catch(number: int, frame: FrameType | None) -> None:
        caught.number = number
        for kind, handler in before.items():
            signal.signal(kind, handler)

    before = {kind: signal.getsignal(kind) or signal.SIG_DFL for kind in (signal.SIGINT, signal.SIGTERM)}
    for kind in before:
        signal.signal(kind, catch)
    try:
        yield caught
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def showing_training(caught: Caught) -> Iterator[Surroundings]:
    """Show a run's progress on stderr: a bar on a terminal, else the log's lines."""
    from miscomp.training.runfolder import Surroundings
    from miscomp.training.runlog import in_words

    def stop() -> bool:
        return caught.number != 0

    if not sys.stderr.isatty():
        yield Surroundings(talk=tell, stop=stop)
        return
    bar = progress_bar()
    shown: list[TaskID] = []

    def update(progress: Progress) -> None:
        # Started by the first step: of several processes on one terminal only one is told of steps.
        if not shown:
            bar.start()
            shown.append(bar.add_task("", total=progress.steps, completed=progress.step))
        bar.update(shown[0], completed=progress.step, description=in_words(progress.figures))

    try:
        yield Surroundings(talk=partial(tell_above, bar), progress=update, stop=stop)
    finally:
        bar.stop()
