"""`miscomp corpus verify` and `remove`: exit codes, and nothing deleted without --force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpora import small_corpus

from miscomp.cli.app import main
from miscomp.corpus.entries import SourceImage
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.schema import fetch


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    return int(left.value.code or 0)


def test_faults_are_printed_mended_and_make_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = small_corpus(tmp_path / "c", images=1, labels=False)
    write_manifest(corpus)
    assert run("corpus", "verify", corpus.folder, "--decode") == 0
    assert "1 pictures, 4 reconstructions, 9 files hashed, 4 decoded: 0 faults" in capsys.readouterr().err
    (corpus.folder / "originals" / "stray.txt").write_text("?", encoding="utf-8")
    assert run("corpus", "verify", corpus.folder, "--json") == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "orphan"
    assert run("corpus", "verify", corpus.folder, "--repair") == 0
    assert "moved to orphans/originals/stray.txt" in capsys.readouterr().out
    assert run("corpus", "verify", corpus.folder, "--quick") == 0
    assert run("corpus", "verify", corpus.folder, "--quick", "--decode") == 2


def test_a_removal_needs_force_and_says_what_it_cannot_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = small_corpus(tmp_path / "c", images=2)
    with corpus.reading() as connection:
        image = fetch(connection, SourceImage)[0]
    assert run("corpus", "remove", corpus.folder, image.image_sha1[:8]) == 2
    assert image.name in capsys.readouterr().out and corpus.original(image.image_sha1).is_file()
    assert run("corpus", "remove", corpus.folder, "12345678") == 2
    assert run("corpus", "remove", corpus.folder, image.image_sha1, "--force", "--reason", "asked", "--json") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["deleted"]) == 9 and "backups" in said.err
    assert run("corpus", "verify", corpus.folder) == 0
