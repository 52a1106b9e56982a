"""What photographs and pairs are called in browsers, and back: keyed hashes, so that a name tells nothing.

A pair's name is the same whether it is in a batch or not; what is looked at again may be in none, as after an import.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, select

from miscomp.corpus.batches.planning import alias_of
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, count, fetch

Key = TypeVar("Key")

ALIAS = re.compile("[0-9a-f]{40}")
"""What may be a name at all; nothing else is asked for."""


class AliasBook(Generic[Key]):
    """Finds what a name stands for. Names are worked out once, and again when rows were added."""

    def __init__(self, name: Callable[[Key], str], keys: Callable[[Connection], Iterable[Key]], record: Any) -> None:
        """`keys` gives one for each row of `record`'s table, which only grows."""
        self._name, self._keys, self._record = name, keys, record
        self._known: dict[str, Key] = {}
        self._rows = -1
        self._lock = Lock()

    def find(self, connection: Connection, alias: str) -> Key | None:
        """What is called so; none where nothing is."""
        with self._lock:
            # Only a name that is not known asks the database, and then for one number.
            if alias in self._known or not ALIAS.fullmatch(alias):
                return self._known.get(alias)
            if (rows := count(connection, self._record)) != self._rows:
                self._known, self._rows = {self._name(key): key for key in self._keys(connection)}, rows
            return self._known.get(alias)


def photograph_alias(secret: str, image_sha1: str) -> str:
    """What a photograph is called for screeners: 40 hex digits that tell nothing without the corpus' secret."""
    return hmac.digest(secret.encode(), f"photograph {image_sha1}".encode(), hashlib.sha256).hex()[:40]


def find_photograph(connection: Connection, alias: str) -> SourceImage | None:
    """The photograph of that name; none where there is none, or where its pixels were removed."""
    sha1 = _photographs(meta(connection, "secret")).find(connection, alias)
    found = fetch(connection, SourceImage, IMAGE.c.image_sha1 == sha1, IMAGE.c.removed == "") if sha1 else []
    return found[0] if found else None


def find_reconstruction(connection: Connection, alias: str) -> tuple[SourceImage, Reconstruction] | None:
    """The pair of that name, in a batch or not; none where there is none, or where its pixels are not there."""
    pair = _pairs(meta(connection, "secret")).find(connection, alias)
    if pair is None:
        return None
    made, sha1, model = RECONSTRUCTION.c, *pair
    rows = fetch(connection, Reconstruction, made.image_sha1 == sha1, made.model == model, made.file != "")
    images = fetch(connection, SourceImage, IMAGE.c.image_sha1 == sha1, IMAGE.c.removed == "")
    return (images[0], rows[0]) if rows and images else None


@lru_cache(maxsize=8)
def _photographs(secret: str) -> AliasBook[str]:
    def keys(connection: Connection) -> Iterable[str]:
        return connection.execute(select(IMAGE.c.image_sha1)).scalars()

    return AliasBook(lambda sha1: photograph_alias(secret, sha1), keys, SourceImage)


@lru_cache(maxsize=8)
def _pairs(secret: str) -> AliasBook[tuple[str, str]]:
    def keys(connection: Connection) -> Iterable[tuple[str, str]]:
        found = connection.execute(select(RECONSTRUCTION.c.image_sha1, RECONSTRUCTION.c.model))
        return [(sha1, model) for sha1, model in found]

    return AliasBook(lambda pair: alias_of(secret, *pair), keys, Reconstruction)
