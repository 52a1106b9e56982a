"""The guide and the discussion of a training pair in a real browser. Oracle: what is to be seen and read out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from annotating import NEEDS_BROWSER, Running, open_page, serve
from trained import PASSWORD, training_corpus

from miscomp.corpus.entries import BatchItem

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_BROWSER

SHOW = """async (alias) => {
  const root = document.querySelector('meta[name=static]').content;
  const { Frame } = await import(root + '/frame.js');
  const { showTraining } = await import(root + '/training.js');
  const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: root + '/frame.css' });
  document.head.append(link);
  const main = document.querySelector('main');
  const [place, panel] = [document.createElement('div'), document.createElement('aside')];
  main.replaceChildren(place, panel);
  main.style.cssText = 'display: grid; grid-template-columns: 900px 400px; height: 700px';
  place.style.position = 'relative';
  panel.id = 'panel';
  await new Promise((done) => { link.onload = done; });
  window.frame = new Frame(place);
  const side = async (name) => createImageBitmap(await (await fetch(`/pictures/${alias}/${name}.png`)).blob());
  await frame.show({ original: await side('original'), reconstruction: await side('reconstruction'), alias });
  window.training = await showTraining(frame, panel, alias);
  return training.shown;
}"""
"""The discussion on a page of its own: the labelers' page puts it beside its own boxes."""


@pytest.fixture(scope="module")
def lab(cheap_passwords: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[BatchItem]]]:
    corpus, items = training_corpus(tmp_path_factory.mktemp("lab") / "corpus")
    with serve(corpus) as running:
        yield running, items


def test_a_pair_flips_by_pointer_and_by_keyboard(
    chromium: Browser, lab: tuple[Running, list[BatchItem]], tmp_path: Path
) -> None:
    with open_page(chromium, lab[0], "/guide", login=("ann", PASSWORD)) as page:
        first = page.locator(".flip").first
        original, other = page.locator(".of-original").first, page.locator(".of-reconstruction").first
        assert (original.is_visible(), other.is_visible()) == (True, False)
        first.hover()
        assert (original.is_visible(), other.is_visible()) == (False, True)
        page.mouse.move(2, 2)
        assert (original.is_visible(), other.is_visible()) == (True, False)
        first.focus()
        assert page.get_by_role("button", name="Original: a road with a sign").count() == 1
        page.keyboard.press("Space")
        assert other.is_visible()
        # What is read out is the side that is shown.
        assert page.get_by_role("button", name="Reconstruction: the same road").count() == 1
        page.keyboard.press("Space")
        assert original.is_visible()
        page.screenshot(path=tmp_path / "guide.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_picture_loads_and_print_shows_both_sides(
    chromium: Browser, lab: tuple[Running, list[BatchItem]]
) -> None:
    with open_page(chromium, lab[0], "/guide", login=("ann", PASSWORD)) as page:
        page.wait_for_function("() => [...document.images].every((one) => one.complete && one.naturalWidth === 360)")
        page.emulate_media(media="print")
        sides = page.locator(".pair .of-original, .pair .of-reconstruction")
        assert sides.count() > 30
        assert all(sides.nth(k).is_visible() for k in range(sides.count()))
        assert not page.locator("header").is_visible()


def test_the_discussion_shows_everybodys_boxes_and_who_marked_what(
    chromium: Browser, lab: tuple[Running, list[BatchItem]], tmp_path: Path
) -> None:
    running, (item, *_) = lab
    with open_page(chromium, running, "/guide", login=("ann", PASSWORD)) as page:
        assert page.evaluate(SHOW, item.alias) is True
        boxes = page.locator(".training-box")
        boxes.nth(4).wait_for()
        assert boxes.count() == 5
        looks = boxes.evaluate_all(
            "(all) => all.map((one) => one.getAttribute('stroke') + one.getAttribute('stroke-dasharray'))"
        )
        assert len({*looks}) == 3  # one for each labeler
        panel = page.locator("#panel")
        assert "3 of 4 are done with this pair; not yet: dan" in panel.inner_text()
        assert panel.get_by_role("button", name="all 3 marked this").count() == 1
        assert panel.get_by_role("button", name="1 of 3 marked this").count() == 2
        assert "traces: unsure" in panel.inner_text()
        assert "is <b>this</b> a shadow?" in panel.inner_text()  # as text
        page.screenshot(path=tmp_path / "training.png")
        check_following(page)
        panel.get_by_label("bob").uncheck()
        page.wait_for_function("() => document.querySelectorAll('.training-box').length === 4")
        page.evaluate("training.hide()")
        assert page.locator(".training-overlay").count() == 0
        assert panel.inner_text() == ""


def check_following(page: Page) -> None:
    """The boxes stay on their pixels when the view moves, also where a place is chosen from the list."""
    before = page.locator(".training-box").first.get_attribute("width")
    page.get_by_role("button", name="all 3 marked this").click()
    page.wait_for_function(
        "(width) => document.querySelector('.training-box').getAttribute('width') !== width", arg=before
    )
    matches = """() => {
      const told = frame.clientRect({ x: 16, y: 24, w: 40, h: 32 });
      const box = document.querySelector('.training-box');
      return ['x', 'y', 'width', 'height'].every((name) => Math.abs(told[name] - box.getAttribute(name)) < 0.01);
    }"""
    page.wait_for_function(matches)
    assert page.get_by_role("button", name="all 3 marked this").get_attribute("aria-pressed") == "true"


def test_before_the_own_pass_the_panel_says_so_and_draws_nothing(
    chromium: Browser, lab: tuple[Running, list[BatchItem]]
) -> None:
    running, (item, *_) = lab
    with open_page(chromium, running, "/guide", login=("dan", PASSWORD), expected=("403",)) as page:
        assert page.evaluate(SHOW, item.alias) is False
        assert "own pass" in page.locator("#panel").inner_text()
        assert page.locator(".training-box").count() == 0
