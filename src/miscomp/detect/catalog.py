"""The one registry of detectors; the code of a detector is imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from miscomp.errors import UsageError
from miscomp.registry import Registry, load

if TYPE_CHECKING:
    from miscomp.detect.base import Detector, RelevanceSource
    from miscomp.detect.reader import TextReader


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRow:
    """Everything about a detector."""

    name: str
    build: str
    """`module:function`, called with `reader`, a `TextReader` or none where text is not to be read."""
    description: str
    reads_text: bool = False
    takes_sources: bool = False
    """Whether it is also called with `sources`, `RelevanceSource`s that propose further places: faces, for one."""
    baseline: bool = False
    """Whether it is there to be compared with only."""


_BASELINES = "miscomp.detect.baselines"

DETECTORS: Registry[DetectorRow] = Registry(
    "detector",
    [
        DetectorRow(
            name="fused",
            build="miscomp.detect.fused:open_fused",
            description="network, rules, text and faces, joined into one score",
            reads_text=True,
            takes_sources=True,
        ),
        DetectorRow(
            name="learned",
            build="miscomp.detect.learned:open_learned",
            description="a small siamese network that answers the labelers' four questions",
        ),
        DetectorRow(
            name="rules",
            build="miscomp.detect.rules:open_rules",
            description="the labelers' decision tree with rules for its four questions",
            reads_text=True,
            takes_sources=True,
        ),
        DetectorRow(
            name="difference",
            build=f"{_BASELINES}:difference",
            description="squared difference, blurred",
            baseline=True,
        ),
        DetectorRow(name="ssim", build=f"{_BASELINES}:ssim", description="map of 1 - SSIM", baseline=True),
        DetectorRow(
            name="gmsd",
            build=f"{_BASELINES}:gmsd",
            description="map of 1 - gradient magnitude similarity",
            baseline=True,
        ),
        DetectorRow(
            name="ciede2000",
            build=f"{_BASELINES}:ciede2000",
            description="squared colour difference CIEDE2000, blurred",
            baseline=True,
        ),
        DetectorRow(
            name="text",
            build=f"{_BASELINES}:text",
            description="words whose reading changed, and nothing else",
            reads_text=True,
            baseline=True,
        ),
        DetectorRow(
            name="random",
            build=f"{_BASELINES}:random",
            description="boxes at random places, of the sizes that miscompressions have",
            baseline=True,
        ),
    ],
)


def open_detector(name: str, *, reader: TextReader | None = None, sources: Sequence[RelevanceSource] = ()) -> Detector:
    """The detector of that name; `reader` reads text and `sources` propose places for those that take them.

    Raises `UnknownName`, and `UsageError` for sources that the detector does not take.
    """
    row = DETECTORS[name]
    if sources and not row.takes_sources:
        takers = ", ".join(other.name for other in DETECTORS if other.takes_sources)
        raise UsageError(f"the detector {name} does not look for faces; those that can: {takers}")
    more = {"sources": sources} if row.takes_sources else {}
    return cast("Detector", load(row.build)(reader=reader, **more))
