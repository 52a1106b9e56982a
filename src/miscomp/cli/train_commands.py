"""The verb `train`: one command per thing that can be trained, all on the one training loop."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from miscomp.cli.talk import progress_bar, tell, tell_above
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from miscomp.training.config import LoopConfig
    from miscomp.training.runfolder import Progress, Surroundings

ImagesArgument = Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of photographs to learn from.")]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="Run folder; one with a checkpoint is resumed.")
]
ConfigOption = Annotated[Path | None, typer.Option(metavar="TOML", help="Settings of the run.")]
StepsOption = Annotated[int | None, typer.Option(help="Steps to train, above the settings file.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of everything random, above the settings file.")]
DeviceOption = Annotated[Literal["cpu", "cuda"] | None, typer.Option(help="Where to train, above the settings file.")]
ValidOption = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Pictures to validate on, above the settings file.")
]
StartOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Weights to begin with, above the settings file.")
]
WeightsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write the weights here; FOLDER always gets them.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the file of --weights-out.")]

ConfigT = TypeVar("ConfigT", bound="LoopConfig")

app = typer.Typer(help="Train networks on your own pictures.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train networks on your own pictures."""


@app.command("codec")
def train_codec(
    images: ImagesArgument,
    output: OutputOption,
    config: ConfigOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    valid: ValidOption = None,
    start_from: StartOption = None,
    weights_out: WeightsOption = None,
    force: ForceOption = False,
) -> None:
    """Train the codec lucid; the run folder gets checkpoint, settings, log, curves and weights.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp train codec photographs -o runs/first --valid others --steps 20000
    """
    from miscomp.training.codec import train_codec as train
    from miscomp.training.config import TrainConfig

    check_places(output, weights_out, force=force)
    given = {"steps": steps, "seed": seed, "device": device, "valid": valid, "start": start_from}
    settings = settings_of(config, TrainConfig, given)
    tell_weights(run_training(partial(train, images, output, settings), settings), weights_out)


@app.command("detector")
def train_detector(
    images: ImagesArgument,
    output: OutputOption,
    config: ConfigOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    valid: ValidOption = None,
    start_from: StartOption = None,
    weights_out: WeightsOption = None,
    force: ForceOption = False,
) -> None:
    """Train the learned detector on changes of meaning that are planted in photographs on the fly.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp train detector photographs -o runs/detector --valid others --steps 6000
    """
    from miscomp.training.config import DetectorConfig
    from miscomp.training.detector import train_detector as train

    check_places(output, weights_out, force=force)
    given = {"steps": steps, "seed": seed, "device": device, "valid": valid, "start": start_from}
    settings = settings_of(config, DetectorConfig, given)
    tell_weights(run_training(partial(train, images, output, settings), settings), weights_out)


@app.command("jpegsim")
def train_jpegsim(
    images: ImagesArgument,
    output: OutputOption,
    config: ConfigOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    valid: ValidOption = None,
    start_from: StartOption = None,
    weights_out: WeightsOption = None,
    force: ForceOption = False,
) -> None:
    """Train UNetJPEG, a network that does to pictures what JPEG does, so that others can be trained through it.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp train jpegsim photographs -o runs/jpegsim --valid others --steps 20000
    """
    from miscomp.training.config import JpegSimConfig
    from miscomp.training.jpegsim import train_jpegsim as train

    check_places(output, weights_out, force=force)
    given = {"steps": steps, "seed": seed, "device": device, "valid": valid, "start": start_from}
    settings = settings_of(config, JpegSimConfig, given)
    tell_weights(run_training(partial(train, images, output, settings), settings), weights_out)


def check_places(output: Path, weights_out: Path | None, *, force: bool) -> None:
    """Refuse what would be overwritten before anything begins."""
    if weights_out is not None and (weights_out.is_dir() or (weights_out.exists() and not force)):
        raise UsageError(f"{weights_out} exists; choose another --weights-out, or give --force to overwrite a file")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; a run needs a folder behind -o")


def tell_weights(written: Path | None, weights_out: Path | None) -> None:
    """Print where the weights are, after copying them to where they are wanted too."""
    if written is None:
        return
    if weights_out is not None and weights_out.resolve() != written.resolve():
        weights_out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, weights_out)
        written = weights_out
    typer.echo(written)


def settings_of(file: Path | None, kind: type[ConfigT], given: dict[str, Any]) -> ConfigT:
    """The settings of the file, if there is one, under those given on the command line."""
    from miscomp.training.config import load_config

    overrides = {name: value for name, value in given.items() if value is not None}
    return load_config(file, kind, overrides) if file is not None else kind(**overrides)


def run_training(train: Callable[..., Path], config: LoopConfig) -> Path | None:
    """Train; the weights file, or none in a process that does not write.

    A signal that asks for the end leaves with the exit code that is usual for it, after a checkpoint.
    """
    from miscomp.training.loop import Stopped
    from miscomp.training.processes import open_accelerator

    accelerator = None
    with catching_signals() as caught, showing_training(caught) as around:
        try:
            written = train(around=around)
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
