"""The formats of an export by name, in the order in which they are written."""

from __future__ import annotations

from dataclasses import dataclass

from miscomp.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRow:
    """A format."""

    name: str
    target: str
    """`module:function`, called with the `Release`."""
    about: str
    needs: tuple[str, ...] = ()
    """Formats that it describes and that are written with it."""
    pictures: str = ""
    """`module:function` that gives the pictures it holds itself, called with the `Release`."""
    package: str = ""
    """What must be installed for it, and by which extra."""
    extra: str = ""


EXPORTS: Registry[ExportRow] = Registry(
    "format",
    [
        ExportRow(
            name="tables",
            target="miscomp.corpus.exports.tables:write_tables",
            about="CSV: annotations, images, models, views, sources, reviews, flags",
        ),
        ExportRow(
            name="parquet",
            target="miscomp.corpus.exports.parquet:write_parquet",
            about="the same tables as Parquet, with types (needs the extra `parquet`)",
            package="pyarrow",
            extra="parquet",
        ),
        ExportRow(
            name="coco",
            target="miscomp.corpus.exports.coco:write_coco",
            about="COCO detection JSON",
        ),
        ExportRow(
            name="imagefolder",
            target="miscomp.corpus.exports.imagefolder:write_imagefolder",
            about="an image folder for Hugging Face `datasets`; holds the pictures once more, so only where asked for",
            pictures="miscomp.corpus.exports.imagefolder:pictures",
        ),
        ExportRow(
            name="croissant",
            target="miscomp.corpus.exports.croissant:write_croissant",
            about="Croissant JSON-LD; describes the tables, which are written with it",
            needs=("tables",),
        ),
        ExportRow(
            name="datasheet",
            target="miscomp.corpus.exports.card:write_card",
            about="README with a dataset card, data sheet, licences, citation",
        ),
    ],
)


def chosen(names: tuple[str, ...]) -> tuple[ExportRow, ...]:
    """The formats asked for and those that they need, in order; none named: all without pictures of their own.

    Raises `UnknownName`.
    """
    wanted = {EXPORTS[name].name for name in names} or {row.name for row in EXPORTS if not row.pictures}
    wanted |= {needed for name in sorted(wanted) for needed in EXPORTS[name].needs}
    return tuple(row for row in EXPORTS if row.name in wanted)
