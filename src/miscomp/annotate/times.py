"""Times as rows hold them."""

from __future__ import annotations

from datetime import UTC, datetime


def server_time() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def stamp(time: datetime) -> str:
    """A time as `entries.now` writes it: `2025-10-27T09:30:00.123456Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
