"""A corpus with pictures alone, as screeners find it; quicker to make than one with reconstructions."""

from __future__ import annotations

from pathlib import Path

from corpora import add_picture, picture, small_config

from miscomp.corpus.corpus import Corpus, create_corpus


def bare_corpus(folder: Path, *, images: int, **settings: object) -> Corpus:
    """Pictures of 96 x 80 pixels, nothing else."""
    corpus = create_corpus(folder, small_config(**settings))
    for number in range(images):
        add_picture(corpus, picture(number, width=96, height=80), name=f"ramp{number}.png")
    return corpus
