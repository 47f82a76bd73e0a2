"""The page in a real browser, at the widths of a desk and of a telephone, light and dark, with and without its script."""

import struct
import zlib
from pathlib import Path

import pytest
from chromium import BROWSER, chromium
from report_folders import BAD_ID

from sewcli.report.content import gather
from sewcli.report.experiments import find_experiments
from sewcli.report.page import render_page

pytestmark = [pytest.mark.long, pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")]
SHOWN = "[...document.querySelectorAll('.entry')].filter(entry => !entry.hidden)"


def top_left(png: bytes) -> tuple[int, ...]:
    """The first pixel of a PNG."""
    at, packed = 8, b""
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        packed += png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return tuple(zlib.decompress(packed)[1:4])


def test_the_page_in_a_browser(exp: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_page(gather(find_experiments([exp]), [exp], audio=6)), encoding="utf-8")
    with chromium() as browser:
        for width in (1280, 390):
            for dark in (False, True):
                browser.open(page, width=width, dark=dark)
                picture = browser.screenshot(tmp_path / f"{width}-{dark}.png")
                assert sum(top_left(picture)) < 150 if dark else sum(top_left(picture)) > 600
                assert len(picture) > 20_000, "not an empty page"
                wide = browser.run("document.documentElement.scrollWidth")
                assert wide <= width, "nothing but tables and figures scrolls sideways"

        browser.open(page)
        count = "document.querySelector('output[name=count]').textContent"
        assert browser.run(count) == "24 of 24"
        find = "const box = document.querySelector('input[type=search]'); box.value = {!r};"
        typed = "box.dispatchEvent(new Event('input')); new Promise(done => setTimeout(done, 400))"
        browser.run(find.format("ONERROR") + typed)
        assert browser.run(count) == "1 of 24" and browser.run(f"{SHOWN}[0].querySelector('h4').textContent") == BAD_ID
        browser.run("box.value = ''; " + typed)
        choose = "{{ const list = document.querySelector('select[name={}]'); list.value = '{}'; "
        choose += "list.dispatchEvent(new Event('change')) }}"
        browser.run(choose.format("show", "audio"))
        assert browser.run(f"{SHOWN}.length") == 6
        browser.run(choose.format("show", "all"))
        browser.run(choose.format("order", "corpus"))
        assert browser.run(f"{SHOWN}[3].querySelector('h4').textContent") == BAD_ID

        browser.press("j")
        browser.press("j")
        assert browser.run(f"document.activeElement === {SHOWN}[1]")
        browser.press("/")
        assert browser.run("document.activeElement.type") == "search"
        browser.run("document.querySelector('svg.curves').focus()")
        browser.press("ArrowRight")
        tip = browser.run("document.getElementById('tip').textContent")
        assert tip.startswith("update 2\n") and "pre: " in tip
        browser.press("Escape")
        assert browser.run("document.getElementById('tip').hidden")

        browser.run("document.querySelector('audio').play()")
        browser.run("document.querySelector('[data-t]').click(); new Promise(done => setTimeout(done, 700))")
        assert browser.run("document.querySelector('audio').currentTime") > 0.1
        assert browser.run("document.querySelectorAll('.ref .now').length") >= 1
        assert browser.problems == [], "the console is silent"

        browser.run(
            "const node = document.createElement('script'); node.textContent = 'document.title = 1'; document.body.append(node)"
        )
        assert browser.run("document.title") != "1", "the page's policy keeps other scripts from running"
        browser.problems.clear()

        browser.open(page, script=False)
        browser.screenshot(tmp_path / "without.png")
        assert {address.split(":")[0] for address in browser.asked} <= {"file", "data"}
        assert {address for address in browser.asked if address.startswith("file")} == {page.as_uri()}
