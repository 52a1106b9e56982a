"""The verb `secure`: codecs whose pictures destroy themselves when they are compressed again."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from miscomp.cli.secure_compress import compress
from miscomp.cli.secure_evaluate import evaluate
from miscomp.cli.secure_verify import calibrate, locate, verify
from miscomp.cli.train_commands import (
    ConfigOption,
    DeviceOption,
    ForceOption,
    ImagesArgument,
    OutputOption,
    SeedOption,
    StartOption,
    StepsOption,
    ValidOption,
    WeightsOption,
    check_places,
    run_training,
    settings_of,
    tell_weights,
)

app = typer.Typer(
    help="Train, use and test a codec whose pictures destroy themselves when they are compressed again.",
    no_args_is_help=True,
)


@app.callback()
def _secure() -> None:
    """Train, use and test a codec whose pictures destroy themselves when they are compressed again."""


@app.command("train")
def train_secure(
    images: ImagesArgument,
    output: OutputOption,
    base: Annotated[
        str | None,
        typer.Option(metavar="CODEC", help="Codec to begin with: lucid, mbt2018@q8, ...; above the settings file."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="What tells pictures apart in the loss, above the settings file.")
    ] = None,
    config: ConfigOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    valid: ValidOption = None,
    start_from: StartOption = None,
    weights_out: WeightsOption = None,
    force: ForceOption = False,
) -> None:
    """Train a codec to destroy its own pictures when it compresses them again, edited or not.

    A run that was cut off goes on where its last checkpoint stands when the same command is given again.

    Example: miscomp secure train photographs -o runs/slic --valid others --steps 8000
    """
    from miscomp.secure.config import SecureConfig
    from miscomp.secure.train import train_secure as train

    check_places(output, weights_out, force=force)
    given = {"steps": steps, "seed": seed, "device": device, "valid": valid, "start": start_from}
    settings = settings_of(config, SecureConfig, {**given, "base": base, "metric": metric})
    tell_weights(run_training(partial(train, images, output, settings), settings), weights_out)


app.command("compress")(compress)
app.command("verify")(verify)
app.command("locate")(locate)
app.command("calibrate")(calibrate)
app.command("evaluate")(evaluate)
