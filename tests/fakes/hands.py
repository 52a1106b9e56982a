"""A labeler's hands on the labelers' page in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SIZE = (192, 176)
"""Of the small corpus' pictures."""
SAVED = re.compile("^Saved$")


class Hand:
    """A labeler's hands: places are pixels of the picture, however it is shown."""

    def __init__(self, page: Page, position: str = "1 / 4") -> None:
        self.page = page
        self.expect_pair(position)

    def expect_pair(self, position: str = "1 / 4") -> None:
        self.page.locator("#position", has_text=position).wait_for()
        self.page.locator("[data-act=multi]:enabled").wait_for()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture is in the window; the picture is fitted."""
        place = self.page.locator(".frame-overlay").bounding_box()
        assert place is not None
        scale = int(self.page.locator(".frame-zoom").inner_text().split(" ")[0]) / 100
        left = round(place["width"] / 2 - SIZE[0] / 2 * scale)
        top = round(place["height"] / 2 - SIZE[1] / 2 * scale)
        return place["x"] + left + x * scale, place["y"] + top + y * scale

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, keys: str = "") -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down()
        mouse.move(*self.at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        for key in keys.split():
            self.page.keyboard.press(key)
        mouse.move(*self.at(*end))
        mouse.up()

    def draw(self, x: int, y: int, w: int, h: int, *, keys: str = "") -> None:
        self.drag((x + 0.5, y + 0.5), (x + w - 0.5, y + h - 0.5), keys=keys)

    def press(self, keys: str) -> None:
        for key in keys.split():
            self.page.keyboard.press(key)

    def saved(self) -> None:
        """Wait until nothing waits. What was nudged is told after a pause of the keys, and is not waited for."""
        self.page.locator("#state", has_text=SAVED).wait_for()

    def boxes(self) -> Locator:
        return self.page.locator(".frame-overlay .box")
