from __future__ import annotations

import errno
from pathlib import Path

import pytest

from miscomp.errors import UsageError
from miscomp.folders import ResultsFolder


@pytest.mark.parametrize(("code", "refused"), [(errno.EBADF, False), (errno.ENOLCK, False), (errno.EIO, True)])
def test_a_network_drive_without_locks_keeps_nobody_out(
    code: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Linux's NFS refuses a lock on a folder with EBADF.
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("miscomp.folders.fcntl.flock", flock)
    folder = ResultsFolder(tmp_path / "run")
    if not refused:
        with folder.owned():
            assert folder.path.is_dir()
        return
    with pytest.raises(UsageError, match="cannot hold the run"), folder.owned():
        pytest.fail("it was locked")


def test_of_settings_in_tables_the_innermost_that_differ_are_named(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.write_settings({"request": {"size": 128, "seed": 1, "kind": "free"}, "state": "a"})
    with pytest.raises(UsageError, match=r"other settings \(request\.seed: 1, now 2\);"):
        folder.check_settings({"request": {"size": 128, "seed": 2, "kind": "free"}, "state": "a"})
