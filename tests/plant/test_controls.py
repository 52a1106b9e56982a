"""Controls. Oracles: arithmetic on the photograph, and the rates that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
from planted import lawn

from miscomp.codecs.spec import parse_spec
from miscomp.metrics.psnr import psnr_pixels
from miscomp.plant.controls import CONTROLS, control_specs

PHOTO = lawn(96, 128, seed=1, contrast=20)


def made(name: str, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    before = PHOTO.copy()
    after = CONTROLS[name].make(PHOTO, np.random.default_rng(seed))
    assert after.shape == PHOTO.shape and after.dtype == np.uint8 and np.array_equal(PHOTO, before)
    return after


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_changes_the_picture_as_a_whole_and_stays_close(name: str) -> None:
    after = made(name)
    assert (after != PHOTO).any(2).mean() > 0.5 and 20 < psnr_pixels(PHOTO, after) < 45


def test_they_do_what_their_names_say() -> None:
    plain = PHOTO.astype(float)
    assert np.array_equal(made("shifted")[:, 1:], PHOTO[:, :-1])
    assert made("brightness").mean() / plain.mean() == pytest.approx(1.12, abs=0.01)
    assert made("contrast").std() < plain.std() * 0.9
    assert np.std(made("noise") - plain) == pytest.approx(4, abs=0.1)
    rough = [np.abs(np.diff(picture.astype(float), axis=1)).mean() for picture in (made("resized"), plain)]
    assert rough[0] < rough[1] < np.abs(np.diff(made("sharpened").astype(float), axis=1)).mean()
    assert not np.array_equal(made("noise"), made("noise", seed=1))


def test_codecs_are_controls_at_high_rates_beside_jpeg_and_webp() -> None:
    specs = [parse_spec(name) for name in ("lucid@0.25bpp", "lucid@0.75bpp", "jpeg@q30")]
    assert [str(spec) for spec in control_specs(specs)] == [
        "lucid@0.75bpp", "lucid@1.125bpp", "jpeg@0.75bpp", "jpeg@1.125bpp", "webp@0.75bpp", "webp@1.125bpp",
    ]  # fmt: skip
