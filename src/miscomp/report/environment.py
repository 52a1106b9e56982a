"""What every page is rendered with: templates and assets of a room, and one way to print text that is not ours."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from miscomp.report import wording


def asset(package: str, name: str) -> str:
    """A style sheet or script from a package's folder `assets`."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def closed_script(parts: Iterable[str]) -> str:
    """Scripts as the one script of a page, whose names nothing outside it sees."""
    return "(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();"


def content_policy(script: str, *, beside: bool) -> str:
    """A content security policy under which a page runs its own script and reaches nothing outside its folder."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    local = " 'self' file:" if beside else ""
    return (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; img-src data:{local};"
        f" script-src 'sha256-{digest}'{local}"
    )


def embedded_json(content: Any) -> str:
    """JSON in ASCII that can stand in a `script` element whatever texts it holds: no `<`, `>` or `&` remains."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_environment(package: str, *others: str) -> Environment:
    """For the templates of packages, the first one's before the others': escaped, and no name may be unknown.

    Hidden characters of a text are shown.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "templates") for name in (package, *others)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_show,
    )
    environment.filters |= {"number": wording.number, "count": wording.count}
    return environment


def _show(value: Any) -> Any:
    """Every text that the template prints passes here; markup made by the project does not."""
    return wording.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
