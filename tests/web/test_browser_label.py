"""The labelers' page in a real browser before a real server; what counts is what the corpus holds afterwards."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from annotating import NEEDS_BROWSER, Running, batched, open_page, serve, start
from hands import SIZE, Hand
from sqlalchemy import delete

from miscomp.annotate.accounts import add_account
from miscomp.annotate.training import assign_training, make_training
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import LabelEvent, MultiFlag, Role, Seen, Visit
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import SESSION, fetch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = NEEDS_BROWSER

PASSWORD = "twelve letters"
OFFLINE = ("Failed to load resource",)
"""What the browser prints when the server is away, or refuses."""


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One picture by four models in one batch of `ann`."""
    batches = {"labelers": ["ann"], "agreement_batches": 0, "batch_size": 4}
    return batched(tmp_path / "corpus", images=1, batches=batches)


@pytest.fixture
def running(corpus: Corpus) -> Iterator[Running]:
    with serve(corpus) as found:
        yield found


@pytest.fixture
def hand(chromium: Browser, running: Running) -> Iterator[Hand]:
    with open_page(chromium, running, "/label") as page:
        yield Hand(page)


def standing(corpus: Corpus, labeler: str = "ann") -> list[LabelEvent]:
    with corpus.reading() as connection:
        return [one for one in current_labels(connection) if one.labeler == labeler]


def places(corpus: Corpus, labeler: str = "ann") -> list[tuple[int, int, int, int]]:
    return sorted((one.x, one.y, one.w, one.h) for one in standing(corpus, labeler))


def until_stored(corpus: Corpus, *wanted: tuple[int, int, int, int]) -> None:
    """Wait until these boxes stand."""
    end = time.monotonic() + 10
    while places(corpus) != sorted(wanted):
        assert time.monotonic() < end, f"these stand: {places(corpus)}"
        time.sleep(0.02)


def test_a_box_is_drawn_to_the_pixel_while_the_picture_flips_and_is_decided_by_keys(hand: Hand, corpus: Corpus) -> None:
    assert "is-original" in (hand.page.locator("#frame").get_attribute("class") or "")
    hand.draw(20, 30, 11, 7, keys="Space")
    assert "is-reconstruction" in (hand.page.locator("#frame").get_attribute("class") or "")
    hand.press("y y n 3 1 4")
    hand.saved()
    (box,) = standing(corpus)
    assert (box.x, box.y, box.w, box.h) == (20, 30, 11, 7)
    assert (box.changed, box.relevant, box.suspicion, box.expected) == (1.0, 1.0, 0.0, None)
    assert (box.category, box.symbol, box.origin) == ("SHAPE+AMPLITUDE", True, "person")
    assert "Keep the box" in hand.page.locator("#outcome").inner_text()
    hand.press("b n")
    assert "Nothing gives the change away" in hand.page.locator("#outcome").inner_text()
    hand.press("b b n")
    hand.saved()
    assert "Delete the box" in hand.page.locator("#outcome").inner_text()
    assert standing(corpus)[0].suspicion is None


def test_arrows_nudge_and_resize_undo_and_redo_go_over_deletions(hand: Hand, corpus: Corpus) -> None:
    hand.draw(20, 30, 11, 7)
    hand.press("ArrowRight ArrowDown Shift+ArrowLeft")
    until_stored(corpus, (11, 31, 11, 7))
    hand.press("Alt+ArrowRight Alt+Shift+ArrowDown")
    until_stored(corpus, (11, 31, 12, 17))
    hand.saved()
    hand.press("Delete")
    hand.saved()
    assert places(corpus) == []
    hand.press("Control+z")
    hand.saved()
    assert places(corpus) == [(11, 31, 12, 17)]
    hand.press("Control+z Control+z Control+z")
    hand.saved()
    assert places(corpus) == []
    hand.press("Control+y Control+Shift+z")
    hand.saved()
    assert places(corpus) == [(11, 31, 11, 7)]


def test_boxes_are_moved_and_resized_by_the_pointer_and_escape_stops_a_drag(hand: Hand, corpus: Corpus) -> None:
    hand.draw(40, 40, 20, 20)
    hand.drag((50, 50), (60, 45))
    hand.drag((70.0 + 7 / 4, 55.0 + 7 / 4), (80.0 + 7 / 4, 75.0 + 7 / 4))
    hand.saved()
    assert places(corpus) == [(50, 35, 30, 40)]
    hand.drag((60, 50), (10, 10), keys="Escape")
    hand.draw(100, 100, 30, 30, keys="Escape")
    hand.saved()
    assert places(corpus) == [(50, 35, 30, 40)]


