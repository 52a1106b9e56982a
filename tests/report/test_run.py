"""`report.json` holds a run exactly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_sample import MakeRun

from miscomp.errors import InputError
from miscomp.records import Evidence, Failure
from miscomp.report.run import SCHEMA, Run, read_json, write_json

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def test_a_run_is_read_back_exactly(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_json(run, tmp_path / "report.json")
    assert read_json(tmp_path / "report.json") == run


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), plain | st.lists(plain)), st.lists(st.text()), st.text(), st.text())
def test_any_settings_and_names_are_read_back_exactly(
    tmp_path: Path, chosen: dict[str, Any], names: list[str], name: str, reason: str
) -> None:
    failures = (Failure(name=name, reason=reason),)
    run = Run(version="1", settings=chosen, results=(), failures=failures, unmatched=tuple(names), detector=name)
    write_json(run, tmp_path / "report.json")
    assert repr(read_json(tmp_path / "report.json")) == repr(run)


def test_names_that_are_not_unicode_are_read_back_exactly(tmp_path: Path) -> None:
    run = Run(version="1", settings={}, results=(), failures=(), unmatched=("caf\udce9.png",), detector="d")
    write_json(run, tmp_path / "report.json")
    assert read_json(tmp_path / "report.json") == run


def test_numbers_that_are_not_finite_are_written_as_valid_json(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    result = run.results[0]
    odd = Evidence(value=0.5, words="w", numbers={"nan": math.nan, "inf": math.inf, "low": -math.inf, "text": "inf"})
    found = replace(result.findings[0], expected=odd)
    run = replace(run, results=(replace(result, findings=(found,)),))
    write_json(run, tmp_path / "report.json")

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    read = read_json(tmp_path / "report.json").results[0].findings[0].expected.numbers
    assert repr(dict(read)) == repr(dict(odd.numbers))


def test_the_same_run_gives_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_json(make_run(tmp_path), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _spoilt(content: dict[str, Any], *path: str | int, value: Any) -> str:
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema",), SCHEMA + 1, "schema"),
        (("extra",), 1, "needs an object with"),
        (("version",), 3, "report.version needs str, got int"),
        (("results",), {}, "report.results needs a list"),
        (("results", 0, "row", "width"), 0, "width"),
        (("results", 0, "row", "width"), True, "row.width needs int, got bool"),
        (("results", 0, "row", "psnr"), {"non_finite": "big"}, "needs inf, -inf or nan"),
        (("results", 0, "findings", 0, "annotation", "score"), 7.0, "score must lie in"),
        (("results", 0, "findings", 0, "changed", "numbers", "z"), [1], "got list"),
    ],
)
def test_a_report_that_was_not_written_here_is_refused_by_name_and_place(
    make_run: MakeRun, tmp_path: Path, path: tuple[str | int, ...], value: Any, says: str
) -> None:
    write_json(make_run(tmp_path), tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").write_text(_spoilt(content, *path, value=value))
    with pytest.raises(InputError, match=r"report\.json: cannot be read as a report") as caught:
        read_json(tmp_path / "report.json")
    assert says in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": NaN}', b"[" * 100_000, b"9" * 5000])
def test_bytes_that_are_no_report_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(InputError, match=r"report\.json"):
        read_json(tmp_path / "report.json")


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.json"):
        read_json(tmp_path / "report.json")


def test_a_value_that_no_report_can_hold_is_refused(tmp_path: Path) -> None:
    run = Run(version="1", settings={"x": object()}, results=(), failures=(), unmatched=(), detector="d")  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="object"):
        write_json(run, tmp_path / "report.json")
