"""The CSV tables: the two of SCLIC, and what is needed to read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from miscomp.corpus.exports.release import Release
from miscomp.corpus.exports.snapshot import Snapshot, SourceRow
from miscomp.corpus.remarks import Flag, Review
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.tables import write


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an export, whatever it is written as."""

    name: str
    record: Any
    """The class of its rows, one column a field."""
    rows: Sequence[Any]
    about: str


def tables_of(snapshot: Snapshot) -> tuple[Table, ...]:
    """All tables."""
    return (
        Table("annotations", Annotation, snapshot.annotations, "boxes around miscompressions, one a row"),
        Table("images", ImageRow, snapshot.images, "one reconstruction a row: its size, rate and quality"),
        Table("models", ModelRow, snapshot.models, "codecs and settings"),
        Table("views", View, snapshot.views, "who has looked at which reconstruction, and when"),
        Table("sources", SourceRow, snapshot.sources, "one photograph a row: hashes, source, licence, split"),
        Table(
            "reviews", Review, snapshot.reviews, "second looks: what others than its labeler say of a box, one a row"
        ),
        Table("flags", Flag, snapshot.flags, "what labelers say of whole reconstructions, one a row"),
    )


def write_tables(release: Release) -> None:
    """Write `annotations.csv` and its siblings."""
    for table in tables_of(release.snapshot):
        write(release.at(f"{table.name}.csv"), table.record, table.rows)
