"""Small pictures for runs that measure codecs: a ramp under noise, so that rate and quality rise with the setting."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from miscomp.images import write_png


def noisy_ramps(folder: Path) -> Path:
    """Make the folder with a.png and b.png, 64 x 48 pixels; returns it."""
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        noise = np.random.default_rng(seed).normal(0, 20, (48, 64, 3))
        ramp = np.linspace(40, 200, 64)[:, None]
        write_png(folder / name, np.clip(ramp + noise, 0, 255).astype(np.uint8))
    return folder
