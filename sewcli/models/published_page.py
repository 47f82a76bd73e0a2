"""`sew models --figures`: docs/published.md, every figure of `published.csv` as its paper's tables have it.

A test fails when the file differs from what this writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sewcli.models.differences import CODE, PAPERS
from sewcli.models.published import Figure, figures, published, rows_of

INTRODUCTION = """\
# What the papers report

Made by `sew models --figures > docs/published.md`; do not edit. Every figure of a paper that this project shows (in
`sew models`, `sew recipes`, `sew bench`, `sew report`, docs/ and egs/*/RESULTS.md) comes from one table,
`sewcli/models/published.csv`, which is below in the papers' own layout; `sew recipes --check-figures` compares all of them.
None is measured here.

Word error rates are in percent; a / b is without a language model and with it: the corpus's official n-gram with a beam of 50
unless another stands in the head. "seconds" is inference on one V100 in fp32, model and greedy search, batches of at most 250 s
sorted by length, of dev-clean unless another split is named; "pre-training hours" are those of 8 V100. In SEW's tables models
are fine-tuned on train-clean-100 unless labels are named.

The word error rates of wav2vec 2.0's ablations (its tables 4, 5 and 13) are decoded with the official 4-gram, a beam of 50 and
the weights 2 and -1, and averaged over dev-clean and dev-other. Mean and deviation are of three seeds of fine-tuning on 10
hours; the pre-training is run once. (Without a language model BASE has 10.9 and 17.4 % on these splits: table 9.)
"""
SHORT = {"seconds": "seconds", "wer": "WER", "per": "PER", "parameters": "parameters, M"}
Column = tuple[str, str, str]  # quantity, corpus, split


def page() -> str:
    """The whole of docs/published.md."""
    parts = [INTRODUCTION]
    for paper, tables in _tables().items():
        parts.append(f"## {paper}\n")
        for table, found in tables.items():
            title = f"Table {table}" if table.isdigit() else table.capitalize()
            parts += [f"### {title}\n"] * bool(title) + [markdown(*_pivot(found))]
    head = ("point", "the paper", "its code, or what was counted", "here")
    parts += ["## Where paper and code differ, and what is followed\n", markdown(head, CODE)]
    head = ("point", "one place", "another", "here")
    parts += ["## Where the papers contradict themselves\n", markdown(head, PAPERS)]
    parts += ["Figures that are carried beside the ones that are followed:\n"]
    others = [[f.row, _where(f), f.value, f.source, f.note] for f in figures(followed=False)]
    parts.append(markdown(("row", "figure", "value", "source", "instead"), others))
    return "\n".join(parts).rstrip() + "\n"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, with a line break at its end."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _tables() -> dict[str, dict[str, list[Figure]]]:
    found: dict[str, dict[str, list[Figure]]] = {}
    for figure in published():
        if figure.followed:
            found.setdefault(figure.paper, {}).setdefault(figure.table, []).append(figure)
    return {paper: dict(sorted(tables.items(), key=lambda item: item[0].zfill(3))) for paper, tables in found.items()}


def _pivot(found: Sequence[Figure]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row of the paper's a row, quantities and splits in columns, language models side by side in a cell."""
    columns = list(dict.fromkeys(map(_column, found)))
    corpora = {corpus for _, corpus, _ in columns if corpus}
    amounts = list(dict.fromkeys(figure.labels for figure in found))
    models = {column: list(dict.fromkeys(f.lm or "–" for f in found if _column(f) == column)) for column in columns}
    head = ["row", "our name", *(_title(column, models[column], several=len(corpora) > 1) for column in columns)]
    rows = []
    for first, of_row in rows_of(found):
        for labels in amounts if "" not in amounts and len(amounts) > 1 else [None]:
            chosen = [figure for figure in of_row if labels in (None, figure.labels)]
            cells = [" / ".join(_cells(column, models[column], chosen)) for column in columns]
            title = _row_title(first, of_row) + (f", {labels}" if labels and labels not in first.row else "")
            rows += [[title, f"`{first.model}`" if first.model else "", *cells]] * bool(chosen)
    return head, rows


def _column(figure: Figure) -> Column:
    return figure.quantity, figure.corpus, figure.split


def _title(column: Column, models: Sequence[str], *, several: bool) -> str:
    quantity, corpus, split = column
    place = " ".join(
        part for part in (corpus if several else "", "" if split == "dev-clean" and _plain(quantity) else split) if part
    )
    named = SHORT.get(quantity, quantity)
    beside = f" ({' / '.join(models)})" if models not in (["none"], ["–"], ["none", "4-gram"]) else ""
    return (f"{place}, {named}" if place else named) + beside


def _plain(quantity: str) -> bool:
    return quantity not in ("wer", "per")


def _cells(column: Column, models: Sequence[str], found: Sequence[Figure]) -> Iterator[str]:
    values = {
        f.lm or "–": f.value + (f" ± {f.deviation}" if f.deviation else "") for f in found if _column(f) == column
    }
    if values:
        yield from (values.get(model, "–") for model in models)


def _row_title(first: Figure, of_row: Sequence[Figure]) -> str:
    updates = {figure.updates for figure in of_row if figure.updates}
    if first.paper != "SEW" or len(updates) != 1 or "00K" in first.row:
        return first.row
    return f"{first.row} ({updates.pop() // 1000}K)"


def _where(figure: Figure) -> str:
    parts = (figure.labels, figure.corpus, figure.split, figure.quantity)
    return ", ".join(part for part in parts if part)
