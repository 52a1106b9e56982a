"""Screening, review and the supervisor's page in a real browser. Oracle: the rows that keys and buttons leave."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from annotating import NEEDS_BROWSER, Running, open_page, serve, start
from corpora import label
from second import done, items, shared_corpus

from miscomp.annotate.accounts import add_account
from miscomp.corpus.entries import Decision, Role, SecondLook
from miscomp.corpus.schema import add, fetch
from miscomp.records import Box

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_BROWSER

PASSWORD = "correct horse battery"
PEOPLE = {"kim": Role.SCREENER, "max": Role.SCREENER, "eve": Role.REVIEWER, "sam": Role.SUPERVISOR}
PAINTED = "document.querySelector('#frame canvas').width > 300"
"""A canvas that nothing was painted on is 300 pixels wide."""
HERE, NEAR, THERE = Box(16, 24, 40, 32), Box(20, 26, 40, 30), Box(100, 90, 24, 20)


@pytest.fixture(scope="module")
def running(cheap_passwords: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    corpus = shared_corpus(tmp_path_factory.mktemp("second") / "corpus")
    pairs = items(corpus, agreement=True)
    drawn = ((0, "ann", (HERE, THERE)), (0, "bob", (NEAR,)), (1, "ann", ()), (1, "bob", ()), (2, "bob", (HERE,)))
    with corpus.writing() as connection:
        for at, who, boxes in drawn:
            add(connection, [*done(pairs[at], who, day=f"2025-10-{20 + at}", active_s=50 + 10 * at)])
            sha1, model = pairs[at].image_sha1, pairs[at].model
            add(connection, [label(sha1, model, one, who, origin="person", category="SHAPE") for one in boxes])
    for name, role in PEOPLE.items():
        add_account(corpus, name, roles=[role], password=PASSWORD)
    with serve(corpus) as found:
        yield found


def rows(running: Running, record: type[Any], **values: str) -> list[Any]:
    with running.store.corpus.reading() as connection:
        every = fetch(connection, record)
    return [one for one in every if all(getattr(one, name) == value for name, value in values.items())]


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def shown(page: Page, text: str) -> None:
    page.get_by_text(re.compile(text)).first.wait_for()


def test_a_screener_decides_by_keys_goes_back_and_comes_again(
    running: Running, chromium: Browser, tmp_path: Path
) -> None:
    with open_page(chromium, running, "/screen", login=("kim", PASSWORD)) as page:
        shown(page, "0 of 3 pictures decided")
        until(lambda: page.evaluate(PAINTED), "the picture is painted")
        assert page.locator("#include li").count() == len(running.store.corpus.config.screening.include)
        page.screenshot(path=tmp_path / "screen.png")
        page.keyboard.press("w")
        page.keyboard.type("a sign, i think")
        page.keyboard.press("Escape")
        page.keyboard.press("i")
        shown(page, "1 of 3 pictures decided")
        page.keyboard.press("u")
        shown(page, "You said: include")
        assert page.locator("#note").input_value() == "a sign, i think"
        page.keyboard.press("e")
        page.get_by_role("button", name="Borderline").click()
        shown(page, "2 of 3 pictures decided")
        until(lambda: len(rows(running, Decision, screener="kim")) == 3, "three words are stored")
        page.reload()
        shown(page, "2 of 3 pictures decided")
        page.keyboard.press("n")
        shown(page, "you left 1 undecided")
        page.keyboard.press("n")
        page.keyboard.press("b")
        shown(page, "You have decided on all pictures")
        page.keyboard.press("?")
        shown(page, "include, borderline, exclude")
    until(lambda: len(rows(running, Decision, screener="kim")) == 4, "the last is stored too")
    told = [(one.choice, one.note) for one in rows(running, Decision, screener="kim")]
    assert told == [
        ("include", "a sign, i think"),
        ("exclude", "a sign, i think"),
        ("borderline", ""),
        ("borderline", ""),
    ]


def test_a_reviewer_looks_by_keys_and_then_learns_what_the_labeler_said(
    running: Running, chromium: Browser, tmp_path: Path
) -> None:
    with open_page(chromium, running, "/review", login=("eve", PASSWORD)) as page:
        shown(page, "0 of 4 boxes looked at, in 2 pairs")
        page.locator("#frame .frame-overlay rect").first.wait_for()
        assert "SHAPE" not in page.locator("#first").inner_text()
        page.keyboard.press("Space")
        page.locator("#frame.is-reconstruction").wait_for()
        page.keyboard.press("1")
        page.keyboard.press("s")
        page.screenshot(path=tmp_path / "review-before.png")
        page.keyboard.press("c")
        shown(page, "The labeler called it SHAPE")
        page.screenshot(path=tmp_path / "review-after.png")
        for keys in ("nr", "nu", "n3c"):
            for key in keys:
                page.keyboard.press(key)
        shown(page, "4 of 4 boxes looked at")
        page.keyboard.press("Backspace")
        page.keyboard.press("c")
        until(lambda: len(rows(running, SecondLook, reviewer="eve")) == 5, "five words are stored")
        page.reload()
        shown(page, "You have looked at all of these boxes")
    told = rows(running, SecondLook, reviewer="eve")
    assert [one.judgement for one in told] == ["confirm", "reject", "unsure", "confirm", "confirm"]
    assert (told[0].category, told[0].symbol) == ("AMPLITUDE", True)
    assert (told[3].category, told[3].event != told[4].event) == ("SHAPE", True)


def test_a_supervisor_sees_the_work_and_everybodys_boxes(running: Running, chromium: Browser, tmp_path: Path) -> None:
    with open_page(chromium, running, "/supervise", login=("sam", PASSWORD), size=(1366, 1700)) as page:
        shown(page, "5 of 16 assigned pairs done")
        assert page.locator("#labelers tbody tr").count() == 2
        assert page.locator("svg.throughput rect.bar").count() == 3
        page.locator("#frame .frame-overlay rect").first.wait_for()
        names = page.locator("#frame .frame-overlay text").all_text_contents()
        assert sorted(names) == ["ann · SHAPE", "ann · SHAPE", "bob · SHAPE"]
        assert page.locator("#pairs li").first.inner_text().endswith("33 %, 1 unmatched; done by ann, bob")
        page.screenshot(path=tmp_path / "supervise.png", full_page=True)
        page.keyboard.press("a")
        until(lambda: page.locator("#frame .frame-overlay text").count() == 1, "one box has no match")
        page.keyboard.press("n")
        shown(page, "Pair 2 of 4")
        assert "off" in page.locator("#suggestions").inner_text()
        with page.expect_download() as download:
            page.get_by_role("link", name="Export the tables").click()
        assert download.value.suggested_filename == "tables.zip"


def test_words_of_a_lost_server_are_sent_when_it_is_back(running: Running, chromium: Browser) -> None:
    lost = ("Failed to load resource", "ERR_CONNECTION")
    with open_page(chromium, running, "/screen", login=("max", PASSWORD), expected=lost) as page:
        shown(page, "0 of 3 pictures decided")
        until(lambda: page.evaluate(PAINTED), "the picture is painted")
        running.stop()
        page.keyboard.press("i")
        shown(page, "Connection lost")
        assert not rows(running, Decision, screener="max")
        again = start(running.store.corpus, port=running.port)
        try:
            until(lambda: len(rows(running, Decision, screener="max")) == 1, "the word is sent")
            page.locator("#saving", has_text="Saved").wait_for()
        finally:
            again.stop()
