"""The command line: which verbs there are, how errors become messages and exit codes, and what is logged.

Exit codes: 0 all done, 1 some inputs failed, 2 the request itself was wrong, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from typer.main import get_group

from miscomp.cli.lazy import CommandRow, LazyGroup
from miscomp.cli.talk import tell
from miscomp.errors import MiscompError, UsageError, WeightsError
from miscomp.registry import Registry

COMMANDS: Registry[CommandRow] = Registry(
    "command",
    [
        CommandRow(
            name="audit",
            target="miscomp.cli.audit_commands:audit",
            help="Find where a codec may have changed what photographs mean, and write a report.",
        ),
        CommandRow(
            name="describe",
            target="miscomp.cli.describe_commands:describe",
            help="Let a vision-language model of yours describe both sides of an audit's findings.",
        ),
        CommandRow(
            name="compress",
            target="miscomp.cli.codec_commands:compress",
            help="Compress images to real files with any codec, at a quality or at a rate.",
        ),
        CommandRow(
            name="decompress",
            target="miscomp.cli.codec_commands:decompress",
            help="Decompress files to PNG; the codec is told from each file's content, not from its name.",
        ),
        CommandRow(
            name="codecs",
            target="miscomp.cli.codec_list:codecs",
            help="List every codec with its qualities, weights and licences.",
        ),
        CommandRow(
            name="weights",
            target="miscomp.cli.weights_commands:app",
            help="Fetch the published weights of codecs and metrics, and check those that were fetched.",
        ),
        CommandRow(
            name="evaluate",
            target="miscomp.cli.evaluate_commands:evaluate",
            help="Measure codecs: rate, quality and speed of real files, curves and how far they lie apart.",
        ),
        CommandRow(
            name="plant",
            target="miscomp.cli.plant_commands:plant",
            help="Make pairs with known miscompressions: photographs changed in meaning, then coded.",
        ),
        CommandRow(
            name="benchmark",
            target="miscomp.cli.benchmark_commands:benchmark",
            help="Score detectors on pairs whose changes of meaning are known: how much they find, and what is false.",
        ),
        CommandRow(
            name="train",
            target="miscomp.cli.train_commands:app",
            help="Train networks on your own pictures.",
        ),
        CommandRow(
            name="secure",
            target="miscomp.cli.secure_commands:app",
            help="Train, use and test a codec whose pictures destroy themselves when they are compressed again.",
        ),
        CommandRow(
            name="corpus",
            target="miscomp.cli.corpus_commands:app",
            help="Build a corpus of miscompressions from photographs, give it to labelers, publish it.",
        ),
        CommandRow(
            name="annotate",
            target="miscomp.cli.annotate_commands:app",
            help="Serve a corpus to labelers in the browser, for one person or a lab.",
        ),
        CommandRow(
            name="agree",
            target="miscomp.cli.agree_commands:agree",
            help="Measure how well labelers agree on where images were miscompressed.",
        ),
        CommandRow(
            name="stats",
            target="miscomp.cli.stats_commands:stats",
            help="Describe what labelers found: how often, how much, of what kind, and how codecs compare.",
        ),
        CommandRow(
            name="disclose",
            target="miscomp.cli.disclose_commands:app",
            help="Say what a codec may have changed: in a picture's file, in a signed manifest, and to the eye.",
        ),
        CommandRow(
            name="demo",
            target="miscomp.cli.demo_commands:demo",
            help="Audit bundled photographs: a neural codec at a low rate, beside JPEG at the same rate.",
        ),
    ],
)

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Commands(LazyGroup):
    rows = COMMANDS


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExample:\n  miscomp audit photos --codec lucid@0.25bpp --codec jpeg@like:lucid -o report",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"miscomp {version('miscomp')}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, show_default=False, help="Tell more on stderr; -vv still more."),
    ] = 0,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Find miscompressions: places where a lossy image codec changed what a picture means."""
    logging.basicConfig(level=_LEVELS[min(verbose, 2)], stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; `arguments` are the process's own where none are given.

    An interrupt leaves with 130 and a closed pipe with 1, both without a message.
    """
    # Torch then asks Linux for large pages: a picture's tensors of a hundred megabytes are got in half the time, which
    # makes networks some 20 % faster. It reads this when it first takes memory; a user's own setting stands.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        get_group(app).main(args=arguments, prog_name="miscomp")
    except MiscompError as error:
        tell(f"miscomp: {error}")
        # Weights that are not there or do not fit are told before anything begins: the request cannot be carried out.
        sys.exit(2 if isinstance(error, UsageError | WeightsError) else 1)
    except OSError as error:  # no command can foresee a full disk or a folder that is taken away under it
        tell(f"miscomp: {error}; check the path, its permissions and the space on its disk")
        sys.exit(1)
    sys.exit(0)
