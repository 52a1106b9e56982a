"""The browser of the pages' tests: one for all of them, as their pages share nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from annotating import browser
from trained import cheap_hashes

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Asked for by tests marked as `NEEDS_BROWSER` says."""
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def cheap_passwords() -> Iterator[None]:
    """Accounts and logins cost next to nothing."""
    with cheap_hashes():
        yield
