"""Photographs that come inside the wheels of scikit-image and scikit-learn; nothing is downloaded.

Only these lie in the wheels: seven colour photographs of the world as it is, and three grey ones with a person,
with portraits on coins and with print. (Both packages offer more, but fetch it from the network.)
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from miscomp.errors import MissingExtra

DEMO_CODECS = ("lucid@0.15bpp", "jpeg@like:lucid")
"""A rate at which meaning breaks, and JPEG with as many bytes for each photograph."""

_CC_BY = "CC BY 2.0"
_CC0 = "CC0"
_NOT_STATED = "licence not stated by the package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A photograph inside an installed package."""

    package: str
    """Name to import."""
    file: str
    """Path inside the package."""
    shows: str
    credit: str
    licence: str


def _skimage(file: str, shows: str, credit: str, licence: str) -> Photograph:
    return Photograph(package="skimage", file=f"data/{file}", shows=shows, credit=credit, licence=licence)


def _sklearn(file: str, shows: str, credit: str) -> Photograph:
    file = f"datasets/images/{file}"
    return Photograph(package="sklearn", file=file, shows=shows, credit=credit, licence=_CC_BY)


PHOTOGRAPHS: tuple[Photograph, ...] = (
    _skimage("astronaut.png", "Eileen Collins, name badge and mission patches", "NASA", "public domain"),
    _skimage("camera.png", "a man with a camera, grey", "Lav Varshney", _CC0),
    _skimage("chelsea.png", "a cat's face", "Stefan van der Walt", _CC0),
    _sklearn("china.jpg", "a temple under ornate eaves", "danielbuechele on Flickr"),
    _skimage("coffee.png", "a cup and a spoon", "Rachel Michetti, courtesy of Pikolo Espresso Bar", _CC0),
    _skimage("coins.png", "Greek coins from Pompeii, grey", "Brooklyn Museum", "no known restrictions"),
    _sklearn("flower.jpg", "a dahlia", "vultilion on Flickr"),
    _skimage(
        "motorcycle_left.png", "a motorcycle among tools", "Scharstein et al., Middlebury Stereo 2014", _NOT_STATED
    ),
    _skimage("page.png", "printed text in uneven light, grey", "unknown", _NOT_STATED),
    _skimage("rocket.jpg", "a rocket on its launch pad, with lettering", "SpaceX", "public domain"),
)

_DISTRIBUTION = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def find(photograph: Photograph) -> Path:
    """Return where the photograph lies, without importing its package. Raises `MissingExtra`."""
    package = _DISTRIBUTION[photograph.package]
    spec = find_spec(photograph.package)
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(folder) / photograph.file
        if path.is_file():
            return path
    raise MissingExtra(f"{package} with its {photograph.file}", "demo", "the demo")


def credits() -> str:
    """Who made the photographs and under which licence, as a text file."""
    lines = [
        f"{Path(photo.file).name}: {photo.shows}. {photo.credit}; {photo.licence} (from {_DISTRIBUTION[photo.package]})"
        for photo in PHOTOGRAPHS
    ]
    return "The photographs of this demo, and their reconstructions, are by others:\n\n" + "\n".join(lines) + "\n"
