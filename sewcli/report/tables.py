"""Tables of a report, as text in cells: both renderers print the same.

WER and CER are percent with two decimals; intervals are 95 %. Breakdowns have a column for each system by its letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sewcli.report.curves import Curves, Point
from sewcli.report.experiments import Decoding, Experiment
from sewcli.report.testsets import TestSet, differences
from sewcli.scoring.errors import by_group, by_length, top_errors
from sewcli.scoring.significance import DRAWS
from sewcli.scoring.wer import Counts

SPEAKERS = 20
TOP = 12
SURE = 0.05


@dataclass(frozen=True)
class Table:
    """Rows of cells. `left`: columns of text, before those of numbers; `best`: rows that stand out; `folded`: of detail."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    best: frozenset[int] = frozenset()
    note: str = ""
    folded: bool = False


def summary_table(test_sets: Sequence[TestSet]) -> Table:
    """A row a system, the best of each test set first; what is asked for most stands left."""
    scores = [system.decoding.score for test_set in test_sets for system in test_set.systems]
    nist, several = any(score.get("nist") for score in scores), len(test_sets) > 1
    rows: list[list[str]] = []
    best = set()
    for test_set in test_sets:
        best.add(len(rows))
        for system in test_set.systems:
            exp, decoding, score = system.experiment, system.decoding, system.decoding.score
            rows.append(
                [
                    *([test_set.title] if several else []),
                    system.letter,
                    exp.name,
                    decoding.language_model or "none",
                    percent(score["wer"]),
                    _between(score.get("wer_interval")),
                    percent(score.get("cer")),
                    *([percent((score.get("nist") or {}).get("wer"))] if nist else []),
                    f"{score.get('words', 0):,}",
                    _time(decoding),
                    exp.model or "?",
                    f"{exp.parameters / 1e6:.1f} M" if exp.parameters else "–",
                    _pretraining(exp),
                    f"{exp.hours:.2f}" if exp.hours is not None else "–",
                ]
            )
    head = [*(["test set"] if several else []), "", "experiment", "language model"]
    head += ["WER, %", "95 % interval", "CER, %", *(["WER by NIST, %"] if nist else []), "words", "real-time factor"]
    head += ["model", "parameters", "pre-training, updates", "labels, h"]
    over = " and ".join(sorted({str(score.get("interval_over", "utterances")) for score in scores}))
    note = f"Intervals: bootstrap over {over}. Real-time factor: time of model and search, over that of the audio."
    return Table("Systems", head, rows, left=3 + several, best=frozenset(best), note=note)


def run_table(experiments: Sequence[Experiment], curves: dict[str, Curves]) -> Table:
    """A row a run of training."""
    rows = []
    for exp in experiments:
        mine = curves[exp.name]
        best, figure = _best_validation(mine)
        rows.append(
            [
                exp.name,
                exp.stage or "–",
                exp.model or "?",
                f"{exp.parameters:,}" if exp.parameters else "–",
                f"{exp.hours:.2f}" if exp.hours is not None else "–",
                f"{mine.last:,} of {exp.updates:,}" if exp.updates else f"{mine.last:,}",
                figure,
                f"{best.step:,.0f}" if best else "–",
                f"{mine.speed:,.0f}" if mine.speed else "–",
            ]
        )
    head = [
        "experiment",
        "stage",
        "model",
        "parameters",
        "audio, h",
        "updates",
        "best validation",
        "at update",
        "audio s/s",
    ]
    return Table("Runs", head, rows, left=3)


def pair_table(test_set: TestSet) -> Table:
    """Is one system better than another? Rows of pairs, the better one first.

    Raises:
        DataError: no words to compare on.
    """
    rows = []
    for found in differences(test_set):
        low, high = found.bootstrap.interval
        sure = found.bootstrap.p_bootstrap < SURE and found.pairs.p < SURE
        rows.append(
            [
                f"{found.a.letter} – {found.b.letter}",
                f"{found.a.letter} is better" if sure else "not shown",
                f"{100 * found.bootstrap.difference:+.2f}",
                f"{100 * low:+.2f} to {100 * high:+.2f}",
                _p(found.bootstrap.p_bootstrap),
                _p(found.pairs.p),
            ]
        )
    head = ["systems", f"at p < {SURE:g}", "WER, points", "95 % interval", "p, bootstrap", "p, MAPSSWE"]
    note = (
        f"Paired bootstrap of {DRAWS:,} draws of utterances, and NIST's matched pairs test; "
        "a difference counts where both say so. The p-values are not corrected for the number of pairs."
    )
    return Table("Which systems differ", head, rows, left=2, note=note)


