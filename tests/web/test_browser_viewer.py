"""The viewer in a browser, on a page of its own: what is on the screen is compared with the PNG files by pixels."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from annotating import NEEDS_BROWSER
from PIL import Image

import miscomp.web
from miscomp.web.security import HEADERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

pytestmark = NEEDS_BROWSER

STATIC = Path(str(miscomp.web.__file__)).parent / "static"
Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 600, 420
SPOT = {"x": 211, "y": 133, "w": 23, "h": 14}
EDGE = 6
"""CSS pixels of the coloured edge around the pictures."""

PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>viewer</title>
<link rel="stylesheet" href="/static/frame.css"><link rel="stylesheet" href="/page.css"></head>
<body><div id="frame" aria-label="pair"></div><script type="module" src="/page.js"></script></body></html>"""
STYLE = b"html, body { margin: 0; height: 100%; } #frame { position: absolute; inset: 0; }"
SCRIPT = b"""import { Frame } from '/static/frame.js';
import { Pictures } from '/static/pictures.js';
window.told = { sides: [], flips: [], views: 0, points: [], errors: [] };
window.frame = new Frame(document.getElementById('frame'), {
  onSide: (side) => told.sides.push(side), onFlip: (ms) => told.flips.push(ms), onView: () => { told.views += 1; },
  onPoint: (x, y) => told.points.push([x, y]), onError: (error) => told.errors.push(String(error)),
});
window.pictures = new Pictures();
await frame.show(await pictures.pair('one'));
window.shown = true;
"""


