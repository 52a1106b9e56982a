"""Published curves. Oracle: what plain JPEG and WebP files of the Kodak images measure today."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from miscomp.codecs.classical import Classical
from miscomp.errors import UnknownName, UsageError
from miscomp.evaluate.published import DEFAULT_PUBLISHED, choose_published, is_kodak, published_curves, source
from miscomp.images import Picture, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.ssim import ms_ssim

PLAIN = {
    "jpeg": Classical("jpeg", "JPEG", lambda quality: {"quality": int(quality)}),
    "webp": Classical("webp", "WEBP", lambda quality: {"quality": int(quality)}),
}
"""As the published curves were made: Pillow with nothing but a quality, which is 5, 10 ... 95."""


@pytest.fixture(scope="module")
def kodak(data_folder: Path) -> list[Picture]:
    return [read(path) for path in sorted((data_folder / "kodak").glob("*.png"))]


def test_every_curve_is_whole_and_rises() -> None:
    assert "BSD-3-Clause-Clear" in source()
    for curve in published_curves():
        assert all(low < high for low, high in pairwise(curve.bpp))
        for values in (curve.psnr_db, curve.ms_ssim_db):
            assert values is None or (len(values) == len(curve.bpp) and all(map(math.isfinite, values)))
        # Only the MS-SSIM of what was trained for MS-SSIM tops out; PSNR rises everywhere.
        assert curve.psnr_db is None or list(curve.psnr_db) == sorted(curve.psnr_db)
    # Oracle: the figures as they are cited.
    cited = published_curves()["mbt2018-mean"]
    assert (cited.bpp[3], cited.psnr_db and cited.psnr_db[3]) == pytest.approx((0.4606, 32.95), abs=5e-3)
    eight_bit = published_curves()["mbt2018-mean-8bit"]
    assert cited.psnr_db is not None and eight_bit.psnr_db is not None
    losses = [a - b for a, b in zip(cited.psnr_db, eight_bit.psnr_db, strict=True)]
    assert min(losses) > 0 and max(losses) < 0.07 and losses == sorted(losses)


def test_other_images_get_no_published_curve_and_cannot_ask_for_one(tmp_path: Path) -> None:
    write_png(tmp_path / "kodim01.png", np.zeros((8, 8, 3), np.uint8))
    images = [tmp_path / "kodim01.png"]
    assert (
        choose_published(None, images) == ()
        and choose_published(["none"], images) == choose_published([], images) == ()
    )
    with pytest.raises(UsageError, match="these 1 are not those"):
        choose_published(["vtm"], images)
    with pytest.raises(UnknownName, match="unknown published curve 'mbt'"):
        choose_published(["mbt"], images)
    with pytest.raises(UsageError, match="leave it or the others out"):
        choose_published(["none", "vtm"], images)
    assert not is_kodak(images * 24)


def test_a_file_that_is_no_picture_is_not_kodak(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    assert not is_kodak([tmp_path / "a.png"] * 24)


def test_the_kodak_images_are_known_by_their_pixels(kodak: list[Picture], tmp_path: Path) -> None:
    paths = [picture.path for picture in kodak]
    assert [curve.name for curve in choose_published(None, paths[::-1])] == list(DEFAULT_PUBLISHED)
    assert [curve.name for curve in choose_published(["webp", "jpeg"], paths)] == ["webp", "jpeg"]
    assert not is_kodak(paths[:23]) and not is_kodak([*paths[:23], paths[0]])
    copy = tmp_path / "another name.png"
    write_png(copy, kodak[23].pixels)
    assert is_kodak([*paths[:23], copy])


@pytest.mark.parametrize(
    ("name", "rate", "low_db", "high_db"),
    [
        ("webp", 2e-5, -1e-3, 1e-3),
        # The published JPEGs passed through libjpeg 9, today's through libjpeg-turbo, which treats chroma otherwise.
        ("jpeg", 2e-3, 0.05, 0.15),
    ],
)
def test_plain_files_land_on_the_published_curves(
    kodak: list[Picture], name: str, rate: float, low_db: float, high_db: float
) -> None:
    curve, codec = published_curves()[name], PLAIN[name]
    assert curve.psnr_db is not None
    for quality in (10, 50, 90):
        place = quality // 5 - 1
        contents = [codec.compress(picture.pixels, quality) for picture in kodak]
        bpp = statistics.fmean(8 * len(c) / (768 * 512) for c in contents)
        psnr_db = statistics.fmean(
            psnr_pixels(picture.pixels, codec.decompress(content))
            for picture, content in zip(kodak, contents, strict=True)
        )
        assert bpp == pytest.approx(curve.bpp[place], rel=rate)
        assert low_db < psnr_db - curve.psnr_db[place] < high_db


def test_ms_ssim_of_plain_webp_lands_on_the_published_curve(kodak: list[Picture]) -> None:
    curve, codec = published_curves()["webp"], PLAIN["webp"]
    values = [ms_ssim(picture.pixels, codec.decompress(codec.compress(picture.pixels, 20))) or 0.0 for picture in kodak]
    assert curve.ms_ssim_db is not None
    # 1e-5 of MS-SSIM, the published digits, is 0.001 dB here.
    assert -10 * math.log10(1 - statistics.fmean(values)) == pytest.approx(curve.ms_ssim_db[3], abs=0.002)
