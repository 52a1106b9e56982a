"""Where the studies find the Kodak images that they measure unless others are named."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from miscomp.images import list_images


def kodak(parser: argparse.ArgumentParser) -> list[Path]:
    """The images in $MISCOMP_DATA/kodak; ends the program, as a wrong option does, where that is not set."""
    if "MISCOMP_DATA" not in os.environ:
        parser.error("name pictures, or set MISCOMP_DATA")
    return list_images(Path(os.environ["MISCOMP_DATA"]) / "kodak")
