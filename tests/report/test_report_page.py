"""The page: whole, escaped, and in need of nothing from elsewhere; the same as Markdown."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile
from report_folders import BAD_ID, BAD_SPEAKER, BAD_TEXT, decoding, experiment

from sewcli.report import browser
from sewcli.report.content import Report, gather
from sewcli.report.experiments import find_experiments
from sewcli.report.markdown import escaped, render_markdown
from sewcli.report.page import render_page

VOID = {"meta", "input"}
WRITTEN = """
html head meta title style body a header p h1 h2 h3 h4 ul li span strong small nav main aside section div table thead
tbody tr th td details summary figure figcaption svg g path text circle rect polygon polyline code form label input
select option output kbd article audio dl dt dd b s i em pre script
"""
KNOWN = {match.group() for match in re.finditer(r"\w+", WRITTEN)}


class Page(HTMLParser):
    """Elements with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data


def made(exp: Path, **options) -> Report:
    return gather(find_experiments([exp]), [exp], **{"audio": 5, **options})


def test_nothing_comes_from_elsewhere_and_nothing_of_users_is_markup(exp: Path) -> None:
    text = render_page(made(exp))
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= KNOWN
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("style", "action", "srcset") for name in attributes), tag
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#")
        if "src" in attributes:
            assert tag == "audio" and str(attributes["src"]).startswith("data:audio/ogg;base64,")
    assert text.count("<script>") == 1 and "alert(" not in "".join(page.texts["script"])
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a) or ""
    digest = hashlib.sha256(page.texts["script"][0].encode()).digest()
    assert policy.startswith("default-src 'none'") and f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    style = page.texts["style"][0]
    assert "url(" not in style and "@import" not in style and "//" not in style


def test_every_utterance_is_there_as_it_was_written(exp: Path) -> None:
    report = made(exp)
    page = Page(render_page(report))
    ids = {f"utt-{n:03d}" for n in range(24) if n != 3} | {BAD_ID}
    assert ids <= set(page.texts["h4"])
    assert BAD_TEXT in {text.strip() for text in page.texts["dd"]}, "the reference, word for word"
    assert any(BAD_SPEAKER in text for text in page.texts["p"])
    cells = page.texts["td"]
    for exp_name in ("good", "poor", "pre"):
        assert exp_name in cells
    best = report.sections[0].browser
    assert best is not None and [entry.errors for entry in best.entries] == sorted(
        (entry.errors for entry in best.entries), reverse=True
    )


def test_audio_and_the_times_of_words(exp: Path) -> None:
    report = made(exp, audio=5)
    page = Page(render_page(report))
    sounds = [attributes["src"] for tag, attributes in page.elements if tag == "audio"]
    assert len(sounds) == 5
    for sound in sounds:
        wave, rate = soundfile.read(io.BytesIO(base64.b64decode(str(sound).partition(",")[2])))
        assert rate == 16_000 and len(wave) == 32_000
    timed = [attributes["data-t"] for tag, attributes in page.elements if "data-t" in attributes]
    with_audio = [entry for entry in report.sections[0].browser.entries if entry.audio]
    assert len(timed) == sum(len(entry.reference) for entry in with_audio) and timed[0] == "0.000 0.080"
    worst = report.sections[0].browser.entries
    assert all(entry.audio for entry in worst[:4]) and not all(entry.audio for entry in worst[:5]), (
        "and one of the rest"
    )
    assert "<audio" not in render_page(made(exp, audio=0))


def test_limits_are_told(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "UTTERANCES", 7)
    monkeypatch.setattr(browser, "AUDIO_BYTES", 20_000)
    found = made(exp, audio=5).sections[0].browser
    assert len(found.entries) == 7 and "7 of 24" in found.notes[0]
    used = sum(len(base64.b64decode(e.audio.partition(",")[2])) for e in found.entries if e.audio)
    assert 0 < used <= 20_000 and any("would fill more" in note for note in found.notes)


def test_the_corpus_is_gone_or_elsewhere(exp: Path) -> None:
    (exp.parent / "data").rename(exp.parent / "moved")
    report = made(exp)
    assert any("--data" in note for note in report.sections[0].notes)
    text = render_page(report)
    assert "<audio" not in text and "By speaker" not in text
    assert "By speaker" in render_page(made(exp, data=exp.parent / "moved"))


def test_a_browser_of_systems_that_failed_on_some(exp: Path) -> None:
    references = {"utt-000": "A B", "utt-001": "C D"}
    decoding(exp / "a" / "decode" / "part-greedy", "greedy", {"utt-000": "A B"}, references, data=None, split="part")
    both = {"utt-000": "A", "utt-001": "C D"}
    decoding(exp / "b" / "decode" / "part-greedy", "greedy", both, references, data=None, split="part")
    other = {"utt-000": "X Y"}
    decoding(exp / "c" / "decode" / "part-greedy", "greedy", other, other, data=None, split="part")
    section = next(s for s in made(exp).sections if s.title == "part")
    assert [title for _, title in section.systems] == ["a, greedy", "c, greedy"] or len(section.systems) == 2
    assert any("other references" in note for note in section.notes)
    assert any("no hypothesis of 1 utterances" in note for note in section.notes)
    assert "no hypothesis" in render_page(made(exp))


def test_markdown_has_the_same_tables(exp: Path) -> None:
    report = made(exp, audio=0)
    text = render_markdown(report)
    for table in [report.summary, report.runs, *report.sections[0].tables]:
        assert f"### {table.title}" in text
        for row in table.rows:
            assert f"| {' | '.join(escaped(cell) for cell in row)} |" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, "each row of a table has as many cells"
    worst = report.sections[0].browser.entries[0]
    assert worst.id in text and "SEW-D-mid" in text and "▁" in text
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    assert "<" not in outside.replace("\\<", ""), "no tag but in a fence"
    fence = re.search(r"(?m)^(`{3,})text$", text)
    assert fence and len(fence.group(1)) == 4, "a fence of three in a text does not close it"


def test_what_a_page_says_of_a_run_at_work(tmp_path: Path) -> None:
    experiment(tmp_path / "exp" / "run", updates=500, done=120)
    report = made(tmp_path / "exp")
    assert report.summary is None and report.trade_off is None and not report.sections
    assert any("120 of 500 updates" in note for note in report.notes)
    assert "nothing was decoded and scored" in report.notes[0]
    page = Page(render_page(report))
    assert any("120 of 500" in text for text in page.texts["li"]) and "svg" in page.texts
