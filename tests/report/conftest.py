"""The fixture of the report's tests."""

from __future__ import annotations

import pytest
from report_sample import MakeRun, make_sample


@pytest.fixture
def make_run() -> MakeRun:
    """Write a small audit's pictures into a folder and return the audit."""
    return make_sample
