"""What a report says, before it becomes HTML or Markdown: tables, figures, notes, settings and utterances.

Every number comes from a file of the experiments, or from the table of the papers' (`models/published.csv`), and says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sewcli import __version__
from sewcli.artifacts.experiment_folder import METRICS
from sewcli.base.errors import DataError
from sewcli.report.browser import Browser, browsers
from sewcli.report.curves import Curves, read_curves
from sewcli.report.experiments import Experiment
from sewcli.report.figures import FigureGroup, PaperFigure, curve_groups, paper_figure
from sewcli.report.tables import Table, error_tables, pair_table, run_table, summary_table
from sewcli.report.testsets import TestSet, find_test_sets


@dataclass(frozen=True)
class Best:
    """The best system of a test set, for the head of the page."""

    test_set: str
    wer: float
    interval: tuple[float, float] | None
    system: str


@dataclass(frozen=True)
class Section:
    """A test set: who takes part, tables of errors, and its utterances."""

    title: str
    anchor: str
    systems: list[tuple[str, str]]
    """Letter and title."""
    tables: list[Table]
    notes: list[str]
    browser: Browser | None


@dataclass
class Report:
    """All of it."""

    title: str
    written: str
    experiments: list[Experiment]
    summary: Table | None
    runs: Table
    best: list[Best]
    figures: list[FigureGroup]
    trade_off: PaperFigure | None
    sections: list[Section]
    settings: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)


def gather(experiments: Sequence[Experiment], roots: Sequence[Path], *, audio: int, data: Path | None = None) -> Report:
    """Read everything that a page tells.

    Args:
        experiments: of `find_experiments`.
        roots: what the user named, for the title.
        audio: utterances of each test set that get their sound.
        data: where the corpora are, if not where they were decoded.
    """
    curves = {exp.name: read_curves(exp.folder / METRICS) for exp in experiments}
    test_sets = [test_set for test_set in find_test_sets(experiments, data) if test_set.systems]
    shown = {browser.test_set.title: browser for browser in browsers(test_sets, audio)}
    sections = [_section(number, test_set, shown.get(test_set.title)) for number, test_set in enumerate(test_sets)]
    notes = [f"{exp.name}: {note}" for exp in experiments for note in [*_progress(exp, curves[exp.name]), *exp.notes]]
    if not test_sets:
        notes.insert(
            0, "nothing was decoded and scored here yet (sew decode does both): no word error rates in this report"
        )
    return Report(
        title=" · ".join(dict.fromkeys(root.absolute().name for root in roots)),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by sew {__version__}",
        experiments=list(experiments),
        summary=summary_table(test_sets) if test_sets else None,
        runs=run_table(experiments, curves),
        best=[_best(test_set) for test_set in test_sets],
        figures=curve_groups(experiments, curves),
        trade_off=paper_figure(test_sets) if test_sets else None,
        sections=sections,
        settings=[(exp.name, dump) for exp in experiments if (dump := _settings(exp))],
        notes=notes,
    )


def _section(number: int, test_set: TestSet, browser: Browser | None) -> Section:
    notes = list(test_set.notes)
    tables = error_tables(test_set)
    if len(test_set.systems) > 1:
        try:
            tables.insert(0, pair_table(test_set))
        except DataError as error:
            notes.append(error.what)
    systems = [(system.letter, system.title) for system in test_set.systems]
    return Section(test_set.title, f"test-{number}", systems, tables, notes, browser)


def _best(test_set: TestSet) -> Best:
    system = test_set.systems[0]
    bounds = system.decoding.score.get("wer_interval")
    return Best(
        test_set.title, float(system.decoding.score["wer"]), (bounds[0], bounds[1]) if bounds else None, system.title
    )


def _progress(exp: Experiment, curves: Curves) -> list[str]:
    """What is not whole about a run."""
    notes = []
    if exp.updates and exp.updates > curves.last and (exp.folder / METRICS).is_file():
        notes.append(
            f"{curves.last:,} of {exp.updates:,} updates are done: it is at work, or was stopped "
            "(the same command goes on)"
        )
    elif exp.updates and not curves.last:
        notes.append("no update is done yet" if not exp.decodings else f"there is no {METRICS}: no curves of it")
    if curves.damaged:
        notes.append(f"{curves.damaged:,} damaged lines of {METRICS} are passed over")
    return notes


def _settings(exp: Experiment) -> str:
    """The commands' settings, as they were resolved."""
    parts = []
    if exp.config:
        parts.append(f"# {exp.folder}/config.yaml\n{_yaml(exp.config)}")
    for decoding in exp.decodings:
        parts.append(f"# {decoding.folder}/decode.json\n{_yaml(decoding.decoded)}")
    return "\n".join(parts)


def _yaml(settings: dict[str, Any]) -> str:
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
