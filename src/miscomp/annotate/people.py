"""Who asks: a name that stands in the tables, and what that person may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from miscomp.corpus.entries import Role
from miscomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known to be who they say they are."""

    name: str
    """As labeler, screener or reviewer in the tables."""
    roles: frozenset[Role]

    def may(self, role: Role) -> bool:
        """Whether this person has a role."""
        return role in self.roles


def everything(name: str) -> Person:
    """The one person of a corpus without accounts: all roles."""
    return Person(name, frozenset(Role))


def join_roles(roles: Iterable[Role]) -> str:
    """As accounts hold them: `labeler+reviewer`, in the order of `Role`. Raises `UsageError` for none."""
    given = frozenset(roles)
    if not given:
        raise UsageError(f"an account needs a role at least; there are {', '.join(Role)}")
    return "+".join(one.value for one in Role if one in given)


def split_roles(text: str) -> frozenset[Role]:
    """The reverse. Raises `UsageError` for a role that there is not."""
    words = [word.strip() for word in text.split("+")]
    if unknown := sorted({*words} - {*Role}):
        raise UsageError(f"there is no role {', '.join(map(repr, unknown))}; there are {', '.join(Role)}")
    return frozenset(Role(word) for word in words)
