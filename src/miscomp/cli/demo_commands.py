"""The verb `demo`: an audit of photographs that are already installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from miscomp.cli.audit_commands import showing_progress, tell


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the report and its tables.")
    ] = Path("demo_report"),
    *,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; results do not depend on it. [default: what cores and memory allow]"),
    ] = None,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Read text in both pictures and compare it.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the audit in DIR, or write beside other files there.")
    ] = False,
    json_object: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, no table.")] = False,
) -> None:
    """Audit bundled photographs: a neural codec at a low rate, beside JPEG at the same rate.

    The photographs come in the wheels of scikit-image and scikit-learn (extra: demo); nothing is downloaded. Takes
    a few minutes on two cores.

    Example: miscomp demo -o demo_report
    """
    from miscomp.audit.plan import AuditOptions
    from miscomp.audit.run import run_audit
    from miscomp.codecs.spec import parse_spec
    from miscomp.demo import DEMO_CODECS, PHOTOGRAPHS, credits, find
    from miscomp.detect.base import DetectSettings

    photographs = [find(photograph) for photograph in PHOTOGRAPHS]
    specs = tuple(map(parse_spec, DEMO_CODECS))
    options = AuditOptions(jobs=jobs, detect=DetectSettings(text=text), force=force)
    with showing_progress() as progress:
        run = run_audit(photographs, None, specs, output, options, progress=progress)
    (output / "CREDITS.txt").write_text(credits(), encoding="utf-8", newline="\n")
    tell(run, output, json_object=json_object)
