from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from corpora import small_corpus
from typer.testing import CliRunner, Result

from miscomp.cli.corpus_init import init, status
from miscomp.corpus.config import CONFIG, read_config
from miscomp.corpus.corpus import DATABASE, MANIFEST
from miscomp.corpus.manifest import read_manifest
from miscomp.corpus.profiles import PROFILES
from miscomp.errors import InputError, UnknownName, UsageError

app = typer.Typer()
app.command("init")(init)
app.command("status")(status)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_init_makes_settings_a_database_and_a_manifest_and_prints_the_settings_place(tmp_path: Path) -> None:
    result = run("init", tmp_path / "street")
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'street' / CONFIG}\n"
    assert sorted(one.name for one in (tmp_path / "street").iterdir() if not one.name.startswith(DATABASE)) == sorted(
        [CONFIG, MANIFEST]
    )
    assert (tmp_path / "street" / DATABASE).is_file()
    assert read_config(tmp_path / "street" / CONFIG) == PROFILES["sclic"].config()
    manifest = read_manifest(tmp_path / "street" / MANIFEST)
    assert len(manifest.models) == 12 and manifest.about.title == "street"


def test_init_says_which_models_are_stand_ins(tmp_path: Path) -> None:
    stand_ins = [one for one in PROFILES["sclic"].models if one.stand_in]
    result = run("init", tmp_path / "street")
    assert len(stand_ins) == 6
    assert all(f"{one.model} ({one.spec}): a stand-in" in result.stderr for one in stand_ins)
    assert "stand-in" not in run("init", tmp_path / "own", "--profile", "builtin").stderr


@pytest.mark.parametrize("name", [row.name for row in PROFILES])
def test_every_profile_makes_a_corpus(tmp_path: Path, name: str) -> None:
    assert run("init", tmp_path / name, "--profile", name).exit_code == 0
    assert read_config(tmp_path / name / CONFIG).models == PROFILES[name].models


def test_init_overwrites_nothing_and_knows_its_profiles(tmp_path: Path) -> None:
    run("init", tmp_path / "street", "--profile", "builtin")
    before = (tmp_path / "street" / CONFIG).read_bytes()
    assert isinstance(run("init", tmp_path / "street").exception, UsageError)
    assert (tmp_path / "street" / CONFIG).read_bytes() == before
    assert isinstance(run("init", tmp_path / "other", "--profile", "sclick").exception, UnknownName)
    assert not (tmp_path / "other").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.png").write_bytes(b"")
    assert isinstance(run("init", tmp_path / "full").exception, UsageError)


def test_status_counts_in_lines_and_as_json(tmp_path: Path) -> None:
    small_corpus(tmp_path / "corpus")
    result = run("status", tmp_path / "corpus")
    assert result.exit_code == 0
    lines = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in result.stdout.splitlines()}
    assert (lines["images"], lines["reconstructions"]) == ("3", "12")
    assert lines["screening"] == "unscreened 3"
    found = json.loads(run("status", tmp_path / "corpus", "--json").stdout)
    assert found["reconstructions"] == 12 and found["boxes"] == {"ann (simulated)": 5, "bob (simulated)": 4}


def test_status_of_a_folder_that_is_no_corpus_is_refused(tmp_path: Path) -> None:
    error = run("status", tmp_path).exception
    assert isinstance(error, InputError) and "miscomp corpus init" in str(error)
