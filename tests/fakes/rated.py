"""Ratings without boxes: written out, or of simulated labelers, whose tiles of an image may be alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miscomp.stats.ratings import Ratings

PREVALENCE = 0.25


def rated(units: Sequence[Sequence[int]], image: Sequence[int] | None = None) -> Ratings:
    """Units by labelers; each unit an image of its own, unless said."""
    values = np.array(units, dtype=np.int8)
    number = np.arange(len(values)) if image is None else np.array(image, dtype=np.int64)
    return Ratings(values=values, image=number, labelers=tuple("abcdefghij"[: values.shape[1]]))


def rated_tiles(
    images: int, tiles: int, *, error: float, rng: np.random.Generator, labelers: int = 3, alike: float = 1.0
) -> Ratings:
    """Labelers who are each wrong at a rate of `error` about truth that holds in a quarter of the tiles (`PREVALENCE`).

    How often it holds in an image is drawn from Beta(alike, 3 alike): the smaller, the more alike its tiles are.
    """
    truth = rng.random((images, tiles)) < rng.beta(alike, 3 * alike, images)[:, None]
    wrong = rng.random((images, tiles, labelers)) < error
    values = (truth[..., None] ^ wrong).reshape(-1, labelers).astype(np.int8)
    names = tuple("abcdefghij"[:labelers])
    return Ratings(values=values, image=np.repeat(np.arange(images), tiles), labelers=names)
