"""What pages tell at times: suggestions, breaks, another person, a small window, colours of the system."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from annotating import NEEDS_BROWSER, batched, open_page, serve
from hands import Hand
from PIL import Image

from miscomp.annotate.accounts import add_account
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Action, BatchItem, LabelEvent, Role, SecondLook, Shown, new_uuid
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import add, fetch
from miscomp.records import Box, display_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_BROWSER

PASSWORD = "twelve letters"
BATCHES = {"labelers": ["ann"], "agreement_batches": 0, "batch_size": 4}


def event_of(item: BatchItem, place: tuple[int, int, int, int], **values: object) -> LabelEvent:
    """A box on the pair of an item, by a detector unless the values say otherwise."""
    x, y, w, h = place
    name = display_id(item.image_sha1, item.model, Box(*place))
    fields: dict[str, object] = {
        **{"uuid": new_uuid(), "time": "2026-01-01T00:00:00Z", "action": Action.ADD.value, "labeler": "miscomp"},
        **{"id": name, "filename": "a.png", "image_sha1": item.image_sha1, "model": item.model},
        **{"x": x, "y": y, "w": w, "h": h, "origin": "detector", "score": 0.5, "version": "1"},
        **values,
    }
    return LabelEvent(**fields)  # type: ignore[arg-type]


def first_item(corpus: Corpus) -> BatchItem:
    with corpus.reading() as connection:
        return min(fetch(connection, BatchItem), key=lambda one: one.position)


def people(corpus: Corpus) -> list[LabelEvent]:
    with corpus.reading() as connection:
        return [one for one in current_labels(connection) if one.origin == "person"]


def test_a_suggestion_is_shown_taken_over_and_recorded(chromium: Browser, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1, batches=BATCHES, annotate={"suggestions": True})
    item = first_item(corpus)
    with corpus.writing() as connection:
        add(connection, [event_of(item, (40, 50, 30, 20)), event_of(item, (100, 90, 24, 20), score=0.4)])
    with serve(corpus) as running, open_page(chromium, running, "/label") as page:
        hand = Hand(page)
        assert page.locator("#box-size").inner_text() == "2 suggested (E)"
        assert page.locator(".frame-overlay .is-suggestion").count() == 2
        hand.press("e x")
        assert page.locator("#box-title").inner_text() == "Box 1 of 1"
        hand.press("y u")
        hand.saved()
        with corpus.reading() as connection:
            shown = fetch(connection, Shown)
    assert [(one.x, one.y, one.w, one.h, one.labeler) for one in people(corpus)] == [(40, 50, 30, 20, "ann")]
    assert {one.labeler for one in shown} == {"ann"} and len(shown) == 2


def test_a_break_is_suggested_between_two_pairs_and_not_before(chromium: Browser, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1, batches=BATCHES, annotate={"break_after_min": 1})
    with serve(corpus) as running, open_page(chromium, running, "/label") as page:
        page.clock.install()
        page.reload()
        hand = Hand(page)
        for _ in range(4):
            hand.press("Space")
            page.clock.fast_forward(20_000)
        hand.press("Space")
        said = page.get_by_text("time for a break")
        assert said.count() == 0, "never while a pair is looked at"
        hand.press("j")
        said.wait_for()
        assert "1 minute of work" in said.inner_text()
        page.get_by_role("button", name="Later").click()
        hand.press("j")
        hand.expect_pair("3 / 4")
        assert said.count() == 0, "it counts from the begin again"


def test_what_one_person_drew_is_never_saved_for_another(chromium: Browser, tmp_path: Path) -> None:
    batches = {"labelers": ["ann", "bob"], "agreement_batches": 1, "batch_size": 4}
    corpus = batched(tmp_path / "corpus", images=1, batches=batches)
    for name in ("ann", "bob"):
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)

    def log_in(page: Page, address: str, name: str) -> None:
        page.goto(f"{address}/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "/login" not in url)

    def log_out(page: Page) -> None:
        page.locator("#position", has_text="1 / 4").wait_for()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")

    problems = ("Failed to load resource",)
    with (
        serve(corpus) as running,
        open_page(chromium, running, "/label", login=("ann", PASSWORD), expected=problems) as page,
    ):
        hand = Hand(page)
        other = page.context.new_page()
        other.goto(running.address)
        log_out(other)
        log_in(other, running.address, "bob")
        hand.draw(10, 10, 20, 20)
        page.get_by_text("Somebody else (bob) is logged in").wait_for()
        assert people(corpus) == []
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Page of bob").click()
        log_out(opened.value)
        log_in(other, running.address, "ann")
        page.evaluate("dispatchEvent(new Event('online'))")
        hand.saved()
    assert [(one.labeler, one.x) for one in people(corpus)] == [("ann", 10)]


def test_sides_are_told_by_colour_where_the_system_has_its_own_colours(chromium: Browser, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1, batches=BATCHES)
    with serve(corpus) as running, open_page(chromium, running, "/label") as page:
        hand = Hand(page)
        page.emulate_media(forced_colors="active")

        def edge() -> set[tuple[int, ...]]:
            picture = Image.open(io.BytesIO(page.screenshot(clip={"x": 3, "y": 300, "width": 1, "height": 60})))
            return {colour for _, colour in picture.convert("RGB").getcolors() or []}  # type: ignore[misc]

        assert edge() == {(0x4A, 0xA3, 0xFF)}, "plain blue"
        hand.press("Space")
        assert {(0xFF, 0x9F, 0x1C), (0x4A, 0x2A, 0x00)} <= edge(), "striped orange"


def test_in_the_window_that_a_laptop_leaves_all_controls_are_seen_without_scrolling(
    chromium: Browser, tmp_path: Path
) -> None:
    corpus = batched(tmp_path / "corpus", images=1, batches=BATCHES)
    with serve(corpus) as running, open_page(chromium, running, "/label", size=(1366, 625)) as page:
        hand = Hand(page)
        hand.draw(10, 10, 50, 50)
        hand.press("y y n")
        panel = page.locator("#panel")
        assert panel.evaluate("(one) => one.scrollHeight - one.clientHeight") == 0


def test_what_a_reviewer_adds_after_the_verdict_is_stored_too(chromium: Browser, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1, batches=BATCHES)
    item = first_item(corpus)
    boxes = [event_of(item, (10 + 40 * at, 10, 20, 20), labeler="ann", origin="person", score=None) for at in (0, 1)]
    with corpus.writing() as connection:
        add(connection, boxes)
    add_account(corpus, "eve", roles=[Role.REVIEWER], password=PASSWORD)
    with serve(corpus) as running, open_page(chromium, running, "/review", login=("eve", PASSWORD)) as page:
        page.get_by_text("0 of 2 boxes looked at").wait_for()
        for key in "c3w":
            page.keyboard.press(key)
        page.keyboard.type("a sign")
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.keyboard.press("1")
        page.keyboard.press("n")
        page.get_by_text("not saved yet").wait_for()
        page.keyboard.press("r")
        page.get_by_text("2 of 2 boxes looked at").wait_for()
        page.locator("#saving", has_text="Saved").wait_for()
    with corpus.reading() as connection:
        told = {one.event: one for one in fetch(connection, SecondLook)}.values()
    assert sorted((one.judgement, one.category, one.note) for one in told) == [
        ("confirm", "SHAPE", "a sign"),
        ("reject", "AMPLITUDE", ""),
    ]
