"""What the SEW paper says about sizes, costs and times, with the model of ours that each row is; all from `published.py`.

Counts are in millions, as printed. Where a printed count is not that of the model which the row names, `why` says so in
a line. Tables 1, 3 and 4 print "128" for kernels of 127 taps: all their two-decimal counts fit 127 and not 128. Their squeezed
rows have linear predictor heads: the MLP heads are what row 7 of table 4 adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sewcli.models.published import LIBRISPEECH, Figure, figures, rows_of

SEW = "SEW"
WITH_HEADS = "parameters with heads"


@dataclass(frozen=True)
class PaperRow:
    """A row of a table of the paper."""

    table: int
    row: str
    model: str
    """Name in our zoo."""
    parameters: str
    """Millions, as printed."""
    extractor: str | None = None
    """Of them in the feature extractor."""
    heads: bool = False
    """Counted with quantizer and predictor heads and without a CTC layer (table 10)."""
    why: str = ""
    """Why our count rounds to another number."""


@dataclass(frozen=True)
class PaperCost:
    """A feature extractor of table 2: billions of "FLOPS", as printed."""

    extractor: str
    model: str
    flops: str


@dataclass(frozen=True)
class PaperTime:
    """A model's seconds on a V100 for dev-clean: model and greedy search in fp32, without reading audio and scoring.

    With the word error rate of its greedy text of dev-other, in percent, after 100,000 updates of pre-training on 960 hours and
    fine-tuning on train-clean-100; None where the paper does not print it.
    """

    title: str
    model: str
    seconds: str
    other: str | None
    """dev-other, greedy."""
    other_lm: str | None
    """dev-other, with the official 4-gram and a beam of 50."""
    source: str

    @property
    def hourly(self) -> float:
        """Seconds for an hour of audio."""
        return float(self.seconds) / DEV_CLEAN_HOURS

    @property
    def family(self) -> str:
        """W2V2, SEW or SEW-D: the curves of figure 1."""
        return self.title.removesuffix("-k127").rpartition("-")[0]


DEV_CLEAN_HOURS = 5.4
TITLES = {
    1: "Squeezed context network",
    3: "Wave feature extractors",
    4: "Ablation from W2V2 to SEW",
    5: "Configurations",
    6: "Models of the main results",
    10: "Predictor heads (with quantizer and heads, without a CTC layer)",
    13: "Kernels of the position convolution",
}
MODELS = ("6", "13", "8", "14", "5")  # tables that print whole models, the main one first


def _sizes() -> tuple[PaperRow, ...]:
    extractors = {(f.table, f.row, f.model): f.value for f in figures(paper=SEW, quantity="extractor parameters")}
    rows = [
        PaperRow(
            table=int(f.table),
            row=f.row,
            model=f.model,
            parameters=f.value,
            extractor=extractors.get((f.table, f.row, f.model)),
            heads=f.quantity == WITH_HEADS,
            why=f.note,
        )
        for quantity in ("parameters", WITH_HEADS)
        for f in figures(paper=SEW, quantity=quantity)
    ]
    return tuple(sorted(rows, key=lambda row: row.table))


def _costs() -> tuple[PaperCost, ...]:
    totals = [f for f in figures(paper=SEW, quantity="MFLOPS") if f.row.endswith(", total")]
    return tuple(PaperCost(f.row.partition(",")[0], f.model, f"{f.number / 1000:.1f}") for f in totals)


def _times() -> tuple[PaperTime, ...]:
    times: dict[str, PaperTime] = {}
    for table in MODELS:
        timed = figures(paper=SEW, table=table, quantity="seconds", corpus=LIBRISPEECH, lm="none")
        for first, _ in rows_of(timed):
            times.setdefault(first.model, _time(first))
    return tuple(times.values())


def _time(timed: Figure) -> PaperTime:
    rates = figures(paper=SEW, quantity="wer", model=timed.model, updates=100_000, labels="100h", split="dev-other")
    found = {f.lm: f.value for f in rates if f.table in MODELS}
    kernel = "-k127" if timed.model.endswith("-k127") else ""
    title = timed.row.partition(",")[0].removesuffix(kernel) + kernel
    return PaperTime(title, timed.model, timed.value, found.get("none"), found.get("4-gram"), timed.source)


ROWS = _sizes()
COSTS = _costs()
TIMES = _times()


def printed(name: str) -> PaperRow | None:
    """The row that prints the size of a model, if any: one that agrees, and of these one with the extractor's size.

    A recogniser has no predictor heads, so that a row is found whatever heads the name asks for.
    """
    found = [row for row in ROWS if row.model == name or (not row.heads and _headless(row.model) == _headless(name))]
    return max(
        found,
        key=lambda row: (not row.why, row.model == name, row.extractor is not None, row.table == 6),
        default=None,
    )


def printed_time(model: str) -> PaperTime | None:
    """The time that the paper prints for a model of the zoo."""
    return next((row for row in TIMES if row.model == model), None)


def agrees(count: int, printed: str) -> bool:
    """Whether a count rounds to a printed number of millions, at its number of decimals."""
    decimals = len(printed.partition(".")[2])
    return f"{count / 1e6:.{decimals}f}" == printed


def _headless(name: str) -> str:
    return re.sub(r"\+heads-[a-z0-9-]+", "", name)
