"""Accounts and sessions: who gets in, and that neither passwords nor cookies are in the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from corpora import small_config
from sqlalchemy import update

from miscomp.annotate import accounts
from miscomp.annotate.accounts import add_account, check_password, disable, has_accounts, list_accounts, set_password
from miscomp.annotate.accounts import set_roles as give_roles
from miscomp.annotate.people import Person, join_roles, split_roles
from miscomp.annotate.sessions import close_session, find_session, open_session
from miscomp.corpus.corpus import Corpus, create_corpus
from miscomp.corpus.entries import Account, Role, Session
from miscomp.corpus.schema import ACCOUNT, count, fetch
from miscomp.errors import UsageError

LABELER = frozenset({Role.LABELER})
NOW = datetime(2026, 5, 4, 9, 0, 0, tzinfo=UTC)
CHEAP = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(accounts, "_hasher", lambda: CHEAP)
    accounts._nobodys.cache_clear()
    made = create_corpus(tmp_path / "corpus", small_config(annotate={"session_hours": 2}))
    add_account(made, "ann", roles=LABELER, password="a long password")
    return made


def test_the_right_password_lets_in_and_any_other_does_not(corpus: Corpus) -> None:
    assert check_password(corpus, "ann", "a long password") == Person("ann", LABELER)
    for name, password in (
        ("ann", "a long passwore"),
        ("ann", ""),
        ("ann", "x" * 10**6),
        ("ann", "\ud800\0"),
        ("Ann", "a long password"),
        ("bob", "a long password"),
        ("\0", "a long password"),
        ("", ""),
        ("\ud800" * 99, "nobody's"),
        ("bob", "nobody's"),
    ):
        assert check_password(corpus, name, password) is None


def test_passwords_are_stored_as_salted_argon2id_hashes(corpus: Corpus) -> None:
    add_account(corpus, "bob", roles=LABELER, password="a long password")
    with corpus.reading() as connection:
        stored = [one.password for one in fetch(connection, Account)]
        shown = repr(list_accounts(connection))
    assert all(one.startswith("$argon2id$v=19$") for one in stored) and stored[0] != stored[1]
    assert "a long password" not in repr(stored) and "argon2" not in shown


def test_the_hash_costs_what_the_standard_asks_for() -> None:
    # RFC 9106, section 4: the second recommended option.
    hasher = accounts._hasher()
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (3, 65536, 4)
    assert hasher.type.name == "ID"


def test_an_unknown_name_takes_as_long_as_a_wrong_password(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    add_account(corpus, "ann", roles=LABELER, password="a long password")
    took: dict[str, list[float]] = {"ann": [], "bob": []}
    check_password(corpus, "bob", "a wrong password")
    for _ in range(2):
        for name, times in took.items():
            begun = time.perf_counter()
            assert check_password(corpus, name, "a wrong password") is None
            times.append(time.perf_counter() - begun)
    # Without the same work it would be a hundredth; half leaves room for a machine at work.
    assert min(took["bob"]) > min(took["ann"]) / 2


def test_the_same_letters_typed_in_another_way_are_the_same_password(corpus: Corpus) -> None:
    set_password(corpus, "ann", "pässwörd of ann")
    assert check_password(corpus, "ann", "pa\u0308sswo\u0308rd of ann") is not None


@pytest.mark.parametrize("password", ["short", "x" * 257, ""])
def test_passwords_have_a_length(password: str, corpus: Corpus) -> None:
    with pytest.raises(UsageError, match="10 to 256 characters"):
        add_account(corpus, "bob", roles=LABELER, password=password)
    with pytest.raises(UsageError, match="10 to 256 characters"):
        set_password(corpus, "ann", password)


@pytest.mark.parametrize("name", ["", "a b", "../x", "ann", "ANN", "x" * 65, "é"])
def test_names_that_are_taken_or_no_names_are_refused(name: str, corpus: Corpus) -> None:
    with pytest.raises(UsageError):
        add_account(corpus, name, roles=LABELER, password="a long password")
    with corpus.reading() as connection:
        assert count(connection, Account) == 1


def test_roles_are_written_in_one_way_and_read_strictly(corpus: Corpus) -> None:
    assert join_roles({Role.REVIEWER, Role.LABELER}) == "labeler+reviewer"
    assert split_roles("reviewer+labeler") == {Role.REVIEWER, Role.LABELER}
    for text in ("", "labeler+", "king", "labeler,reviewer"):
        with pytest.raises(UsageError, match="labeler, screener, reviewer, supervisor"):
            split_roles(text)
    with pytest.raises(UsageError, match="a role at least"):
        give_roles(corpus, "ann", [])
    give_roles(corpus, "ann", Role)
    assert check_password(corpus, "ann", "a long password") == Person("ann", frozenset(Role))


def test_a_disabled_account_is_out_at_once_and_can_come_back(corpus: Corpus) -> None:
    cookie, _ = open_session(corpus, "ann", time=NOW)
    disable(corpus, "ann")
    with corpus.reading() as connection:
        assert has_accounts(connection)
        assert find_session(connection, cookie, time=NOW) is None
        assert [one.disabled for one in list_accounts(connection)] == [True]
    assert check_password(corpus, "ann", "a long password") is None
    disable(corpus, "ann", disabled=False)
    assert check_password(corpus, "ann", "a long password") is not None


def test_what_is_asked_of_an_unknown_account_is_an_error_that_lists_the_known(corpus: Corpus) -> None:
    works: list[Any] = [
        lambda: set_password(corpus, "bob", "a long password"),
        lambda: give_roles(corpus, "bob", LABELER),
        lambda: disable(corpus, "bob"),
    ]
    for work in works:
        with pytest.raises(UsageError, match="no account 'bob'; there are: ann"):
            work()


def test_a_hash_of_other_costs_is_made_anew_when_the_password_is_known(corpus: Corpus) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=512, parallelism=1).hash("a long password")
    with corpus.writing() as connection:
        connection.execute(update(ACCOUNT).values(password=old))
    assert check_password(corpus, "ann", "another password") is None
    with corpus.reading() as connection:
        assert fetch(connection, Account)[0].password == old
    for _ in range(2):
        assert check_password(corpus, "ann", "a long password") is not None
    with corpus.reading() as connection:
        assert "m=1024,t=1,p=1" in fetch(connection, Account)[0].password


def test_a_damaged_hash_lets_nobody_in(corpus: Corpus) -> None:
    for damaged in ("", "x", "$argon2id$v=19$m=8,t=1,p=1$$"):
        with corpus.writing() as connection:
            connection.execute(update(ACCOUNT).values(password=damaged))
        assert check_password(corpus, "ann", "a long password") is None


def test_a_session_is_found_by_its_cookie_until_it_expires(corpus: Corpus) -> None:
    cookie, session = open_session(corpus, "ann", time=NOW)
    assert len(cookie) >= 43 and cookie not in repr(session)
    with corpus.reading() as connection:
        for late in (timedelta(0), timedelta(hours=2, seconds=-1)):
            found = find_session(connection, cookie, time=NOW + late)
            assert found == (session, Person("ann", LABELER))
        assert find_session(connection, cookie, time=NOW + timedelta(hours=2)) is None
        for value in ("", "x", session.token, cookie[:-1], cookie + "x", "é" * 9, "\0", "\ud800", "x" * 10**6):
            assert find_session(connection, value, time=NOW) is None


def test_sessions_end_by_logging_out_by_another_password_and_by_age(corpus: Corpus) -> None:
    first, _ = open_session(corpus, "ann", time=NOW)
    second, _ = open_session(corpus, "ann", time=NOW)
    close_session(corpus, first)
    close_session(corpus, "unknown")
    with corpus.reading() as connection:
        assert find_session(connection, first, time=NOW) is None
        assert find_session(connection, second, time=NOW) is not None
    set_password(corpus, "ann", "another password")
    with corpus.reading() as connection:
        assert find_session(connection, second, time=NOW) is None
    open_session(corpus, "ann", time=NOW)
    open_session(corpus, "ann", time=NOW + timedelta(hours=3))
    with corpus.reading() as connection:
        assert count(connection, Session) == 1  # the expired one is forgotten


def test_roles_of_a_session_are_those_of_this_moment(corpus: Corpus) -> None:
    cookie, session = open_session(corpus, "ann", time=NOW)
    strange, other = open_session(corpus, "=bob", time=NOW)  # as in single mode
    give_roles(corpus, "ann", [Role.SUPERVISOR])
    with corpus.reading() as connection:
        found = find_session(connection, cookie, time=NOW)
        assert found == (session, Person("ann", frozenset({Role.SUPERVISOR})))
        assert find_session(connection, strange, time=NOW) == (other, None)
    with corpus.writing() as connection:
        connection.execute(update(ACCOUNT).values(disabled=True))  # by hand: its sessions are not forgotten
    with corpus.reading() as connection:
        assert find_session(connection, cookie, time=NOW) == (session, None)
