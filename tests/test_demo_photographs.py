"""The demo's photographs lie in the installed wheels and open with the network closed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from miscomp.codecs.spec import parse_spec
from miscomp.demo import DEMO_CODECS, PHOTOGRAPHS, credits, find
from miscomp.errors import MissingExtra
from miscomp.images import Picture, read


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    if not (find_spec("skimage") and find_spec("sklearn")):
        pytest.skip("the extra 'demo' is not installed")
    return [read(find(photograph)) for photograph in PHOTOGRAPHS]


def test_there_are_at_least_eight_different_photographs(pictures: list[Picture]) -> None:
    assert len({picture.pixel_sha256 for picture in pictures}) == len(PHOTOGRAPHS) >= 8
    assert len({picture.path.stem for picture in pictures}) == len(PHOTOGRAPHS)


def test_they_are_photographs_of_which_seven_have_colour(pictures: list[Picture]) -> None:
    """A drawing has few grey values; a grey photograph has equal channels."""
    assert all(len(np.unique(picture.pixels[..., 1])) > 150 for picture in pictures)
    colours = [photo for photo, picture in zip(PHOTOGRAPHS, pictures, strict=True) if np.ptp(picture.pixels, -1).any()]
    assert len(colours) == 7
    assert all("grey" in photo.shows for photo in PHOTOGRAPHS if photo not in colours)


def test_they_are_small_enough_for_a_demo_of_minutes(pictures: list[Picture]) -> None:
    assert sum(picture.width * picture.height for picture in pictures) < 2.5e6


def test_the_credits_name_every_photograph_and_its_licence() -> None:
    lines = credits().splitlines()
    for photograph in PHOTOGRAPHS:
        (line,) = (line for line in lines if line.startswith(photograph.file.rpartition("/")[2]))
        assert photograph.credit in line and photograph.licence in line


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miscomp.demo.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"scikit-image with its data/astronaut.png.*miscomp\[demo\]"):
        find(PHOTOGRAPHS[0])


def test_the_codecs_are_a_low_rate_and_the_same_rate_of_another_codec() -> None:
    first, second = map(parse_spec, DEMO_CODECS)
    assert first.bpp is not None and first.bpp < 0.3
    assert second.like == first.name
