"""The papers' columns of tables that are otherwise written by hand (egs/*/RESULTS.md, docs/): what they must hold.

Such a table stands below a line `<!-- figures: NAME -->`. The columns that are named here have the papers' figures, row by row;
all others, such as "ours", are free.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sewcli.models.published import DEV_AND_TEST, LIBRISPEECH, Figure, figures, rows_of

Rows = list[dict[str, str]]
MAIN = ("6", "13", "8", "14")
FEW = ("7", "15")
OTHER = ("16", "9")
CORPORA = {  # name of the corpus in the table, its splits, and its language model
    "tedlium3": ("TED-LIUM 3", ("dev", "test"), "5-gram"),
    "voxpopuli": ("VoxPopuli", ("dev", "test"), "5-gram"),
    "swbd_fisher": ("Fisher+SWBD", ("dev-rt03", "test-eval2000"), "4-gram"),
}


def librispeech() -> Rows:
    """SEW tables 6, 8, 13 and 14: 100 hours of labels."""
    rates = _rates(MAIN, LIBRISPEECH)
    systems = sorted(_systems(rates), key=lambda system: system[1])
    rows = [_row(model, updates, DEV_AND_TEST, "4-gram", rates) for model, updates in systems]
    cards = figures(followed=False, quantity="wer", model="sew-d-base-plus", labels="100h", lm="none")
    card = {"model": "sew-d-base-plus", "updates": "400K, the authors' model card"}
    return [*rows, card | {figure.split: figure.value for figure in cards}]


def few_labels() -> Rows:
    """SEW tables 7 and 15: 10 minutes, 1 hour and 10 hours."""
    rates = _rates(FEW, LIBRISPEECH)
    rows = []
    for model, updates in _systems(rates):
        for labels in dict.fromkeys(figure.labels for figure in rates):
            of_it = [figure for figure in rates if figure.labels == labels]
            row = _row(model, updates, DEV_AND_TEST[2:], "4-gram", of_it)
            rows.append({"model": row.pop("model"), "labels": labels} | row)
    return rows


def other_corpus(name: str) -> Rows:
    """SEW tables 9 and 16: 10 hours of another corpus."""
    corpus, splits, lm = CORPORA[name]
    rates = _rates(OTHER, corpus)
    rows = []
    for model, updates in sorted(_systems(rates), key=lambda system: system[1]):
        row = _row(model, updates, splits, lm, rates)
        halves = [[half.strip() for half in row[split].split("/")] for split in splits]
        dev_and_test = {kind: " / ".join(half[n] for half in halves) for n, kind in enumerate(("greedy", lm))}
        rows.append({"model": row["model"], "updates": row["updates"]} | dev_and_test)
    return rows


def elsewhere() -> Rows:
    """What others report on TED-LIUM 3."""
    found = [f for f in figures(corpus="TED-LIUM 3", quantity="wer") if f.paper != "SEW"]
    systems = dict.fromkeys((f.row, f.paper, f.lm) for f in found)
    return [
        {
            "system": row,
            "language model": lm or "not said",
            "dev / test": " / ".join(_value(found, split, row=row, paper=paper, lm=lm) for split in ("dev", "test")),
            "source": paper,
        }
        for row, paper, lm in systems
    ]


def compression() -> Rows:
    """Tables 1 and 2 of "Shrinking Bigfoot"."""
    columns = {"parameters": "M", "MB": "MB", "CPU seconds": "CPU, s", "seconds": "GPU, s", "wer": "WER, dev-clean"}
    found = [f for f in figures(paper="Shrinking Bigfoot") if f.table in ("1", "2")]
    rows = []
    for first, of_row in rows_of(found):
        values = {f.quantity: f.value for f in of_row}
        head = {"table": first.table, "model": first.row}
        rows.append(head | {title: values.get(quantity, "") for quantity, title in columns.items()})
    return rows


def convolutions() -> Rows:
    """Table 3 of "Shrinking Bigfoot"."""
    columns = {"seconds": "GPU, s", "CPU seconds": "CPU, s"}
    return [
        {"extractor": first.row}
        | {title: next(f.value for f in of_row if f.quantity == q) for q, title in columns.items()}
        for first, of_row in rows_of(figures(paper="Shrinking Bigfoot", table="3"))
    ]


def pretraining_speed() -> Rows:
    """SEW table 6: hours of pre-training, as speeds beside W2V2-base."""
    hours = {f.model: f.number for f in figures(paper="SEW", table="6", quantity="pre-training hours")}
    shown = {"W2V2-base": "w2v2-base", "": "", "SEW-mid": "sew-mid", "SEW-D-mid": "sew-d-mid"}
    return [
        {"in the paper (8 V100)": f"{hours['w2v2-base'] / hours[model]:.3g}" if model else ""}
        for model in shown.values()
    ]


BLOCKS: dict[str, Callable[[], Rows]] = {
    "librispeech": librispeech,
    "few-labels": few_labels,
    **{name: partial(other_corpus, name) for name in CORPORA},
    "elsewhere": elsewhere,
    "compression": compression,
    "convolutions": convolutions,
    "pretraining-speed": pretraining_speed,
}


def _rates(tables: tuple[str, ...], corpus: str) -> list[Figure]:
    return [f for f in figures(paper="SEW", quantity="wer", corpus=corpus) if f.table in tables]


def _systems(rates: list[Figure]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((f.model, f.updates or 0) for f in rates))


def _row(model: str, updates: int, splits: tuple[str, ...], lm: str, rates: list[Figure]) -> dict[str, str]:
    row = {"model": model, "updates": f"{updates // 1000}K"}
    for split in splits:
        row[split] = " / ".join(_value(rates, split, model=model, updates=updates, lm=kind) for kind in ("none", lm))
    return row


def _value(rates: list[Figure], split: str, **where: str | int) -> str:
    """The one figure, with its deviation; a dash where there is none."""
    found = [f for f in rates if f.split == split and all(getattr(f, name) == value for name, value in where.items())]
    return f"{found[0].value}{f' ± {found[0].deviation}' if found[0].deviation else ''}" if found else "–"
