"""The one registry pattern: a row holds everything about a name, its code is imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from miscomp.errors import UnknownName


class NamedRow(Protocol):
    """What a registry needs of its rows."""

    @property
    def name(self) -> str: ...


RowT = TypeVar("RowT", bound=NamedRow)


class Registry(Generic[RowT]):
    """Rows by name, in the order given; `registry["jpg"]` raises `UnknownName` with the known names."""

    def __init__(self, kind: str, rows: Iterable[RowT]) -> None:
        self.kind = kind
        self._rows: dict[str, RowT] = {}
        for row in rows:
            if row.name in self._rows:
                raise ValueError(f"{kind} {row.name!r} is registered twice")
            self._rows[row.name] = row

    def __getitem__(self, name: str) -> RowT:
        try:
            return self._rows[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._rows) from None

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[RowT]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._rows)


def load(target: str) -> Callable[..., Any]:
    """Import `package.module:attribute`."""
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found