def test_a_box_closes_in_on_what_changed_inside_it(hand: Hand, corpus: Corpus) -> None:
    """That it becomes smaller, is told and undone; which box is the tight one is tested with the viewer."""
    hand.draw(0, 0, 192, 176)
    hand.page.keyboard.press("c")
    hand.page.locator("#box-size", has_not_text="192 × 176 px at 0, 0").wait_for()
    hand.saved()
    ((x, y, w, h),) = places(corpus)
    assert x + w <= SIZE[0] and y + h <= SIZE[1] and w * h < SIZE[0] * SIZE[1]
    hand.page.keyboard.press("Control+z")
    hand.saved()
    assert places(corpus) == [(0, 0, *SIZE)]


def test_a_box_of_one_pixel_is_drawn_at_the_largest_zoom(hand: Hand, corpus: Corpus) -> None:
    hand.page.mouse.move(*hand.at(100.5, 90.5))
    hand.page.mouse.wheel(0, -5000)
    for _ in range(12):
        hand.page.mouse.wheel(0, -240)
    hand.page.locator(".frame-zoom", has_text="3200 %").wait_for()
    place = hand.page.locator(".frame-overlay").bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    hand.page.mouse.move(x, y)
    hand.page.mouse.down()
    hand.page.mouse.move(x + 5, y + 5)
    hand.page.mouse.move(x, y)
    hand.page.mouse.up()
    hand.saved()
    ((_, _, w, h),) = places(corpus)
    assert (w, h) == (1, 1)


def test_reload_brings_back_the_pair_and_all_of_it(hand: Hand, corpus: Corpus) -> None:
    hand.press("j")
    hand.expect_pair("2 / 4")
    hand.draw(5, 6, 10, 12)
    hand.press("u r o")
    hand.page.locator("#multi-kind").select_option("texture")
    hand.page.locator("#pair-note").fill("flags")
    hand.page.locator("#frame").focus()
    hand.saved()
    hand.page.reload()
    hand.expect_pair("2 / 4")
    assert hand.boxes().count() == 1
    assert hand.page.locator("#multi-kind").input_value() == "texture"
    assert hand.page.locator("#pair-note").input_value() == "flags"
    with corpus.reading() as connection:
        flag = fetch(connection, MultiFlag)[-1]
    assert (flag.multi, flag.kind, flag.overall, flag.note) == (True, "texture", True, "flags")


def test_done_leads_through_the_batch_and_asks_once_about_what_is_undecided(hand: Hand, corpus: Corpus) -> None:
    hand.draw(5, 6, 10, 12)
    hand.page.get_by_text("Space flips the sides").wait_for()
    hand.press("Space Enter")
    hand.page.get_by_text("undecided").wait_for()
    hand.press("Enter")
    hand.expect_pair("2 / 4")
    assert hand.page.get_by_text("Space flips the sides").count() == 0
    hand.press("Enter")
    hand.page.get_by_text("You have not flipped this pair").wait_for()
    hand.press("Space")
    assert hand.page.get_by_text("You have not flipped this pair").count() == 0
    hand.press("Enter")
    hand.expect_pair("3 / 4")
    hand.press("Enter Enter")
    hand.expect_pair("4 / 4")
    hand.press("Space Enter")
    hand.page.get_by_text("All your batches are done").wait_for()
    hand.saved()
    with corpus.reading() as connection:
        assert len(fetch(connection, Seen)) == 4
        visits = fetch(connection, Visit)
    assert [one.finished for one in visits] == [True] * 4
    assert all(0 <= one.active_s < 60 for one in visits)


def test_a_lost_server_is_said_and_nothing_is_lost(chromium: Browser, corpus: Corpus) -> None:
    running = start(corpus)
    with open_page(chromium, running, "/label", expected=OFFLINE) as page:
        hand = Hand(page)
        hand.draw(10, 10, 5, 5)
        hand.saved()
        running.stop()
        hand.draw(30, 30, 6, 6)
        hand.press("y")
        page.get_by_text("NOT SAVED: 2 waiting").wait_for()
        page.get_by_text("Connection lost").wait_for()
        hand.press("Enter")
        hand.press("Enter")
        hand.expect_pair("2 / 4")
        again = start(corpus, port=running.port)
        try:
            page.get_by_role("button", name="Try now").click()
            hand.saved()
        finally:
            again.stop()
    assert places(corpus) == [(10, 10, 5, 5), (30, 30, 6, 6)]
    with corpus.reading() as connection:
        assert len(fetch(connection, Seen)) == 1


