"""A report as Markdown: the same tables, figures as rows of numbers with a sparkline, the worst utterances side by side.

For RESULTS.md, a merge request or a terminal. Whatever users wrote is escaped, or stands in a fence that it cannot close.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sewcli.report.browser import Browser
from sewcli.report.content import Report, Section
from sewcli.report.curves import Point
from sewcli.report.figures import ACROSS, FigureGroup, PaperFigure
from sewcli.report.plots import figure_text
from sewcli.report.tables import Table
from sewcli.scoring.errors import side_by_side

WORST = 50  # utterances of a test set side by side
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 24


def render_markdown(report: Report) -> str:
    """The text, with a line break at its end."""
    lines = [f"# {escaped(report.title)}", "", f"Written {report.written}.", ""]
    if report.notes:
        lines += ["**Please note**", "", *(f"- {escaped(note)}" for note in report.notes), ""]
    lines += ["## Results", ""]
    for table in [report.summary, report.runs]:
        lines += [*_table(table), ""] if table else []
    if report.trade_off:
        lines += [*_trade_off(report.trade_off), ""]
    for group in report.figures:
        lines += [*_curves(group), ""]
    for section in report.sections:
        lines += [*_section(section), ""]
    if report.settings:
        lines += ["## Settings", ""]
        for name, text in report.settings:
            lines += [f"### {escaped(name)}", "", *_fenced(text.rstrip(), "yaml"), ""]
    text = "\n".join(lines).rstrip() + "\n"
    return text.encode("utf-8", "replace").decode()


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(text.split()))


def sparkline(points: Sequence[Point]) -> str:
    """The course of a curve in a word of signs."""
    if not points:
        return ""
    count = min(SPARK_WIDTH, len(points))
    means = [points[n * len(points) // count].mean for n in range(count)]
    low, high = min(means), max(means)
    return "".join(SPARKS[round((mean - low) / ((high - low) or 1.0) * (len(SPARKS) - 1))] for mean in means)


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.title}"
    yield ""
    yield from _rows(table.head, table.rows, table.left)
    if table.note:
        yield ""
        yield escaped(table.note)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    yield f"| {' | '.join(map(escaped, head))} |"
    yield f"|{'|'.join('---' if n < left else '---:' for n in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"


def _trade_off(found: PaperFigure) -> Iterator[str]:
    yield "## Error and time"
    yield ""
    yield f"Ours on {escaped(', '.join(found.devices))}, by `sew decode`; the paper's on one V100,"
    yield "LibriSpeech dev-other, greedy, after 100K updates of pre-training and 100 h of labels (SEW figure 1, table 6)."
    yield ""
    rows = [["paper" if m.hollow else "ours", m.label, f"{m.x:.3g}", f"{m.y:.2f}"] for m in found.marks]
    yield from _rows(["", "system", ACROSS, "WER, %"], rows, 2)


def _curves(group: FigureGroup) -> Iterator[str]:
    yield f"## {group.stage}"
    for drawn in group.panels:
        yield ""
        yield f"### {drawn.panel.title}"
        yield ""
        rows = []
        for curve in drawn.curves:
            points = curve.line or curve.dots
            first, last = (figure_text(points[n].mean, drawn.panel.unit) for n in (0, -1))
            rows.append([curve.name, sparkline(points), first, last, f"{points[-1].step:,.0f}"])
        yield from _rows(["run", "course", "first", "last", "at update"], rows, 2)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield ""
    yield from (f"- **{letter}** {escaped(title)}" for letter, title in section.systems)
    for note in section.notes:
        yield f"- {escaped(note)}"
    for table in section.tables:
        yield ""
        yield from _table(table)
    if section.browser and any(entry.errors for entry in section.browser.entries):
        yield ""
        yield from _utterances(section.browser)


def _utterances(browser: Browser) -> Iterator[str]:
    wrong = [entry for entry in browser.entries if entry.errors]
    yield f"### Utterances with the most errors: {min(WORST, len(wrong)):,} of {len(wrong):,}"
    yield ""
    lines: list[str] = []
    for entry in wrong[:WORST]:
        texts = [(s.letter, s.pairs(entry.id)) for s in browser.test_set.shown if entry.id in s.place]
        lines += side_by_side(entry.id, texts)
    yield from _fenced("\n".join(lines), "text")


def _fenced(text: str, language: str) -> Iterator[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield text
    yield fence
