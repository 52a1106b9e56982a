"""What an import would add to a corpus: every row of its tables checked, nothing written yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from miscomp.corpus.entries import Action, LabelEvent, ModelEntry, MultiFlag, Reconstruction, Seen, SourceImage
from miscomp.corpus.imports.known import Known, Models, Pair, find_image, key_of
from miscomp.corpus.imports.mapping import Mapping
from miscomp.corpus.imports.rows import (
    annotation,
    annotation_uuid,
    box_of,
    flag,
    foreign_id,
    image_row,
    new_reconstruction,
    new_source,
    seen,
    values_of,
)
from miscomp.corpus.imports.tables import Problem, Row, Table
from miscomp.corpus.labels import PEOPLE
from miscomp.records import ImageRow

_UNKNOWN = "unknown"
"""Who flagged a picture in a table of miscomp's own, where only the picture's row says that somebody did."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the table of images says of a pair."""

    width: int
    height: int
    annotations: int | None
    row: Row


@dataclass(slots=True, kw_only=True)
class Plan:
    """Rows to be added, rows that were refused, and what disagrees."""

    tables: list[Table] = field(default_factory=list)
    models: list[ModelEntry] = field(default_factory=list)
    sources: dict[str, SourceImage] = field(default_factory=dict)
    made: dict[Pair, Reconstruction] = field(default_factory=dict)
    labels: dict[str, LabelEvent] = field(default_factory=dict)
    flags: dict[str, MultiFlag] = field(default_factory=dict)
    seen: dict[tuple[str, str, str, str], Seen] = field(default_factory=dict)
    stated: dict[Pair, Stated] = field(default_factory=dict)
    """Every good row of the table of images."""
    drawn: Counter[Pair] = field(default_factory=Counter)
    """Boxes of good rows that people drew."""
    there: Counter[str] = field(default_factory=Counter)
    """Good rows that the corpus has already, by what they are."""
    problems: list[Problem] = field(default_factory=list)
    notes: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What was taken and yet disagrees, by kind."""

    @property
    def rows(self) -> dict[str, int]:
        """How many rows would be added, by what they are."""
        return {
            "models": len(self.models),
            "images": len(self.sources),
            "reconstructions": len(self.made),
            "annotations": len(self.labels),
            "flags": len(self.flags),
            "views": len(self.seen),
        }


@dataclass(frozen=True, slots=True)
class Planner:
    """Reads tables into a plan."""

    known: Known
    models: Models
    mapping: Mapping
    plan: Plan
    labeler: str = ""
    """For rows that name none; empty: the mapping's."""
    model: str = ""
    """For all rows of annotations; empty: as they say."""
    _met: set[str] = field(default_factory=set)
    """Boxes of the tables that the corpus has already."""

    def read(self, table: Table) -> None:
        """Take in every row of a table; what is wrong with one is listed, and the others go on."""
        self.plan.tables.append(table)
        if table.unused:
            self.plan.notes[f"columns of {table.path} that were not used"] += table.unused
        take = {
            "sources": self._source,
            "images": self._image,
            "annotations": self._annotation,
            "views": self._view,
        }[table.role]
        for row in table.rows():
            if isinstance(row, Problem):
                self.plan.problems.append(row)
                continue
            try:
                take(row)
            except ValueError as error:
                self.plan.problems.append(row.problem(error))

    def finish(self) -> None:
        """What can only be said once all rows are there: models, flags, and whether the counts are right."""
        used = {model for _, model in self.plan.stated}
        self.plan.models += [entry for name in sorted(used) if (entry := self.models.entry(name))]
        marked = {(one.image_sha1, one.model) for one in self.plan.labels.values() if one.multi}
        for pair, one in self.plan.stated.items():
            if one.row.truth("multi") is not False:
                if pair in self.known.flagged:
                    self.plan.there["flags"] += 1
                elif pair not in marked:
                    self._flag(pair, one.row)
            if one.annotations is not None and one.annotations != self.plan.drawn[pair]:
                self.plan.notes["images whose number of annotations is not that of the boxes"].append(
                    f"line {one.row.line}: {pair[0][:8]}-{pair[1]} states {one.annotations}, "
                    f"has {self.plan.drawn[pair]}"
                )

    def _source(self, row: Row) -> None:
        sha1 = find_image(row, self.known)
        if sha1 in self.plan.sources:
            raise ValueError(f"{sha1} was there before; each image stands once")
        if sha1 in self.known.sources:
            self.plan.there["images"] += 1
        else:
            self.plan.sources[sha1] = new_source(row, sha1, self.mapping.defaults)

    def _image(self, row: Row) -> None:
        pair = (find_image(row, self.known), self.models.find(row))
        if pair in self.plan.stated:
            line = self.plan.stated[pair].row.line
            raise ValueError(
                f"{pair[0]} by {pair[1]} was there before, in line {line}; each image and model stands once"
            )
        checked, count = image_row(row, *pair)
        there = self.known.sources.get(pair[0]) or self.plan.sources.get(pair[0])
        if there:
            self._compare(row, checked, there)
        if made := self.known.made.get(pair):
            _need_same(checked, made)
            self.plan.there["reconstructions"] += 1
        else:
            self.plan.made[pair] = new_reconstruction(checked)
        if not there:
            self.plan.sources[pair[0]] = new_source(row, pair[0], self.mapping.defaults)
        self.plan.stated[pair] = Stated(checked.width, checked.height, count, row)
        viewed = row.truth("viewed")
        if viewed:
            self._see(seen(row, pair, self._labeler))
        elif viewed is None:
            self._note("texts in the column for viewed that say neither yes nor no", row, repr(row.text("viewed")[:80]))

    @property
    def _labeler(self) -> str:
        return self.labeler or self.mapping.defaults.labeler

    def _note(self, kind: str, row: Row, text: str) -> None:
        self.plan.notes[kind].append(f"line {row.line}: {text}")

    def _compare(self, row: Row, checked: ImageRow, there: SourceImage) -> None:
        if (there.width, there.height) != (checked.width, checked.height):
            raise ValueError(
                f"width x height are {checked.width} x {checked.height}, the same image by another model or in the "
                f"corpus has {there.width} x {there.height}"
            )
        if row.has("source") and there.source != checked.source:
            text = f"{checked.source[:80]!r}, not {there.source[:80]!r}"
            self._note("images whose source is not the one that was there first", row, text)

    def _annotation(self, row: Row) -> None:
        pair = (find_image(row, self.known), self.models.find(row, self.model))
        box_of(row).check_inside(*self._size(pair))
        one = annotation(row, pair, self._labeler, self.mapping.defaults)
        name, standing = annotation_uuid(one), self.known.standing.get(key_of(one))
        if name in self.plan.labels or name in self._met:
            raise ValueError(f"the box {one.id} of {one.labeler} stands twice in the tables; once is enough")
        there = name in self.known.uuids
        if standing and standing != one and not there:
            raise ValueError(
                f"the box {one.id} of {one.labeler} is in the corpus with other values; correct one of them"
            )
        if foreign := foreign_id(row, pair, one.box):
            kind = "ids that are not made of image and box as here; each is kept in its box's note"
            self._note(kind, row, f"{foreign[:80]!r}, here {one.id}")
        if one.origin in PEOPLE:
            self.plan.drawn[pair] += 1
        if there:
            self._met.add(name)
            self.plan.there["annotations"] += 1
        else:
            self.plan.labels[name] = LabelEvent(uuid=name, action=Action.ADD.value, **values_of(one))

    def _size(self, pair: Pair) -> tuple[int, int]:
        """Width and height of a reconstruction that the tables or the corpus have."""
        found = self.plan.stated.get(pair) or self.known.made.get(pair)
        if found is None:
            raise ValueError(f"there is no reconstruction of {pair[0]} by {pair[1]}, neither in the tables nor here")
        return found.width, found.height

    def _flag(self, pair: Pair, row: Row) -> None:
        """A flag on a whole picture; one that was taken back since stays so."""
        labeler = self.labeler or (_UNKNOWN if row.table.own else self.mapping.defaults.labeler)
        one = flag(row, pair, labeler, self.mapping.defaults.time)
        if one.uuid in self.known.uuids:
            self.plan.there["flags"] += 1
            return
        if one.note:
            self._note(
                "texts in the column for multi-miscompressions that were taken as a flag", row, repr(one.note[:80])
            )
        self.plan.flags[one.uuid] = one

    def _view(self, row: Row) -> None:
        pair = (find_image(row, self.known), self.models.find(row))
        self._size(pair)
        self._see(seen(row, pair, row.text("labeler")))

    def _see(self, one: Seen) -> None:
        key = (one.image_sha1, one.model, one.labeler, one.batch)
        there = self.known.seen.get(key) or self.plan.seen.get(key)
        if there is None:
            self.plan.seen[key] = one
        elif there != one:
            raise ValueError(f"{one.labeler} saw {one.image_sha1} by {one.model} at another time too; once is enough")
        else:
            self.plan.there["views"] += 1


def _need_same(checked: ImageRow, made: Reconstruction) -> None:
    """Raise `ValueError` where a table and the corpus say different things of a reconstruction."""
    for name in ("bpp", "psnr", "ssim", "ms_ssim"):
        here, stated = getattr(made, name), getattr(checked, name)
        if stated is not None and here != stated:
            raise ValueError(
                f"{name} is {stated!r}, in the corpus {made.image_sha1} by {made.model} has {here!r}; "
                "a corpus holds one reconstruction of each"
            )
