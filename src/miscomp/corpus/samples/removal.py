"""A picture leaves a sample: its crops, and the sheets that may show it; the table keeps the coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from miscomp.corpus.samples.rows import CROPS, TABLE, CropRow
from miscomp.corpus.samples.sheet import SHEETS
from miscomp.errors import InputError
from miscomp.tables import read


def delete_from_sample(folder: Path, image_sha1: str) -> Iterator[Path]:
    """Delete a picture's crops from a sample, by its table, and all its contact sheets; yield what was deleted.

    A folder without a table has none yet: there every crop goes. Raises `InputError` for a table that cannot be read
    and for files that cannot be deleted.
    """
    record: type[Any] = CropRow
    if (folder / TABLE).is_file():
        rows = [row for row in read(folder / TABLE, record) if row.image_sha1 == image_sha1]
        # The table may have been edited: only what lies in the folder of crops is touched.
        names = {Path(name).name for row in rows for name in (row.file, row.original_file) if name}
        files = [folder / CROPS / name for name in sorted(names)]
    else:
        files = sorted((folder / CROPS).glob("*.png"))
        rows = files
    sheets = sorted(path for pattern in SHEETS for path in folder.glob(pattern)) if rows else []
    for path in (*files, *sheets):
        try:
            if path.is_file():
                path.unlink()
                yield path
        except OSError as error:
            raise InputError(path, f"could not be deleted: {error}; delete it and run this again") from error
