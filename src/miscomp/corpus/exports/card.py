"""What people read first: README with a dataset card's header, data sheet, licences, citation.

Every number is counted from the rows. What only people know is marked `TO BE FILLED IN`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from miscomp.corpus.exports.facts import Facts, facts_of
from miscomp.corpus.exports.imagefolder import FOLDER as DATA
from miscomp.corpus.exports.imagefolder import splits
from miscomp.corpus.exports.parquet import FOLDER as PARQUET
from miscomp.corpus.exports.release import Release
from miscomp.corpus.exports.tables import tables_of
from miscomp.corpus.exports.wording import is_spdx, licence_url, markdown, size_category, yaml
from miscomp.report.environment import page_environment
from miscomp.report.wording import number

README, DATASHEET, LICENCES, CITATION = "README.md", "datasheet.md", "LICENSES.md", "CITATION.cff"
TO_FILL = Markup("**TO BE FILLED IN**")


def write_card(release: Release) -> None:
    """Write `README.md`, `datasheet.md`, `LICENSES.md`, and `CITATION.cff` where creators are named."""
    facts = facts_of(release.snapshot)
    values = {
        "title": release.snapshot.title,
        "about": release.snapshot.config.about,
        "config": release.snapshot.config,
        "facts": facts,
        "tables": tables_of(release.snapshot),
        "formats": release.options.formats,
        "options": release.options,
        "fill": TO_FILL,
        "licence_url": licence_url(release.snapshot.config.about.licence),
    }
    environment = _environment()
    for name in (README, DATASHEET, LICENCES):
        text = environment.get_template(f"{name}.j2").render(values).rstrip() + "\n"
        release.write(name, _header(release, facts) + text if name == README else text, keep=True)
    if release.snapshot.config.about.creators:
        release.write(CITATION, _citation(release), keep=True)


def _environment() -> Environment:
    """As for pages, but what is not ours is escaped for Markdown."""
    environment = page_environment("miscomp.corpus").overlay(autoescape=False, finalize=_show)
    environment.filters |= {"thousands": _thousands, "number": number, "day": _day}
    return environment


def _show(value: Any) -> Any:
    return markdown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _thousands(value: int) -> str:
    return f"{value:,}"


def _day(time: str) -> str:
    return time[:10]


def _header(release: Release, facts: Facts) -> str:
    """The dataset card's YAML: Hugging Face shows and filters by it."""
    about = release.snapshot.config.about
    known = is_spdx(about.licence)
    lines = [f"pretty_name: {yaml(release.snapshot.title)}"]
    lines += [f"license: {yaml(about.licence.lower()) if known else 'other'}"]
    if not known:
        lines += [f"license_name: {yaml(about.licence)}", "license_link: LICENSES.md"]
    lines += ["task_categories:", "- object-detection", "size_categories:", f"- {size_category(facts.reconstructions)}"]
    lines += ["tags:", "- image", "- image-compression", "- miscompression"]
    if "croissant" in release.options.formats:
        lines += ["- croissant"]
    lines += _configurations(release)
    return "\n".join(("---", *lines, "---", "", ""))


def _configurations(release: Release) -> list[str]:
    """What `datasets` may load, the pictures first; one line names every file, so that no others are guessed."""
    lines = []
    if "imagefolder" in release.options.formats and (found := splits(release.snapshot)):
        lines += ["- config_name: pictures", "  default: true", "  drop_labels: true", "  data_files:"]
        for split in found:
            lines += [f"  - split: {split}", f"    path: {DATA}/{split}/**"]
    suffix, folder = ("parquet", f"{PARQUET}/") if "parquet" in release.options.formats else ("csv", "")
    if suffix == "parquet" or "tables" in release.options.formats:
        for table in tables_of(release.snapshot):
            lines += [f"- config_name: {table.name}", f"  data_files: {folder}{table.name}.{suffix}"]
    return ["configs:", *lines] if lines else []


def _citation(release: Release) -> str:
    """`CITATION.cff`, version 1.2.0 of its format; creators are entities, as a name does not tell its parts."""
    about = release.snapshot.config.about
    cite = (
        f"If you use this corpus, please cite it as: {about.citation}" if about.citation else "If you use it, cite it."
    )
    lines = ["cff-version: 1.2.0", f"message: {yaml(cite)}", "type: dataset"]
    lines += [f"title: {yaml(release.snapshot.title)}", f"version: {yaml(about.version)}", "authors:"]
    lines += [f"- name: {yaml(name)}" for name in about.creators]
    if is_spdx(about.licence):
        lines += [f"license: {about.licence}"]
    if licence_url(about.url):
        lines += [f"url: {yaml(about.url)}"]
    if release.snapshot.newest:
        lines += [f"date-released: {release.snapshot.newest[:10]}"]
    return "\n".join(lines) + "\n"
