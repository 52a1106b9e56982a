"""The documents tell the truth: every command is in them, their links lead somewhere, their Python runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from miscomp.cli.app import COMMANDS
from miscomp.cli.lazy import build
from miscomp.codecs.catalog import CODECS
from miscomp.images import write_png
from miscomp.records import Annotation, ImageRow, ModelRow, Plant, View
from miscomp.secure.config import SecureConfig
from miscomp.tables import columns
from miscomp.training.config import DetectorConfig, JpegSimConfig, TrainConfig

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
RUNS = re.compile(r"<!-- runs -->\n```python\n(.*?)```", re.DOTALL)
MORE_PAGES = {"corpus": ["publish.md"], "annotate": ["annotate_server.md", "labeler_training.md"]}
"""Where else options of a command may be explained."""
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


def text_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def options_of(name: str) -> list[str]:
    """Long options of a command and of those below it."""
    command = build(COMMANDS[name])
    return [
        max(parameter.opts, key=len)
        for one in (command, *getattr(command, "commands", {}).values())
        for parameter in one.params
        if parameter.opts[0].startswith("-")
    ]


@pytest.mark.parametrize("name", COMMANDS.names)
def test_every_command_is_in_the_documents(name: str) -> None:
    assert any(f"miscomp {name}" in page.read_text(encoding="utf-8") for page in PAGES if page.parent.name == "docs")
    inners = getattr(build(COMMANDS[name]), "commands", {})
    for inner in (word for word, one in inners.items() if not one.hidden):
        assert any(f"miscomp {name} {inner}" in page.read_text(encoding="utf-8") for page in PAGES)


def test_the_readme_begins_with_the_two_commands() -> None:
    assert re.search(r"^make demo .*\nmake test ", text_of("README.md")[:800], re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("audit.md", "audit"),
        ("codecs.md", "compress"),
        ("weights.md", "weights"),
        ("training.md", "train"),
        ("evaluate.md", "evaluate"),
        ("descriptions.md", "describe"),
        ("benchmark.md", "plant"),
        ("scores.md", "benchmark"),
        ("secure.md", "secure"),
        ("corpus.md", "corpus"),
        ("agreement.md", "agree"),
        ("statistics.md", "stats"),
        ("annotate.md", "annotate"),
        ("disclosure.md", "disclose"),
    ],
)
def test_every_option_of_a_command_is_on_its_page(page: str, name: str) -> None:
    pages = [page, "images.md", *MORE_PAGES.get(name, ())]
    shown = "".join(text_of(f"docs/{one}") for one in pages)
    short = {"--output": "-o", "--text": "--no-text", "--plots": "--no-plots", "--swap": "--no-swap"}
    short |= {"--controls": "--no-controls", "--memory": "--no-memory"}
    short |= {"--recursive": "--flat", "--all-models": "--no-all-models", "--factors": "--no-factors"}
    assert [option for option in options_of(name) if short.get(option, option) not in shown] == []


def test_every_column_is_explained() -> None:
    cells = set(re.findall(r"`(\w+)`", text_of("docs/records.md")))
    for record in (Annotation, ImageRow, ModelRow, Plant, View):
        assert set(columns(record)) <= cells


def test_every_codec_is_explained() -> None:
    page = text_of("docs/codecs.md")
    for row in CODECS:
        assert f"| `{row.name}` | `{row.suffix}` | {row.qualities.low:g} to {row.qualities.high:g}" in page


def test_every_setting_of_training_is_explained() -> None:
    pages = {"training.md": (TrainConfig, DetectorConfig, JpegSimConfig), "secure.md": (SecureConfig,)}
    for page, configs in pages.items():
        named = set(re.findall(r"`(\w+)`", text_of(f"docs/{page}") + text_of("docs/training.md")))
        assert [name for config in configs for name in columns(config) if name not in named] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).is_file()] == []


def test_there_are_examples_to_run() -> None:
    assert sum(len(RUNS.findall(page.read_text(encoding="utf-8"))) for page in PAGES) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ramp = np.linspace(0, 255, 160, dtype=np.uint8)
    photo = np.stack(np.broadcast_arrays(ramp, ramp[:96, None], ramp[::-1]), axis=-1).copy()
    photo[30:60, 50:90] = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    write_png(tmp_path / "photo.png", photo)
    for code in RUNS.findall(page.read_text(encoding="utf-8")):
        exec(compile(code, page.name, "exec"), {"__name__": page.stem})
