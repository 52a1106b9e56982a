"""What every page is rendered with: templates and assets of a room, and one way to print text that is not ours."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from miscomp.report import wording


def asset(package: str, name: str) -> str:
    """A style sheet or script from a package's folder `assets`."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


def page_environment(package: str) -> Environment:
    """For the templates of a package: escaped, no name may be unknown, and hidden characters of a text are shown."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
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
