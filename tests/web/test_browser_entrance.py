"""Coming in and going out in a real browser: the key, a link from elsewhere, the login, logging out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from annotating import NEEDS_BROWSER, batched, open_page, serve

from miscomp.annotate.accounts import add_account
from miscomp.corpus.entries import Role, Visit
from miscomp.corpus.schema import fetch
from miscomp.web.api_login import WRONG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = NEEDS_BROWSER

PASSWORD = "correct horse battery"


def test_a_link_on_another_site_leads_in_and_logging_out_leads_out(chromium: Browser, tmp_path: Path) -> None:
    """A terminal in a web page is another site: after a redirect from there the new cookie would not be sent."""
    with serve(batched(tmp_path / "corpus", images=1), labeler="labeler-1") as running:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"data:text/html,<a href='{running.entrance}'>label</a>")
        page.click("a")
        page.wait_for_url("**/label*")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        assert page.goto(f"{running.address}/label").url.endswith("/login")  # type: ignore[union-attr]
        context.close()


def test_what_was_not_told_yet_is_told_before_logging_out(chromium: Browser, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1)
    with serve(corpus, labeler="labeler-1") as running:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(running.entrance)
        page.locator("#position", has_text="1 /").wait_for()
        page.locator("[data-act=multi]:enabled").wait_for()  # the pair is there
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        with corpus.reading() as connection:
            (visit,) = fetch(connection, Visit)
        assert (visit.labeler, visit.finished) == ("labeler-1", False)
        context.close()


def test_names_and_passwords(chromium: Browser, cheap_passwords: None, tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", images=1)
    add_account(corpus, "labeler-1", roles=[Role.LABELER], password=PASSWORD)
    with serve(corpus) as running:
        with open_page(chromium, running, login=("labeler-1", PASSWORD)) as page:
            assert "/label" in page.url
        context = chromium.new_context()
        page = context.new_page()
        page.clock.install()
        page.goto(f"{running.address}/label")
        page.wait_for_url("**/login")
        page.get_by_label("Name").fill("labeler-1")
        for _ in range(5):
            page.get_by_label("Password").fill("wrong")
            with page.expect_response("**/api/login") as answer:
                page.get_by_role("button", name="Log in").click()
            assert answer.value.status == 401
        page.get_by_text(WRONG).wait_for()
        for _ in range(6):  # a pause of a minute, which a slow machine does not miss
            running.app.state.gate.names.failed("labeler-1")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Too many attempts").wait_for()
        running.app.state.gate.names.forget("labeler-1")
        page.clock.fast_forward(61_000)
        page.get_by_text("Too many attempts").wait_for(state="hidden")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/label*")
        context.close()
