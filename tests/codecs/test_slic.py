"""`slic`: lucid's networks with weights that make its pictures destroy themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_lucid import cosine_weights, photograph, some_map, tiny_model, tiny_weights
from typer.testing import CliRunner

from miscomp import images
from miscomp.cli.app import app
from miscomp.codecs.catalog import CODECS, detect_codec, open_codec
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.lucid_weights import write_weights
from miscomp.errors import StreamError, UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr_pixels

skimage_data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def x() -> Pixels:
    """NASA's astronaut, 256 x 256 of it."""
    pixels: Pixels = np.ascontiguousarray(skimage_data.astronaut()[:256, 128:384])
    return pixels


def test_its_own_pictures_are_destroyed_and_others_are_not(x: Pixels) -> None:
    slic, lucid = open_codec("slic"), open_codec("lucid")
    quality = CODECS["slic"].qualities.default
    x1 = slic.decompress(slic.compress(x, quality))
    x2 = slic.decompress(slic.compress(x1, quality))
    assert psnr_pixels(x, x1) > 29
    assert psnr_pixels(x1, x2) < 8
    # The same picture by the codec that it was trained from survives.
    other = lucid.decompress(lucid.compress(x, quality))
    assert psnr_pixels(other, slic.decompress(slic.compress(other, quality))) > 29


def test_files_of_the_two_codecs_are_told_apart() -> None:
    pixels = photograph(64, 80)
    one, two = Lucid(tiny_weights()), Lucid(tiny_weights(), name="slic")
    assert (one.name, two.name) == ("lucid", "slic")
    content = two.compress(pixels, 0.65)
    assert detect_codec(content) == "slic" and detect_codec(one.compress(pixels, 0.65)) == "lucid"
    # Equal weights, another format id: the pictures are the same, the files are not taken for each other's.
    assert np.array_equal(two.decompress(content), one.decompress(one.compress(pixels, 0.65)))
    with pytest.raises(StreamError, match="18, which is not lucid's"):
        one.decompress(content)


def test_it_keeps_to_the_qualities_that_it_was_trained_for_and_takes_no_map() -> None:
    codec, pixels = Lucid(tiny_weights(), name="slic"), photograph(64, 80)
    for quality in (0.3, 0.9):
        with pytest.raises(UsageError, match=r"a number from 0\.5 to 0\.8"):
            codec.compress(pixels, quality)
    with pytest.raises(UsageError, match="slic takes no quality map"):
        codec.compress(pixels, 0.65, quality_map=some_map(64, 80))


def test_files_made_with_weights_of_ones_own_come_back_with_them(tmp_path: Path) -> None:
    weights, stream, out = (tmp_path / name for name in ("own.safetensors", "photo.misc", "photo.png"))
    write_weights(tiny_model(), weights)
    stream.write_bytes(Lucid(weights, name="slic").compress(photograph(64, 80), 0.65))
    run = CliRunner().invoke(app, ["decompress", str(stream), "-o", str(out), "--weights", str(weights)])
    assert run.exit_code == 0, run.output
    assert images.read(out).pixels.shape == (64, 80, 3)
    other = Lucid(cosine_weights(), name="slic").compress(photograph(64, 80), 0.6)
    with pytest.raises(StreamError, match="--weights"):
        Lucid(tiny_weights(), name="slic").decompress(other)
