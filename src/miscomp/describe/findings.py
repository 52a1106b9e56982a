"""Describe a pair's findings, one after the other, until they are done, the budget is spent or the model is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from miscomp.describe.base import DescribeError
from miscomp.describe.compare import CompareOptions, Description, compare_crops
from miscomp.describe.crops import CropPair, crop_pair
from miscomp.describe.meter import BudgetSpent, Meter
from miscomp.images import Pixels
from miscomp.records import Finding

PATIENCE = 3
"""So many findings in a row may fail before the model is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A finding with its description, and the digest of the crops that it is of."""

    finding: Finding
    crops: str
    description: Description


@dataclass(slots=True, kw_only=True)
class Tally:
    """How a run over findings went. One tally may go through the findings of many pairs."""

    described: int = 0
    kept: int = 0
    """Described earlier."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Id of a finding, and why the model gave no answer."""
    left: int = 0
    """Findings that were not asked about, because the work had stopped."""
    stopped: str = ""
    """Why; empty while it goes on."""
    in_a_row: int = 0
    """Failures since the last answer."""


def describe_findings(
    findings: Sequence[Finding],
    original: Pixels,
    reconstruction: Pixels,
    meter: Meter,
    *,
    options: CompareOptions,
    tally: Tally | None = None,
    known: Callable[[Finding, str], bool] = lambda finding, crops: False,
    keep: Callable[[Described], None] = lambda described: None,
) -> list[Described]:
    """Describe findings in order, and return those newly described; what else happened is added to `tally`.

    `known` says whether a finding has been described already, given the digest of its crops; `keep` gets each
    description as soon as it is there, because it was paid for. Scores are not touched. A finding is begun only if the
    budget covers all its requests. One that fails is listed and the next one tried; three in a row, or a failure that
    every other would share, stop the work.
    """
    tally = Tally() if tally is None else tally
    done = []
    for finding in findings:
        crops = crop_pair(original, reconstruction, finding.annotation.box)
        if known(finding, crops.digest):
            tally.kept += 1
        elif tally.stopped:
            tally.left += 1
        elif (description := _attempt(finding, crops, meter, options, tally)) is not None:
            done.append(Described(finding=finding, crops=crops.digest, description=description))
            keep(done[-1])
    return done


def _attempt(
    finding: Finding, crops: CropPair, meter: Meter, options: CompareOptions, tally: Tally
) -> Description | None:
    try:
        meter.check(options.requests)
        description = compare_crops(crops, meter, options)
    except BudgetSpent as error:
        tally.stopped = f"the budget is spent: {error}"
        tally.left += 1
        return None
    except DescribeError as error:
        tally.failures.append((finding.annotation.id, str(error)))
        tally.in_a_row += 1
        if error.fatal:
            tally.stopped = str(error)
        elif tally.in_a_row == PATIENCE:
            tally.stopped = f"{PATIENCE} findings in a row failed"
        return None
    tally.described += 1
    tally.in_a_row = 0
    return description
