"""The verb `describe`: a finished audit in, what a model sees on both sides of its best findings out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miscomp.cli.talk import tell
from miscomp.errors import InputError, UsageError
from miscomp.report.wording import number, one_line

if TYPE_CHECKING:
    from miscomp.describe.base import Describer
    from miscomp.describe.compare import CompareOptions
    from miscomp.describe.findings import Tally
    from miscomp.describe.meter import Meter, Usage
    from miscomp.describe.store import Asked, DescriptionRow, Descriptions
    from miscomp.records import Finding, PairResult
    from miscomp.report.run import Run


_Key = tuple[str, str, str, str]
"""A finding of this audit: SHA-1 and name of the image, codec, id."""

_Row = tuple[int, "Finding", "DescriptionRow"]
"""A description with its finding, and the finding's rank by score within its reconstruction."""


@dataclass(frozen=True, kw_only=True)
class _Prices:
    """Per million tokens; none where the user gave none."""

    tokens_in: float | None
    tokens_out: float | None

    def __post_init__(self) -> None:
        if (self.tokens_in is None) != (self.tokens_out is None):
            raise UsageError("--price-in and --price-out belong together; give both or neither")
        if not all(math.isfinite(price) for price in (self.tokens_in, self.tokens_out) if price is not None):
            raise UsageError("--price-in and --price-out need numbers, such as 0.15")

    def cost(self, usage: Usage) -> float | None:
        """Of the counted tokens."""
        if self.tokens_in is None or self.tokens_out is None:
            return None
        return usage.cost(self.tokens_in, self.tokens_out)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One run over an audit's folder."""

    folder: Path
    chosen: Sequence[tuple[PairResult, tuple[Finding, ...]]]
    """Each reconstruction with its best findings, best first."""
    meter: Meter
    options: CompareOptions
    asked: Asked

    @property
    def findings(self) -> int:
        """How many are asked for."""
        return sum(len(findings) for _, findings in self.chosen)


def describe(
    audit: Annotated[Path, typer.Argument(metavar="AUDIT_DIR", help="Folder that miscomp audit has written.")],
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Base of an OpenAI-compatible address; crops of the pictures are sent there."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Model to ask at the endpoint.")] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="Name of the environment variable that holds the endpoint's key.")
    ] = None,
    local: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of weights for transformers, instead of an endpoint.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Findings of each reconstruction, the best ones.")] = 3,
    swap: Annotated[
        bool,
        typer.Option("--swap/--no-swap", help="Compare a second time, in the other order; disagreement is unsure."),
    ] = True,
    pictures: Annotated[bool, typer.Option("--pictures", help="Show both crops with the comparing question.")] = False,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Stop before more requests are made.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Stop once so many tokens were used.")] = None,
    price_in: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens sent.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens received.")] = None,
    seed: Annotated[int, typer.Option(help="Seed that the endpoint is given.")] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one request to the endpoint.")] = 120.0,
    json_object: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, no table.")] = False,
) -> None:
    """Let a vision-language model of yours describe both sides of an audit's findings.

    It sees the same crop of either side, each by itself, and is then asked whether the two descriptions contradict each
    other. What it says is evidence to check, no score: the audit's scores and order stay as they are. The answers go
    to descriptions.json in AUDIT_DIR. A second run asks only for what is not there yet.

    With --endpoint, crops of the pictures leave this machine.

    Example: miscomp describe report --endpoint https://host.example/v1 --model NAME --key-env API_KEY --top 1
    """
    from miscomp.audit.store import AuditFolder
    from miscomp.describe.compare import CompareOptions
    from miscomp.describe.meter import Budget, Meter
    from miscomp.describe.store import NAME, Asked, read_descriptions
    from miscomp.report.run import read_json

    prices = _Prices(tokens_in=price_in, tokens_out=price_out)
    describer = _open_describer(endpoint, model, key_env, local, seed=seed, timeout=timeout)
    options = CompareOptions(swap=swap, pictures=pictures)
    run = read_json(audit / "report.json")
    job = _Job(
        folder=audit,
        chosen=_choose(run, audit, top),
        meter=Meter(describer, Budget(max_requests=max_requests, max_tokens=max_tokens)),
        options=options,
        asked=Asked.now(describer.name, options, seed),
    )
    with AuditFolder(audit).owned():
        descriptions = read_descriptions(audit / NAME)
        _announce(job, endpoint)
        tally, shown = _work(job, descriptions)
    _report(job, _rows(job, shown), tally, prices, json_object=json_object)


def _open_describer(
    endpoint: str | None, model: str | None, key_env: str | None, local: Path | None, *, seed: int, timeout: float
) -> Describer:
    if (endpoint is None) == (local is None):
        raise UsageError("give either --endpoint with --model, or --local; without them nothing is asked or sent")
    if local is not None:
        if model is not None or key_env is not None:
            raise UsageError("--model and --key-env belong to --endpoint, not to --local")
        from miscomp.describe.local import LocalDescriber

        return LocalDescriber(local)
    from miscomp.describe.endpoint import EndpointDescriber, parse_address, read_key

    address = parse_address(endpoint or "")
    if not model:
        raise UsageError("--endpoint needs --model, the name of a model there that takes pictures")
    key = "" if key_env is None else read_key(key_env)
    return EndpointDescriber(address=address, model=model, key=key, seed=seed, timeout=timeout)