def test_a_window_closed_without_a_connection_loses_nothing(
    chromium: Browser, running: Running, corpus: Corpus
) -> None:
    with open_page(chromium, running, "/label", expected=OFFLINE) as page:
        hand = Hand(page)
        page.context.route("**/api/save", lambda route: route.abort())
        hand.draw(10, 10, 5, 5)
        page.get_by_text("NOT SAVED").first.wait_for()
        assert places(corpus) == []
        page.close()
        page.context.unroute("**/api/save")
        fresh = page.context.new_page()
        fresh.goto(f"{running.address}/label")
        Hand(fresh).saved()
        assert Hand(fresh).boxes().count() == 1
    assert places(corpus) == [(10, 10, 5, 5)]


def test_two_labelers_at_once_never_see_each_others_boxes(
    chromium: Browser, cheap_passwords: None, tmp_path: Path
) -> None:
    settings = {"labelers": ["ann", "bob"], "agreement_batches": 1, "batch_size": 4}
    corpus = batched(tmp_path / "corpus", images=1, batches=settings)
    for name in ("ann", "bob"):
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)
    with (
        serve(corpus) as running,
        open_page(chromium, running, "/label", login=("ann", PASSWORD)) as first,
        open_page(chromium, running, "/label", login=("bob", PASSWORD)) as second,
    ):
        ann, bob = Hand(first), Hand(second)
        assert "DRAW ALL INSTANCES" in first.locator("#rule").inner_text()
        ann.draw(10, 10, 5, 5)
        bob.draw(50, 50, 7, 7)
        ann.saved()
        bob.saved()
        for one in (ann, bob):
            one.page.reload()
            one.expect_pair()
            assert one.boxes().count() == 1
    assert (places(corpus, "ann"), places(corpus, "bob")) == ([(10, 10, 5, 5)], [(50, 50, 7, 7)])


def test_a_box_changed_on_two_computers_stands_twice_and_it_says_so(
    chromium: Browser, running: Running, hand: Hand, corpus: Corpus
) -> None:
    hand.draw(10, 10, 5, 5)
    hand.saved()
    with open_page(chromium, running, "/label") as page:
        other = Hand(page)
        assert other.boxes().count() == 1
        hand.press("ArrowRight")
        until_stored(corpus, (11, 10, 5, 5))
        other.press("s ArrowDown")
        page.get_by_text("both are shown").wait_for()
        other.saved()
        other.boxes().nth(1).wait_for()
        assert page.locator(".frame-overlay .is-doubtful").count() >= 1
    assert places(corpus) == [(10, 11, 5, 5), (11, 10, 5, 5)]


def test_two_windows_of_one_browser_follow_each_other(running: Running, hand: Hand, corpus: Corpus) -> None:
    page = hand.page.context.new_page()
    page.goto(f"{running.address}/label")
    other = Hand(page)
    hand.draw(10, 10, 5, 5)
    other.boxes().nth(0).wait_for()
    other.press("s ArrowRight")
    hand.page.locator("#box-size", has_text="at 11, 10").wait_for()
    hand.press("ArrowRight")
    until_stored(corpus, (12, 10, 5, 5))


def test_an_ended_session_keeps_everything_until_the_next_login(
    chromium: Browser, running: Running, corpus: Corpus
) -> None:
    with open_page(chromium, running, "/label", expected=OFFLINE) as page:
        hand = Hand(page)
        with corpus.writing() as connection:
            connection.execute(delete(SESSION))
        hand.draw(10, 10, 5, 5)
        page.get_by_text("Your session ended").wait_for()
        assert places(corpus) == []
        tab = page.context.new_page()
        tab.goto(running.entrance)
        tab.wait_for_url(lambda url: "/enter" not in url)
        tab.close()
        hand.saved()
    assert places(corpus) == [(10, 10, 5, 5)]


def test_notes_are_text_whatever_is_in_them_and_typing_triggers_no_key(hand: Hand, corpus: Corpus) -> None:
    note = "<script>alert(1)</script><img src=x onerror=alert(2)> y n 1"
    hand.draw(10, 10, 5, 5)
    hand.press("w")
    hand.page.keyboard.type(note)
    hand.press("Escape")
    hand.saved()
    (box,) = standing(corpus)
    assert (box.note, box.changed, box.category) == (note, None, "")
    hand.page.reload()
    hand.expect_pair()
    hand.press("s")
    assert hand.page.locator("#box-note").input_value() == note
    assert hand.page.locator("script:not([src]), img").count() == 0