@lru_cache
def pair(alias: str) -> dict[str, Pixels]:
    """A textured original, and the same with a little noise and one change: a spot, in `two` a lone pixel."""
    random = np.random.default_rng({"one": 1, "two": 2}[alias])
    original = random.integers(60, 180, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    reconstruction = original + random.integers(0, 3, original.shape, dtype=np.uint8)
    if alias == "two":
        reconstruction[251, 377] = original[251, 377] ^ 128
        return {"original": original, "reconstruction": reconstruction}
    reconstruction[SPOT["y"] : SPOT["y"] + SPOT["h"], SPOT["x"] : SPOT["x"] + SPOT["w"]] = (250, 20, 20)
    return {"original": original, "reconstruction": reconstruction}


def answer(path: str) -> tuple[bytes, str] | None:
    """What the little server gives at a path."""
    fixed = {"/": (PAGE, "text/html"), "/page.css": (STYLE, "text/css"), "/page.js": (SCRIPT, "text/javascript")}
    if path in fixed:
        return fixed[path]
    if path.startswith("/static/") and "/" not in (name := path.removeprefix("/static/")):
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return ((STATIC / name).read_bytes(), kind) if (STATIC / name).is_file() else None
    if path.startswith("/pictures/") and path.split("/")[2] in ("one", "two"):
        _, _, alias, name = path.split("/")
        stream = io.BytesIO()
        Image.fromarray(pair(alias)[name.removesuffix(".png")]).save(stream, "PNG")
        return stream.getvalue(), "image/png"
    return None


class Handler(BaseHTTPRequestHandler):
    """Sends the labelers' server's own headers, so that its content policy holds here too."""

    def do_GET(self) -> None:
        found = answer(self.path)
        self.send_response(200 if found else 404)
        for name, value in HEADERS:
            self.send_header(name.decode(), value.decode())
        self.send_header("Content-Type", found[1] if found else "text/plain")
        self.end_headers()
        self.wfile.write(found[0] if found else b"")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@lru_cache
def window(chromium: Browser, ratio: float) -> Page:
    """One window for each pixel ratio, as opening one takes longer than loading the page anew."""
    context = chromium.new_context(device_scale_factor=ratio)
    context.set_default_timeout(10_000)
    return context.new_page()


@contextmanager
def opened(chromium: Browser, address: str, *, ratio: float = 1, size: tuple[int, int] = (640, 480)) -> Iterator[Page]:
    page = window(chromium, ratio)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    wrong: list[str] = []

    def threw(error: object) -> None:
        wrong.append(str(error))

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    page.on("pageerror", threw)
    page.on("console", said)
    try:
        page.goto(address)
        wait_for(page, "window.shown")
        page.evaluate("frame.grid = false")
        yield page
        # The browser asks for an icon by itself.
        assert [text for text in wrong if "favicon" not in text and "404" not in text] == []
        assert page.evaluate("told.errors") == []
    finally:
        page.remove_listener("pageerror", threw)
        page.remove_listener("console", said)


def wait_for(page: Page, condition: str) -> None:
    """As the content policy forbids the page's own `eval`, which waiting inside it would need, ask from outside."""
    until = time.monotonic() + 15
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < until, f"never true: {condition}"
        time.sleep(0.02)


def settled(page: Page) -> None:
    """Wait until the view stays and is on the screen."""
    page.evaluate(
        "new Promise((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 100))"
    )


def screen(page: Page) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def corner(page: Page) -> tuple[int, int]:
    """Where the picture's first pixel lies on the screenshot, in device pixels."""
    left, top = page.evaluate(
        "(() => { const r = frame.clientRect({x: 0, y: 0, w: 1, h: 1}), s = frame.overlay.getBoundingClientRect();"
        " return [(s.left + r.x) * devicePixelRatio, (s.top + r.y) * devicePixelRatio]; })()"
    )
    assert left == pytest.approx(round(left), abs=1e-3) and top == pytest.approx(round(top), abs=1e-3)
    return round(left), round(top)


def check_screen(page: Page, pixels: Pixels, times: int) -> None:
    """Every picture pixel that shows is a block of `times` x `times` device pixels of exactly its colour."""
    shot, (left, top) = screen(page), corner(page)
    edge, height, width = round(EDGE * page.evaluate("devicePixelRatio")), len(shot), shot.shape[1]
    rows, columns = ((np.arange(height) - top) // times)[:, None], ((np.arange(width) - left) // times)[None]
    where = (rows >= 0) & (rows < HEIGHT) & (columns >= 0) & (columns < WIDTH)
    where[: height // 8] = False  # the badge and the zoom's figure
    where[height - edge :] = where[:, :edge] = where[:, width - edge :] = False
    expected = pixels[rows.clip(0, HEIGHT - 1), columns.clip(0, WIDTH - 1)]
    assert where.sum() > 50_000
    assert (shot[where] == expected[where]).all()


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
def test_at_one_to_one_each_picture_pixel_is_one_device_pixel_before_and_after_a_flip(
    chromium: Browser, address: str, ratio: float
) -> None:
    with opened(chromium, address, ratio=ratio) as page:
        page.evaluate("frame.actual()")
        settled(page)
        check_screen(page, pair("one")["original"], 1)
        page.evaluate("frame.flip()")
        check_screen(page, pair("one")["reconstruction"], 1)
        page.evaluate("frame.flip()")
        check_screen(page, pair("one")["original"], 1)


@pytest.mark.parametrize(("ratio", "times"), [(1, 2), (1, 7), (2, 3), (1, 32)])
def test_from_two_times_on_picture_pixels_are_squares_of_their_exact_colour(
    chromium: Browser, address: str, ratio: float, times: int
) -> None:
    with opened(chromium, address, ratio=ratio) as page:
        page.evaluate(f"frame.look({{scale: {times}, x: 222.3, y: 140.7}})")
        settled(page)
        check_screen(page, pair("one")["original"], times)
        page.evaluate("frame.flip()")
        check_screen(page, pair("one")["reconstruction"], times)


def test_a_flip_right_after_a_zoom_shows_the_other_side_at_the_new_view(chromium: Browser, address: str) -> None:
    """The covered side is painted a little later than the seen one; a flip must not uncover the old painting."""
    with opened(chromium, address) as page:
        settled(page)
        page.evaluate(
            """new Promise((done) => {
              frame.look({scale: 4, x: 222, y: 140});
              requestAnimationFrame(() => { frame.flip(); done(); });
            })"""
        )
        check_screen(page, pair("one")["reconstruction"], 4)


def test_a_flip_paints_nothing_and_is_seen_in_the_next_frame(chromium: Browser, address: str) -> None:
    """Counts the drawing calls of a flip; the frame that follows must show the other side."""
    with opened(chromium, address) as page:
        settled(page)
        calls = page.evaluate(
            """() => new Promise((done) => {
              let calls = 0;
              const own = CanvasRenderingContext2D.prototype, draw = own.drawImage;
              own.drawImage = function (...all) { calls += 1; return draw.apply(this, all); };
              for (let i = 0; i < 20; i += 1) frame.flip();
              requestAnimationFrame(() => requestAnimationFrame(() => { own.drawImage = draw; done(calls); }));
            })"""
        )
        assert calls == 0
        wait_for(page, "told.flips.length === 20")
        assert page.evaluate("told.sides.length") == 20


def test_the_wheel_keeps_the_point_under_the_pointer_and_stops_at_32_times(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        page.mouse.move(300, 200)
        before = page.evaluate("frame.imagePoint(300, 200)")
        for _ in range(4):
            page.mouse.wheel(0, -200)
        settled(page)
        after = page.evaluate("frame.imagePoint(300, 200)")
        assert page.evaluate("frame.view.scale") > 4
        assert after == pytest.approx(before, abs=0.6)
        for _ in range(30):
            page.mouse.wheel(0, -400)
        settled(page)
        assert page.evaluate("frame.view.scale") == 32
        assert page.evaluate("frame.imagePoint(300, 200)") == pytest.approx(before, abs=0.6)


def test_a_drag_moves_the_picture_with_the_pointer_and_a_tool_comes_first(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        page.evaluate("frame.look({scale: 4, x: 300, y: 200})")
        page.mouse.move(400, 300)
        held = page.evaluate("frame.imagePoint(400, 300)")
        page.mouse.down()
        page.mouse.move(460, 270, steps=4)
        page.mouse.up()
        assert page.evaluate("frame.imagePoint(460, 270)") == pytest.approx(held, abs=0.26)
        page.evaluate(
            "window.used = []; frame.tool = { cursor: 'crosshair',"
            " down(x, y) { used.push(['down', x, y]); return true; },"
            " move(x, y) { used.push(['move', x, y]); }, up(x, y) { used.push(['up', x, y]); } }"
        )
        view = page.evaluate("frame.view")
        page.mouse.down()
        page.mouse.move(500, 330)
        page.mouse.up()
        assert [step[0] for step in page.evaluate("used")] == ["down", "move", "up"]
        assert page.evaluate("used.at(-1).slice(1)") == page.evaluate("frame.imagePoint(500, 330)")
        assert page.evaluate("frame.view") == view
        page.evaluate("frame.holdSpace(true)")
        page.mouse.down()
        page.mouse.move(520, 330)
        page.mouse.up()
        assert page.evaluate("frame.view.x") == pytest.approx(view["x"] - 5)
        assert len(page.evaluate("used")) == 3


def test_two_fingers_zoom_about_their_middle(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        page.evaluate("frame.look({scale: 2, x: 300, y: 200})")
        before = page.evaluate("frame.imagePoint(320, 240)")
        page.evaluate(
            """() => {
              const stage = document.querySelector('.frame-stage');
              stage.setPointerCapture = () => {};
              const tell = (type, id, x) => stage.dispatchEvent(new PointerEvent(type, {
                pointerId: id, pointerType: 'touch', clientX: x, clientY: 240, button: 0, bubbles: true }));
              tell('pointerdown', 1, 270); tell('pointerdown', 2, 370);
              for (let i = 1; i <= 50; i += 1) { tell('pointermove', 1, 270 - i); tell('pointermove', 2, 370 + i); }
              tell('pointerup', 1, 220); tell('pointerup', 2, 420);
            }"""
        )
        assert page.evaluate("frame.view.scale") == pytest.approx(4, rel=1e-6)
        assert page.evaluate("frame.imagePoint(320, 240)") == pytest.approx(before, abs=0.5)


def test_the_view_is_kept_over_a_flip_and_if_wanted_to_the_next_pair(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        page.evaluate("frame.look({scale: 3, x: 100, y: 90})")
        page.evaluate("frame.flip()")
        assert page.evaluate("frame.view") == {"scale": 3, "x": 100, "y": 90}
        page.evaluate("(async () => frame.show(await pictures.pair('two'), {keep: true, side: 'original'}))()")
        assert page.evaluate("frame.view") == {"scale": 3, "x": 100, "y": 90}
        assert page.evaluate("frame.side") == "original"
        check_screen(page, pair("two")["original"], 3)
        page.evaluate("(async () => frame.show(await pictures.pair('one')))()")
        assert page.evaluate("frame.view") == {"scale": pytest.approx(628 / WIDTH), "x": 300, "y": 210}


def test_the_shown_side_is_told_by_words_shape_and_a_status(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        visible = """[...document.querySelectorAll('.frame-badge')]
          .filter((badge) => badge.checkVisibility({visibilityProperty: true})).map((badge) => badge.textContent)"""
        shape = """(name) => {
          const style = getComputedStyle(document.querySelector(`.frame-badge-${name} .frame-shape`));
          return [style.borderRadius, style.rotate];
        }"""
        assert page.evaluate(visible) == ["ORIGINAL"]
        assert page.locator("[role=status]").text_content() == "ORIGINAL is shown"
        page.evaluate("frame.flip()")
        assert page.evaluate(visible) == ["RECONSTRUCTION"]
        assert page.locator("[role=status]").text_content() == "RECONSTRUCTION is shown"
        assert page.evaluate(shape, "original") != page.evaluate(shape, "reconstruction")
        edges = screen(page)[2, 350:500]
        assert len(np.unique(edges, axis=0)) > 1, "the reconstruction's edge is striped"


def test_a_planted_change_is_boxed_and_an_equal_place_is_not(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        around = {"x": SPOT["x"] - 11.5, "y": SPOT["y"] - 9, "w": 50, "h": 40}
        find = "(box) => frame.changedBox(box)"
        assert page.evaluate(find, around) == SPOT
        assert page.evaluate(find, {"x": 400, "y": 300, "w": 50, "h": 40}) is None
        assert page.evaluate(find, {"x": -500, "y": 300, "w": 50, "h": 40}) is None


def difference_at(page: Page, x: float, y: float) -> Any:
    """RGBA of the map's canvas over a picture point."""
    return page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector('.frame-difference'), place = frame.clientRect({x, y, w: 0, h: 0});
          const at = [place.x * devicePixelRatio, place.y * devicePixelRatio, 1, 1];
          return [...canvas.getContext('2d').getImageData(...at).data];
        }""",
        [x, y],
    )


@pytest.mark.parametrize("mode", ["over", "half"])
def test_the_map_lies_on_the_change_in_place_and_on_half_of_the_screen(
    chromium: Browser, address: str, mode: str
) -> None:
    with opened(chromium, address) as page:
        page.evaluate(f"frame.difference = '{mode}'; frame.differenceKind = 'absolute'; frame.gain = 2")
        wait_for(page, "frame.heat.heat && !document.querySelector('.is-measuring')")
        settled(page)
        inside, outside = difference_at(page, SPOT["x"] + 11.5, SPOT["y"] + 7.5), difference_at(page, 450, 350)
        assert inside[3] == 255 and sum(inside[:3]) > 500
        assert max(outside[:3]) < 30
        assert page.locator(".frame-legend").inner_text().split("\n")[1:] == ["0", "32", "64", "96", "128 +"]
        assert ("R, G, B" in page.locator(".frame-legend").inner_text()) and page.evaluate("frame.gain") == 2
        if mode == "half":
            there = page.evaluate(
                "(() => { const r = document.querySelector('.frame-map').getBoundingClientRect();"
                " return [frame.imagePoint(r.left, r.top), frame.imagePoint(6, 6)]; })()"
            )
            assert there[0] == pytest.approx(there[1])


def test_a_lone_changed_pixel_is_as_bright_when_the_picture_is_shown_reduced(chromium: Browser, address: str) -> None:
    with opened(chromium, address, size=(230, 160)) as page:
        page.evaluate("frame.difference = 'over'; frame.differenceKind = 'absolute'; frame.gain = 2")
        page.evaluate("(async () => frame.show(await pictures.pair('two')))()")
        wait_for(page, "frame.heat.heat && !document.querySelector('.is-measuring')")
        settled(page)
        assert page.evaluate("frame.view.scale") < 0.4
        brightest = page.evaluate(
            """(() => {
              const c = document.querySelector('.frame-difference');
              const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
              return data.reduce((most, value, i) => i % 4 === 0 ? Math.max(most, value) : most, 0);
            })()"""
        )
        assert brightest == 255


def test_the_loupe_tells_the_stored_values_of_both_sides(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        page.evaluate("frame.gamma = 3; frame.loupe = true; frame.loupeAt(220.9, 140.2)")
        settled(page)
        first, second = page.locator(".loupe figcaption").all_text_contents()
        one, two = (pair("one")[side][140, 220] for side in ("original", "reconstruction"))
        assert "R {}  G {}  B {}".format(*one) in first and "x 220  y 140" in first
        assert "R {}  G {}  B {}".format(*two) in second
        assert f"largest difference {np.abs(one.astype(int) - two).max()} of 255" in second
        page.evaluate("frame.loupeAt(-5, 3)")
        settled(page)
        assert "outside the picture" in page.locator(".loupe figcaption").all_text_contents()[0]


def test_gamma_is_the_same_exact_curve_on_both_sides_and_off_at_one(chromium: Browser, address: str) -> None:
    """Oracle: round(255 * (v / 255) ** (1 / gamma)); one level of rounding is left to the browser."""
    with opened(chromium, address) as page:
        page.evaluate("frame.actual(); frame.gamma = 2.2")
        for side in ("original", "reconstruction"):
            page.evaluate(f"frame.side = '{side}'")
            settled(page)
            shot, (left, top) = screen(page), corner(page)
            seen = shot[top + 40 : top + HEIGHT - 5, left + 5 : left + WIDTH - 5].astype(float)
            curve = 255 * (pair("one")[side][40 : HEIGHT - 5, 5 : WIDTH - 5] / 255) ** (1 / 2.2)
            assert np.abs(seen - curve).max() <= 1
        page.evaluate("frame.gamma = 1; frame.side = 'original'")
        settled(page)
        check_screen(page, pair("one")["original"], 1)


def test_a_resized_window_is_painted_at_once_and_stays_fitted(chromium: Browser, address: str) -> None:
    with opened(chromium, address, size=(500, 400)) as page:
        page.set_viewport_size({"width": 1300, "height": 910})
        settled(page)
        assert page.evaluate("frame.view.scale") == 2
        check_screen(page, pair("one")["original"], 2)


def test_pictures_not_kept_are_closed_and_a_missing_one_is_an_error(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as page:
        told = page.evaluate(
            """async () => {
              const one = await pictures.pair('one'), two = await pictures.pair('two');
              await frame.show(two);
              pictures.keep('two', { alias: 'none', width: 10, height: 10 });
              await new Promise((done) => setTimeout(done, 50));
              const missing = await pictures.pair('none').catch((error) => [error.name, error.status, error.message]);
              return [one.original.width, one.reconstruction.width, two.original.width, missing];
            }"""
        )
        assert told == [0, 0, WIDTH, ["PictureError", 404, "the server answers 404"]]
        assert json.dumps(page.evaluate("frame.picture")) == json.dumps(
            {"width": WIDTH, "height": HEIGHT, "alias": "two"}
        )