def _choose(run: Run, folder: Path, top: int) -> list[tuple[PairResult, tuple[Finding, ...]]]:
    from miscomp.report.items import ranked

    chosen = [(result, ranked(result)[:top]) for result in run.results]
    for result, findings in chosen:
        for finding in findings:
            try:
                finding.annotation.box.check_inside(result.row.width, result.row.height)
            except ValueError as error:
                raise InputError(folder / "report.json", f"{finding.annotation.id}: {error}; audit again") from error
    return chosen


def _announce(job: _Job, endpoint: str | None) -> None:
    most = job.findings * job.options.requests
    what = f"{job.findings} finding(s), at most {most} request(s) if none fails"
    if endpoint is None:
        tell(f"asking {job.meter.name} about {what}; nothing leaves this machine")
    else:
        tell(f"asking {job.meter.name} about {what}; CROPS OF THE PICTURES ARE SENT to that host")


def _work(job: _Job, descriptions: Descriptions) -> tuple[Tally, dict[_Key, DescriptionRow]]:
    """Describe what is not described yet, and save after each; return what there is now of what was asked for."""
    import numpy as np

    from miscomp.describe.findings import Described, Tally, describe_findings
    from miscomp.describe.store import NAME
    from miscomp.report.pictures import read_pair

    tally = Tally()
    shown: dict[_Key, DescriptionRow] = {}

    def known(finding: Finding, crops: str) -> bool:
        row = descriptions.find(finding, crops, job.asked)
        if row is not None:
            shown[_key(finding)] = row
        return row is not None

    def keep(described: Described) -> None:
        shown[_key(described.finding)] = descriptions.add(described, job.asked)
        descriptions.write(job.folder / NAME)
        annotation = described.finding.annotation
        tell(f"{annotation.filename}, {annotation.model}, {annotation.id}: {described.description.verdict}")

    for result, findings in job.chosen:
        if not findings:
            continue
        try:
            sides = read_pair(job.folder, result)
        except InputError as error:
            tally.failures += [(finding.annotation.id, str(error)) for finding in findings]
            continue
        original, reconstruction = map(np.asarray, sides)
        describe_findings(
            findings, original, reconstruction, job.meter, options=job.options, tally=tally, known=known, keep=keep
        )
    return tally, shown


def _key(finding: Finding) -> _Key:
    annotation = finding.annotation
    return annotation.image_sha1, annotation.filename, annotation.model, annotation.id


def _report(job: _Job, rows: Sequence[_Row], tally: Tally, prices: _Prices, *, json_object: bool) -> None:
    """Print descriptions on stdout, what went wrong on stderr. Leaves with 1 if anything failed."""
    usage, cost = job.meter.usage, prices.cost(job.meter.usage)
    if json_object:
        record = {
            "descriptions": [
                {"rank": rank, "score": found.annotation.score, **asdict(row)} for rank, found, row in rows
            ],
            "described": tally.described,
            "kept": tally.kept,
            "failures": [{"id": name, "reason": reason} for name, reason in tally.failures],
            "left": tally.left,
            "stopped": tally.stopped,
            "usage": asdict(usage),
            "cost": cost,
        }
        typer.echo(json.dumps(record))
    else:
        typer.echo(_table(rows))
        typer.echo(_spent(usage, cost))
    for name, reason in tally.failures:
        tell(f"failed: {name}: {reason}")
    if tally.stopped:
        tell(f"stopped: {tally.stopped}; {tally.left} finding(s) were not described")
    if tally.failures:
        raise typer.Exit(1)


def _rows(job: _Job, shown: Mapping[_Key, DescriptionRow]) -> list[_Row]:
    return [
        (rank, finding, shown[_key(finding)])
        for _, findings in job.chosen
        for rank, finding in enumerate(findings, 1)
        if _key(finding) in shown
    ]


def _table(rows: Sequence[_Row]) -> str:
    cells = [("picture", "codec", "rank", "score", "verdict", "what differs, the model says (original first)")]
    for rank, finding, row in rows:
        annotation = finding.annotation
        names = one_line(annotation.filename), one_line(annotation.model)
        cells.append((*names, str(rank), number(annotation.score), row.verdict.value, one_line(row.what) or "-"))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = ["  ".join([*map(str.ljust, line[:5], widths), line[5]]) for line in cells]
    return "\n".join([*lines, "A description is evidence to check, no score; a model can be wrong on both sides."])


def _spent(usage: Usage, cost: float | None) -> str:
    text = (
        f"spent: {usage.requests} request(s), {usage.prompt_tokens} tokens sent, {usage.completion_tokens} received, "
        f"{usage.seconds:.1f} s"
    )
    if usage.uncounted:
        text += f"; the tokens of {usage.uncounted} request(s) are not known and not in these figures"
    if cost is not None:
        text += f"; cost at the given prices: {'at least ' if usage.uncounted else ''}{cost:.4f}"
    return text