def test_without_storage_it_says_so_and_saves_all_the_same(chromium: Browser, running: Running, corpus: Corpus) -> None:
    forbidden = (
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    )
    with open_page(chromium, running, "/login", expected=OFFLINE) as page:
        page.add_init_script(forbidden)
        page.goto(f"{running.address}/label")
        hand = Hand(page)
        page.context.route("**/api/save", lambda route: route.abort())
        hand.draw(10, 10, 5, 5)
        page.get_by_text("no room to keep changes").wait_for()
        page.context.unroute("**/api/save")
        page.get_by_role("button", name="Try now").click()
        hand.saved()
        assert page.get_by_text("no room to keep changes").count() == 0
    assert places(corpus) == [(10, 10, 5, 5)]


def test_after_a_training_pair_comes_its_discussion_and_then_the_next_pair(
    chromium: Browser, corpus: Corpus, tmp_path: Path
) -> None:
    with corpus.writing() as connection:
        make_training(connection, corpus.config, count=2, labelled_too=True)
        assign_training(connection, ["ann"])
    with serve(corpus) as running, open_page(chromium, running, "/label") as page:
        hand = Hand(page, "1 / 2")
        assert page.locator("#kind").inner_text() == "training"
        hand.draw(10, 10, 20, 20)
        hand.press("u Space Enter")
        page.get_by_role("heading", name="Discussion").wait_for()
        assert page.locator(".training-box").count() == 1
        hand.press("Enter")
        hand.expect_pair("2 / 2")
        assert page.locator(".training-box").count() == 0
        hand.saved()
    with corpus.reading() as connection:
        assert [one.finished for one in fetch(connection, Visit)].count(True) == 1


def test_a_change_that_the_server_refuses_is_kept_and_listed(hand: Hand, corpus: Corpus) -> None:
    def refuse(route: Route) -> None:
        (event,) = (route.request.post_data_json or {})["events"]
        route.fulfill(
            json={"replies": [{"uuid": event["uuid"], "outcome": "refused", "reason": "<b>no</b>"}], "time": ""}
        )

    hand.page.route("**/api/save", refuse)
    hand.draw(10, 10, 5, 6)
    hand.page.get_by_text("1 change was refused").wait_for()
    hand.page.unroute("**/api/save")
    hand.page.get_by_role("button", name="Show").click()
    hand.page.get_by_text("box add 5 × 6 at 10, 10").wait_for()
    hand.page.get_by_text("<b>no</b>").wait_for()
    hand.page.get_by_role("button", name="Forget them").click()
    hand.page.get_by_text("1 change was refused").wait_for(state="detached")
    assert places(corpus) == []


@pytest.mark.parametrize("size", [(1366, 768), (2560, 1440)])
def test_everything_is_on_the_screen_and_every_control_has_a_name(
    chromium: Browser, running: Running, size: tuple[int, int]
) -> None:
    with open_page(chromium, running, "/label", size=size) as page:
        hand = Hand(page)
        hand.draw(10, 10, 50, 50)
        outside = """[...document.querySelectorAll('#panel button, #panel select, #panel textarea')].filter((one) => {
          const {left, top, right, bottom} = one.getBoundingClientRect();
          return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
        }).map((one) => one.outerHTML)"""
        assert page.evaluate(outside) == []
        snapshot = page.locator("#panel").aria_snapshot()
        assert not re.search(r"- (button|combobox|textbox)\s*(:|$)", snapshot, re.MULTILINE), snapshot
        hand.press("?")
        shown = page.locator("dialog.keys")
        shown.wait_for()
        fits = "(one) => one.scrollHeight <= one.clientHeight + 1"
        assert shown.evaluate(fits)
        assert shown.locator("dt").count() >= 30
        hand.press("Escape h")
        assert page.locator("#panel").is_hidden()


def test_the_next_pair_is_there_at_once(hand: Hand, record_property: Callable[[str, object], None]) -> None:
    """The time is told, and bounded only against what nobody would wait for: machines differ."""
    page = hand.page
    first = page.evaluate("performance.getEntriesByName('pair-shown')[0].startTime")
    page.wait_for_timeout(500)
    begun = page.evaluate("performance.now()")
    hand.press("j")
    hand.expect_pair("2 / 4")
    next_one = page.evaluate("performance.getEntriesByName('pair-shown')[1].startTime") - begun
    record_property("first_ms", first)
    record_property("next_ms", next_one)
    assert first < 10_000
    assert next_one < 2000
