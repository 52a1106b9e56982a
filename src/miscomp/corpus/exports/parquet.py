"""The tables as Parquet, with types: what is unknown is null, a boolean is one."""

from __future__ import annotations

import types
import typing
from typing import Any

from miscomp.corpus.exports.release import Release
from miscomp.corpus.exports.tables import Table, tables_of
from miscomp.folders import replacing
from miscomp.tables import columns

FOLDER = "parquet"


def write_parquet(release: Release) -> None:
    """Write `parquet/annotations.parquet` and its siblings."""
    import pyarrow.parquet as parquet

    for table in tables_of(release.snapshot):
        with replacing(release.at(f"{FOLDER}/{table.name}.parquet")) as partial:
            # Statistics and dictionaries are the library's defaults; nothing in the file depends on the clock.
            parquet.write_table(_typed(table), partial, compression="zstd")


def _typed(table: Table) -> Any:
    """An arrow table with the record's types; a column is nullable where its field may be none."""
    import pyarrow

    plain = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    hints = typing.get_type_hints(table.record)
    schema = []
    for name in columns(table.record):
        hint = hints[name]
        optional = isinstance(hint, types.UnionType)
        kind = next(part for part in hint.__args__ if part is not type(None)) if optional else hint
        schema.append(pyarrow.field(name, plain[kind], nullable=optional))
    arrays = {name: [getattr(row, name) for row in table.rows] for name in columns(table.record)}
    return pyarrow.table(arrays, schema=pyarrow.schema(schema))
