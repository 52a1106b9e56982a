"""The verbs `read` and `verify` below `disclose`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miscomp.cli.batches import list_files, replacing
from miscomp.cli.disclose_write import LanguageOption
from miscomp.cli.talk import JsonOption, MegapixelsOption, tell
from miscomp.errors import InputError, MiscompError, UsageError
from miscomp.report.wording import one_line

if TYPE_CHECKING:
    from miscomp.disclose.reading import Reading

FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE", help="Pictures, .misc streams, or folders.")]
TrustOption = Annotated[
    Path | None, typer.Option("--trust", metavar="PEM", help="Certificates that you trust; without them nobody is.")
]
_MAX_ANCHORS = 16 * 1024 * 1024


def read(
    inputs: FilesArgument,
    trust: TrustOption = None,
    language: LanguageOption = "en",
    trust_record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the first file's statement in JPEG Trust's vocabulary, as JSON."),
    ] = None,
    max_megapixels: MegapixelsOption = 200.0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the trust record's file, if it exists.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Show everything that files disclose, from every place, in plain words.

    A file without a disclosure is no failure. Nothing is fetched from the network.

    Example: miscomp disclose read disclosed.png
    """
    from miscomp.disclose.explain import explain

    if trust_record is not None:
        _check_free(trust_record, list_files(inputs), force=force)
    readings, failed = _read_all(inputs, trust, max_megapixels)
    for reading in readings:
        if json_lines:
            typer.echo(json.dumps(_record(reading)))
            continue
        typer.echo(one_line(str(reading.path)))
        for line in explain(reading, language):
            typer.echo(f"  {one_line(line)}")
    if trust_record is not None:
        _write_trust_record(readings, trust_record)
    if failed:
        raise typer.Exit(1)


def verify(
    inputs: FilesArgument,
    trust: TrustOption = None,
    max_megapixels: MegapixelsOption = 200.0,
    json_lines: JsonOption = False,
) -> None:
    """Check that statements agree with each other, with the pixels, and with their signature.

    Leaves with 1 if one does not, or if a file has no statement. With --trust, an untrusted signer fails too. A
    picture that passes says what somebody stated about these pixels; it does not prove the scene.

    Example: miscomp disclose verify disclosed.png --trust root.pem
    """
    from miscomp.disclose.credential import State

    readings, failed = _read_all(inputs, trust, max_megapixels)
    for reading in readings:
        credential = reading.credential
        trusted = trust is None or (credential is not None and credential.state == State.TRUSTED)
        passed = reading.confirmed and trusted
        failed += not passed
        if json_lines:
            typer.echo(json.dumps({**_record(reading), "passed": passed}))
            continue
        typer.echo(f"{'passed' if passed else 'FAILED'}  {one_line(str(reading.path))}")
        for line in _reasons(reading, trusted=trusted):
            typer.echo(f"        {one_line(line)}")
    if failed:
        raise typer.Exit(1)


def _reasons(reading: Reading, *, trusted: bool) -> list[str]:
    from miscomp.disclose.explain import ABSENT, STATES, UNREADABLE

    nothing = UNREADABLE if reading.problems else ABSENT
    lines = [nothing] if not reading.statements else [str(reading.fit)]
    if reading.credential is not None:
        lines.append(STATES[reading.credential.state])
        if reading.credential.codes:
            lines.append(f"validation: {', '.join(reading.credential.codes)}")
    if not trusted:
        lines.append("the signer is not among those of --trust")
    return [*lines, *(f"disagreement: {one}" for one in reading.disagreements), *reading.problems]


def _record(reading: Reading) -> dict[str, Any]:
    credential = reading.credential
    return {
        "file": str(reading.path),
        "statements": {place: said.model_dump(mode="json") for place, said in reading.statements.items()},
        "captions": dict(reading.captions),
        "digital_source_type": reading.source_type,
        "fit": str(reading.fit),
        "c2pa": None
        if credential is None
        else {
            "state": str(credential.state),
            "codes": list(credential.codes),
            "signer": credential.signer,
            "signed": credential.signed,
            "stamped_by_untrusted": credential.stamped,
            "actions": list(credential.actions),
            "ingredients": list(credential.ingredients),
            "remote": credential.remote,
        },
        "disagreements": list(reading.disagreements),
        "problems": list(reading.problems),
    }


def _read_all(inputs: list[Path], trust: Path | None, max_megapixels: float) -> tuple[list[Reading], int]:
    from miscomp.disclose.reading import read_disclosure

    anchors = _anchors(trust)
    readings, failed = [], 0
    for path in list_files(inputs):
        try:
            readings.append(read_disclosure(path, anchors=anchors, max_megapixels=max_megapixels))
        except (MiscompError, OSError) as error:
            failed += 1
            tell(f"failed: {error if isinstance(error, InputError) else f'{path}: {error}'}")
    return readings, failed


def _anchors(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_ANCHORS + 1)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    if len(content) > _MAX_ANCHORS or b"BEGIN CERTIFICATE" not in content or not content.isascii():
        raise InputError(path, "is no PEM file of certificates; give the roots that you trust")
    return content.decode("ascii")


def _check_free(target: Path, files: list[Path], *, force: bool) -> None:
    """Raises `UsageError` where a trust record would overwrite something."""
    if target.resolve() in {file.resolve() for file in files}:
        raise UsageError(f"{target} is an input and would be overwritten; name another file for the trust record")
    if target.is_dir() or (target.exists() and not force):
        raise UsageError(f"{target} exists; name another file for the trust record, or give --force")


def _write_trust_record(readings: list[Reading], target: Path) -> None:
    from miscomp.disclose.trust import trust_indicators
    from miscomp.images import read_file

    said = readings[0].statement if readings else None
    if said is None:
        raise InputError(readings[0].path if readings else target, "has no statement to be written as a trust record")
    reading = readings[0]
    content = read_file(reading.path)
    found = trust_indicators(said, content, title=reading.path.name, credential=reading.credential)
    with replacing(target) as unfinished:
        unfinished.write_text(json.dumps(found, indent=1, ensure_ascii=True) + "\n", encoding="ascii", newline="\n")