def error_tables(test_set: TestSet) -> list[Table]:
    """Errors by kind, by length, by speaker, and the words most often wrong."""
    kinds = [
        [
            s.letter,
            s.title,
            percent(s.errors.wer),
            *(f"{getattr(s.errors.total, kind):,}" for kind in ("substitutions", "deletions", "insertions")),
            f"{s.errors.total.words:,}",
            f"{100 * s.errors.sentence_error_rate:.1f}",
        ]
        for s in test_set.systems
    ]
    head = ["", "system", "WER, %", "substitutions", "deletions", "insertions", "words", "sentences with errors, %"]
    tables = [Table("Kinds of errors", head, kinds, left=2)]
    names = list(test_set.references)
    lengths = _breakdown(test_set, names, by_length)
    tables.append(Table("By length: WER, %", _columns(test_set, "length"), lengths))
    speakers = test_set.speakers()
    if speakers:
        of_id = dict(zip(names, speakers, strict=True))
        rows = _breakdown(test_set, names, lambda counts, ids: by_group([of_id[name] for name in ids], counts))
        note = f"the {SPEAKERS} of {len(rows):,} speakers with the highest WER of {test_set.systems[0].letter}"
        table = Table("By speaker: WER, %", _columns(test_set, "speaker"), rows[:SPEAKERS], folded=True)
        tables.append(table if len(rows) <= SPEAKERS else Table(**{**table.__dict__, "note": note}))
    tables += _top_tables(test_set)
    if parts := _nist_table(test_set):
        tables.append(parts)
    return tables


def percent(rate: float | None) -> str:
    """A rate as the tables have it."""
    return "–" if rate is None else f"{100 * rate:.2f}"


def _breakdown(
    test_set: TestSet, names: Sequence[str], by: Callable[..., dict[str, tuple[int, Counts]]]
) -> list[list[str]]:
    """Rows of `by` for each system; those of the first system decide the order."""
    found: list[dict[str, tuple[int, Counts]]] = []
    for system in test_set.shown:
        ids = [name for name in names if name in system.place]
        counts = [system.errors.utterances[system.place[name]] for name in ids]
        found.append(by(counts) if by is by_length else by(counts, ids))
    keys = list(dict.fromkeys(key for groups in found for key in groups))
    rows = []
    for key in keys:
        utterances, counts_of_it = next(groups[key] for groups in found if key in groups)
        rates = [percent(groups[key][1].wer) if key in groups else "–" for groups in found]
        rows.append([key, f"{utterances:,}", f"{counts_of_it.words:,}", *rates])
    return rows


def _columns(test_set: TestSet, first: str) -> list[str]:
    return [first, "utterances", "words", *(system.letter for system in test_set.shown)]


def _top_tables(test_set: TestSet) -> list[Table]:
    """The words most often wrong: kinds in rows, a column of words and counts for each system."""
    found = [top_errors(system.errors.alignments, TOP) for system in test_set.shown]
    tables = []
    for kind in ("substitutions", "deletions", "insertions"):
        longest = max((len(each[kind]) for each in found), default=0)
        rows = [
            [
                str(n + 1),
                *(f"{each[kind][n][0]} ({each[kind][n][1]:,})" if n < len(each[kind]) else "" for each in found),
            ]
            for n in range(longest)
        ]
        if rows:
            head = ["", *(system.letter for system in test_set.shown)]
            tables.append(Table(f"Most frequent {kind}", head, rows, left=len(head), folded=True))
    return tables


def _nist_table(test_set: TestSet) -> Table | None:
    """Parts of a telephone test, scored by its STM and GLM."""
    rows = []
    for system in test_set.systems:
        nist: dict[str, Any] = system.decoding.score.get("nist") or {}
        for part, of_it in ({"all": nist} | nist.get("parts", {})).items() if nist else ():
            numbers = (of_it.get("substitutions", 0), of_it.get("deletions", 0), of_it.get("insertions", 0))
            rows.append(
                [system.letter, part, percent(of_it.get("wer")), *(f"{n:,}" for n in numbers), f"{of_it['words']:,}"]
            )
    if not rows:
        return None
    tools = {str(s.decoding.score["nist"].get("tool")) for s in test_set.systems if s.decoding.score.get("nist")}
    head = ["", "part", "WER, %", "substitutions", "deletions", "insertions", "words"]
    return Table("By NIST's rules (STM and GLM)", head, rows, left=2, note=f"scored with: {', '.join(sorted(tools))}")


def _best_validation(curves: Curves) -> tuple[Point | None, str]:
    """The least of what a run is chosen by, and how it is told."""
    forms = {"loss_bits": "{:.3f} bits", "wer": "WER {:.2%}", "per": "PER {:.2%}", "perplexity": "perplexity {:,.1f}"}
    for name, told in forms.items():
        if points := curves.valid.get(name):
            best = min(points, key=lambda point: point.mean)
            return best, told.format(best.mean).replace("%", " %")
    return None, "–"


def _pretraining(exp: Experiment) -> str:
    if not exp.pretrained:
        return "none"
    return f"{exp.pretrain_updates:,}" if exp.pretrain_updates else "yes"


def _between(bounds: Sequence[float] | None) -> str:
    return f"{100 * bounds[0]:.2f}–{100 * bounds[1]:.2f}" if bounds else "–"


def _time(decoding: Decoding) -> str:
    factor = decoding.decoded.get("real_time_factor")
    return f"{factor:.4f}" if factor else "–"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
