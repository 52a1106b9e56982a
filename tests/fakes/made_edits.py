"""Edits as tests of kinds ask for them: anywhere in a picture of 256 x 256 pixels, and pasted into it."""

from __future__ import annotations

import numpy as np

from miscomp.images import Pixels
from miscomp.plant.edits import Edit, Kind
from miscomp.records import Box


def inside(box: Box) -> bool:
    """Every place of the picture is free."""
    return box.right <= 256 and box.bottom <= 256


def edited(kind: Kind, pixels: Pixels, strength: float, seed: int = 0) -> tuple[Edit, Pixels]:
    """The edit and the whole changed picture."""
    edit = kind(pixels, strength, np.random.default_rng(seed), free=inside)
    assert edit is not None
    after = pixels.copy()
    region = edit.region
    assert (after[region.y : region.bottom, region.x : region.right] == edit.before).all()
    after[region.y : region.bottom, region.x : region.right] = edit.after
    return edit, after
