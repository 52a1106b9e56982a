"""The verb `train`: one command per thing that can be trained, all on the one training loop."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from miscomp.cli.talk import tell
from miscomp.errors import UsageError

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
    weights_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the weights here; FOLDER always gets them.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file of --weights-out.")] = False,
) -> None:
    """Train the codec lucid; the run folder gets checkpoint, settings, log and weights.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp train codec photographs -o runs/first --steps 20000
    """
    if weights_out is not None and (weights_out.is_dir() or (weights_out.exists() and not force)):
        raise UsageError(f"{weights_out} exists; choose another --weights-out, or give --force to overwrite a file")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; a run needs a folder behind -o")
    from miscomp.training.codec import train_codec as train
    from miscomp.training.config import TrainConfig, load_config

    given = {"steps": steps, "seed": seed, "device": device}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = load_config(config, overrides) if config is not None else TrainConfig(**overrides)
    written = train(images, output, settings, talk=tell)
    if weights_out is not None and weights_out.resolve() != written.resolve():
        weights_out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, weights_out)
        written = weights_out
    typer.echo(written)
