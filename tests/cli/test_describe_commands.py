"""The verb `describe`, against a stand-in server without a model. Oracles: what it was sent, and the audit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from report_sample import HOSTILE, make_sample
from standin_endpoint import Asked, Reply, Standin, says, sees, serving
from typer.testing import CliRunner, Result

from miscomp.cli.app import app
from miscomp.errors import InputError, MiscompError, UsageError, WeightsError
from miscomp.report.run import write_json

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An audit of two pictures, four reconstructions with three findings each; small crops, for speed."""
    monkeypatch.setenv("EYES_KEY", KEY)
    monkeypatch.setattr("miscomp.describe.crops.LEAST_SIDE", 32)
    write_json(make_sample(tmp_path, ["harbour.png", HOSTILE]), tmp_path / "report.json")
    return tmp_path


def run(audit: Path, *arguments: object) -> Result:
    result = CliRunner().invoke(app, ["describe", str(audit), *map(str, arguments)])
    assert KEY not in result.output
    return result


def ask(audit: Path, standin: Standin, *arguments: object) -> Result:
    result = run(audit, "--endpoint", standin.url, "--model", "eyes-1", "--key-env", "EYES_KEY", *arguments)
    for path in audit.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    return result


def refused(kind: type[MiscompError], audit: Path, *arguments: object) -> str:
    error = run(audit, *arguments).exception
    assert isinstance(error, kind), error
    return str(error)


def host(standin: Standin) -> str:
    return standin.url.removeprefix("http://").removesuffix("/v1")


def test_the_best_findings_are_described_and_the_pictures_destination_is_told_first(audit: Path) -> None:
    with serving() as standin:
        result = ask(audit, standin, "--top", 1, "--price-in", 2, "--price-out", 50)
    assert result.exit_code == 0, result.output
    assert len(standin.asked) == 16  # four reconstructions, four requests each
    told = result.stderr.splitlines()
    assert told[0] == (
        f"asking eyes-1 at {host(standin)} about 4 finding(s), at most 16 request(s) if none fails; "
        "CROPS OF THE PICTURES ARE SENT to that host"
    )
    assert len(told) == 5 and told[1].startswith("harbour.png, lucid@0.25bpp, ") and told[1].endswith(": different")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["picture", "codec", "rank", "score", "verdict", *lines[0].split()[5:]]
    assert lines[1].split() == ["harbour.png", "lucid@0.25bpp", "1", "0.90", "different", "The", "lengths", "differ."]
    assert [line.split()[-7:-4] for line in lines[2:5]] == [
        ["jpeg@like:lucid", "1", "0.90"], ["lucid@0.25bpp", "1", "0.89"], ["jpeg@like:lucid", "1", "0.89"]
    ]  # fmt: skip
    assert lines[5].startswith("A description is evidence to check, no score")
    assert lines[6].startswith("spent: 16 request(s), 1600 tokens sent, 320 received, ")
    assert lines[6].endswith("cost at the given prices: 0.0192")  # 1600 * 2e-6 + 320 * 50e-6


def test_the_file_says_what_was_said_by_whom_and_the_audit_stays_as_it_was(audit: Path) -> None:
    before = hashlib.sha256((audit / "report.json").read_bytes()).hexdigest()
    with serving() as standin:
        ask(audit, standin, "--top", 1)
    assert hashlib.sha256((audit / "report.json").read_bytes()).hexdigest() == before
    rows = json.loads((audit / "descriptions.json").read_text(encoding="utf-8"))["descriptions"]
    assert len(rows) == 4
    assert rows[0]["image_sha1"] == hashlib.sha1(b"harbour.png").hexdigest() and rows[0]["model"] == "lucid@0.25bpp"
    assert rows[0]["asked"]["describer"] == f"eyes-1 at {host(standin)}" and len(rows[0]["asked"]["prompts"]) == 12
    lengths = [len(asked.pictures[0]) for asked in standin.asked[:2]]
    assert [rows[0]["before"], rows[0]["after"]] == [f"A picture of {length} characters." for length in lengths]
    assert (rows[0]["verdict"], rows[0]["what"]) == ("different", "The lengths differ.")
    assert rows[0]["usage"]["prompt_tokens"] == 400 and rows[0]["usage"]["requests"] == 4


def test_a_second_run_asks_only_for_what_is_new(audit: Path) -> None:
    with serving() as standin:
        first = ask(audit, standin, "--top", 1)
        assert len(standin.asked) == 16
        again = ask(audit, standin, "--top", 1)
        assert len(standin.asked) == 16
        assert again.stdout.splitlines()[:6] == first.stdout.splitlines()[:6]
        more = ask(audit, standin, "--top", 2, "--json")
        assert len(standin.asked) == 32
        record = json.loads(more.stdout)
        assert (record["described"], record["kept"], record["left"]) == (4, 4, 0)
        assert [row["rank"] for row in record["descriptions"]] == [1, 2] * 4
        ask(audit, standin, "--top", 1, "--no-swap")  # asked in another way
        assert len(standin.asked) == 32 + 12


def test_a_spent_budget_is_no_failure_and_a_later_run_goes_on(audit: Path) -> None:
    with serving() as standin:
        result = ask(audit, standin, "--top", 1, "--max-requests", 9)
        assert result.exit_code == 0 and len(standin.asked) == 8
        assert "the budget is spent" in result.stderr and "2 finding(s) were not described" in result.stderr
        ask(audit, standin, "--top", 1)
        assert len(standin.asked) == 16


