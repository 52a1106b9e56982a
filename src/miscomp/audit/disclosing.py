"""Copies of an audit's reconstructions that say in their metadata what was found in them."""

from __future__ import annotations

from pathlib import Path

from miscomp.disclose.sources import Audit
from miscomp.disclose.writing import Options, disclose
from miscomp.errors import InputError
from miscomp.folders import replacing
from miscomp.images import read_file
from miscomp.report.run import Run, disclosed_file


def write_disclosed(run: Run, folder: Path) -> list[str]:
    """Write one copy a result, as PNG with the same pixels, for the report in `folder` to link.

    Returns what could not be disclosed, and why. No time is stated: the same audit gives the same bytes. Nothing is
    signed; `miscomp disclose write` can do that.
    """
    audit = Audit(folder, run)
    problems = []
    for result in run.results:
        target = folder / disclosed_file(result)
        source = folder / result.reconstruction_file
        try:
            target.parent.mkdir(exist_ok=True)
            said = audit.statement(result)
            content, _ = disclose(read_file(source), said, Options(title=target.name), where=source)
            with replacing(target) as unfinished:
                unfinished.write_bytes(content)
        except (InputError, OSError) as error:
            problems.append(f"{result.row.filename} by {result.row.model}: {error}")
    return problems
