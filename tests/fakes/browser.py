"""A page in Chromium, which is Debian's package; without it the tests that need it are skipped with a message."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed; the page is not tried in a browser"),
]
"""Marks of a module whose tests start it."""


def dump(path: Path, address: str, profile: Path) -> str:
    """The document after its scripts have run, as Chromium writes it."""
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-sync", "--disable-background-networking", "--disable-component-update",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=20000", "--window-size=1366,768", "--dump-dom", f"{path.as_uri()}{address}",
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(profile)}
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment)
    return done.stdout.decode("utf-8")