def test_pictures_of_another_audit_are_described_anew(audit: Path) -> None:
    with serving() as standin:
        ask(audit, standin, "--top", 1)
        reconstruction = audit / "pictures" / "0000-0.png"
        reconstruction.write_bytes((audit / "pictures" / "0000-1.png").read_bytes())
        old = json.loads(ask(audit, standin, "--top", 1, "--max-requests", 1, "--json").stdout)
        assert (old["left"], old["kept"], len(old["descriptions"])) == (1, 3, 3)  # the stale one is not shown
        ask(audit, standin, "--top", 1)
    assert len(standin.asked) == 20
    assert len(json.loads((audit / "descriptions.json").read_text(encoding="utf-8"))["descriptions"]) == 4


def test_failures_are_listed_and_leave_with_1_and_what_was_paid_for_is_kept(audit: Path) -> None:
    def script(asked: Asked) -> Reply:
        refused_now = len(standin.asked) > 4
        return (
            Reply(body=b'{"error": {"message": "no more \\u001b[31mcredit"}}', status=402)
            if refused_now
            else sees(asked)
        )

    with serving(script) as standin:
        result = ask(audit, standin, "--top", 1)
    assert result.exit_code == 1 and len(standin.asked) == 5
    assert "refused with status 402: no more [31mcredit" in result.stderr and "\x1b" not in result.output
    assert "2 finding(s) were not described" in result.stderr
    assert len(json.loads((audit / "descriptions.json").read_text(encoding="utf-8"))["descriptions"]) == 1


def test_a_missing_picture_fails_alone(audit: Path) -> None:
    (audit / "pictures" / "0000-0.png").unlink()
    with serving() as standin:
        result = ask(audit, standin, "--top", 1)
    assert result.exit_code == 1 and len(standin.asked) == 12
    assert "failed: " in result.stderr and "0000-0.png" in result.stderr


def test_answers_and_names_cannot_write_to_the_terminal(audit: Path) -> None:
    hostile = json.dumps({"verdict": "different", "what": "\x1b[2J<script>alert(1)</script>\n\u202elast"})
    with serving(lambda asked: says(hostile)) as standin:
        result = ask(audit, standin, "--top", 1)
    assert result.exit_code == 0 and "\x1b" not in result.output and "\u202e" not in result.output
    assert result.stdout.count("[2J<script>alert(1)</script> last") == 4


def test_uncounted_tokens_are_said_and_make_the_cost_a_lower_bound(audit: Path) -> None:
    with serving(lambda asked: says("A door.", usage=None)) as standin:
        result = ask(audit, standin, "--top", 1, "--price-in", 1, "--price-out", 1)
    last = result.stdout.splitlines()[-1]
    assert "the tokens of 16 request(s) are not known" in last and last.endswith("at least 0.0000")
    assert "unsure" in result.stdout


def test_an_audit_without_findings_asks_nothing(audit: Path) -> None:
    write_json(make_sample(audit, ["plain sky.png"]), audit / "report.json")
    with serving() as standin:
        result = ask(audit, standin)
    assert result.exit_code == 0 and standin.asked == [] and "0 finding(s)" in result.stderr


ENDPOINT = ("--endpoint", "http://127.0.0.1:9/v1", "--model", "eyes-1")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((), UsageError, "nothing is asked or sent"),
        ((*ENDPOINT, "--local", "weights"), UsageError, "either --endpoint"),
        (ENDPOINT[:2], UsageError, "needs --model"),
        (("--local", "weights", "--model", "eyes-1"), UsageError, "belong to --endpoint"),
        (("--local", "weights"), WeightsError, "config.json"),
        (("--endpoint", "http://host.example/v1", "--model", "eyes-1"), UsageError, "use https"),
        ((*ENDPOINT, "--key-env", "NO_SUCH_VARIABLE"), UsageError, "NO_SUCH_VARIABLE"),
        ((*ENDPOINT, "--price-in", 1), UsageError, "belong together"),
        ((*ENDPOINT, "--price-in", "inf", "--price-out", 1), UsageError, "need numbers"),
        ((*ENDPOINT, "--timeout", "inf"), UsageError, "timeout"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_sent(
    audit: Path, arguments: tuple[object, ...], kind: type[MiscompError], message: str
) -> None:
    assert message in refused(kind, audit, *arguments)
    assert not (audit / "descriptions.json").exists()


def test_a_folder_without_an_audit_and_a_box_outside_its_picture_are_refused(audit: Path, tmp_path: Path) -> None:
    assert "report.json" in refused(InputError, tmp_path / "none", *ENDPOINT)
    assert not (tmp_path / "none").exists()
    content = json.loads((audit / "report.json").read_text(encoding="utf-8"))
    content["results"][0]["findings"][0]["annotation"]["w"] = 10_000
    (audit / "report.json").write_text(json.dumps(content), encoding="utf-8")
    assert "reaches outside" in refused(InputError, audit, *ENDPOINT)


def test_a_damaged_file_of_descriptions_is_not_overwritten(audit: Path) -> None:
    (audit / "descriptions.json").write_text("{}", encoding="utf-8")
    assert "move it away" in refused(InputError, audit, *ENDPOINT)
    assert (audit / "descriptions.json").read_text(encoding="utf-8") == "{}"
