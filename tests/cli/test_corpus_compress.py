"""`miscomp corpus compress` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpora import add_picture, picture, small_config

from miscomp.cli.app import main
from miscomp.corpus.corpus import create_corpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    add_picture(corpus, picture(0, width=64, height=48), name="a.png")
    return corpus.folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["corpus", "compress", *map(str, arguments)])
    told = capsys.readouterr()
    return int(left.value.code or 0), told.out, told.err


def test_a_dry_run_then_the_work_then_nothing_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, folder, "--dry-run", "--json")
    plan = json.loads(out)
    assert (code, plan["tasks"], plan["models"]) == (0, 4, {"01L": 1, "01H": 1, "02L": 1, "02H": 1})
    assert "stand-in: 02L (webp@q10): for a test" in err
    assert not list(folder.glob("streams/*"))
    code, out, err = run(capsys, folder, "--jobs", 1)
    assert (code, out) == (0, "4 done, 0 failed, 0 not tried to the end\n") and "[4/4]" in err
    code, out, _ = run(capsys, folder, "--json")
    assert (code, json.loads(out)["there"], json.loads(out)["done"]) == (0, 4, 0)


def test_what_fails_is_listed_and_the_exit_code_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (original,) = folder.glob("originals/*/*.png")
    original.write_bytes(b"no picture")
    code, out, err = run(capsys, folder, "--model", "01L", "--json")
    assert code == 1
    (failed,) = json.loads(out)["failed"]
    assert (failed["model"], failed["attempts"]) == ("01L", 3) and "verify" in failed["reason"]
    assert f"failed 3 times: {original.name}, 01L" in err


def test_models_that_cannot_be_run_are_left_out_or_with_strict_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MISCOMP_JPEG_AI", raising=False)
    models = [{"model": "06L", "codec": "C6", "spec": "jpeg-ai@0.25bpp"}]
    corpus = create_corpus(tmp_path / "corpus", small_config(models=models))
    add_picture(corpus, picture(0, width=64, height=48), name="a.png")
    code, out, err = run(capsys, corpus.folder)
    assert code == 1 and out.startswith("0 done") and "left out: 06L (jpeg-ai@0.25bpp) cannot be run here" in err
    assert run(capsys, corpus.folder, "--dry-run")[0] == 1
    assert run(capsys, corpus.folder, "--strict")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--engine", "abacus"), "unknown engine 'abacus'; known: local, ray"),
        (("--address", "auto"), "the local engine has no address"),
        (("--model", "09X"), "unknown model '09X'"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_wrong_requests_are_explained(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    code, _, err = run(capsys, folder, *arguments)
    assert code == 2 and complaint in err
