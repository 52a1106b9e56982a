"""The one registry of kinds of plants; the code of a kind is imported on first use."""

from __future__ import annotations

from miscomp.plant.edits import KindRow
from miscomp.registry import Registry

_WRITTEN = "miscomp.plant.written"
_SIGNS = "miscomp.plant.signs"
_THINGS = "miscomp.plant.things"
_FORMS = "miscomp.plant.forms"
_NEGATIVES = "miscomp.plant.negatives"

KINDS: Registry[KindRow] = Registry(
    "kind of plant",
    [
        KindRow(
            name="character",
            target=f"{_WRITTEN}:character",
            category="SHAPE",
            symbol=True,
            description="one letter or digit of a sign, plate, clock or display becomes another of the same font",
            weight=3.0,
        ),
        KindRow(
            name="text-erased",
            target=f"{_WRITTEN}:text_erased",
            category="AMPLITUDE",
            symbol=True,
            description="a word, or letters of it, fade into the sign",
        ),
        KindRow(
            name="text-blurred",
            target=f"{_WRITTEN}:text_blurred",
            category="SHAPE",
            symbol=True,
            description="letters are smeared until they cannot be read",
        ),
        KindRow(
            name="clock-hand",
            target=f"{_SIGNS}:clock_hand",
            category="GEOMETRY",
            symbol=True,
            description="a hand of a clock points elsewhere",
        ),
        KindRow(
            name="arrow-mirrored",
            target=f"{_SIGNS}:arrow_mirrored",
            category="GEOMETRY",
            symbol=True,
            description="an arrow on a sign points the other way",
        ),
        KindRow(
            name="signal",
            target=f"{_SIGNS}:signal",
            category="AMPLITUDE",
            symbol=True,
            description="a lamp of a traffic light, or a display, goes off or on",
        ),
        KindRow(
            name="removed",
            target=f"{_THINGS}:removed",
            category="AMPLITUDE",
            description="a small object is gone, its surroundings in its place",
            weight=2.0,
        ),
        KindRow(
            name="inserted",
            target=f"{_THINGS}:inserted",
            category="AMPLITUDE",
            description="a small object from elsewhere in the picture has come in",
        ),
        KindRow(
            name="recoloured",
            target=f"{_THINGS}:recoloured",
            category="AMPLITUDE",
            description="an object has another colour",
        ),
        KindRow(
            name="light",
            target=f"{_THINGS}:light",
            category="AMPLITUDE",
            description="a bright spot or window has gone dark, or a dark one bright",
        ),
        KindRow(
            name="mark-removed",
            target=f"{_THINGS}:mark_removed",
            category="AMPLITUDE",
            description="a fine mark is gone: a dot, a cable, an antenna, a cross",
        ),
        KindRow(
            name="warped",
            target=f"{_FORMS}:warped",
            category="GEOMETRY",
            description="an object is bent by a smooth displacement",
        ),
        KindRow(
            name="shifted",
            target=f"{_FORMS}:shifted",
            category="GEOMETRY",
            description="an object stands elsewhere, its old place filled",
        ),
        KindRow(
            name="rotated",
            target=f"{_FORMS}:rotated",
            category="GEOMETRY",
            description="an object is turned about its middle",
        ),
        KindRow(
            name="contour",
            target=f"{_FORMS}:contour",
            category="SHAPE",
            description="an object's outline changed: a corner cut, a hole filled, a piece added",
            weight=2.0,
        ),
        KindRow(
            name="texture",
            target=f"{_NEGATIVES}:texture",
            category="",
            label=False,
            description="a patch of texture replaced by another patch of the same texture",
        ),
        KindRow(
            name="texture-edited",
            target=f"{_NEGATIVES}:texture_edited",
            category="",
            label=False,
            description="an edit of an object's strength in grass, foliage, sky or water, where nothing is distinct",
        ),
        KindRow(
            name="inpainted",
            target=f"{_NEGATIVES}:inpainted",
            category="",
            label=False,
            description="a spot painted over with what was around it, where nothing stood",
        ),
    ],
)

SEAM = "seam"
"""Kind of a hard negative that is made after coding: a patch coded at a low rate within a high one."""

NATURAL = "natural-text"
"""Kind of a known word that nobody changed but the codec; a reading decides whether it is a label."""
