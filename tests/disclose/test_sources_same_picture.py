"""Which result of an audit is meant, where one picture was audited under several names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_sample import make_sample

from miscomp.disclose.sources import Wanted, from_audit
from miscomp.errors import UsageError
from miscomp.images import read
from miscomp.report.run import write_json


def test_of_one_picture_under_two_names_either_result_will_do_unless_they_differ(tmp_path: Path) -> None:
    folder, run = tmp_path, make_sample(tmp_path, ("a.png",))
    first = next(one for one in run.results if one.findings)
    pixels = read(folder / first.reconstruction_file).pixels
    again = replace(first, row=replace(first.row, filename="again.png"))
    write_json(replace(run, results=(first, again)), folder / "report.json")
    assert from_audit(folder, Wanted(pixels=pixels)).findings == len(first.findings)
    write_json(replace(run, results=(first, replace(again, findings=()))), folder / "report.json")
    with pytest.raises(UsageError, match="several results"):
        from_audit(folder, Wanted(pixels=pixels))
