"""What the SEW paper's tables say about sizes, a row a row, with the model of ours that each row is.

Counts are in millions, as printed. Where a printed count is not that of the model which the row names, `why` says so in
a line. Tables 1, 3 and 4 print "128" for kernels of 127 taps: all their two-decimal counts fit 127 and not 128.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    """A model of table 6: seconds on a V100 for dev-clean, model and greedy search, without reading audio and scoring.

    With the word error rates of its greedy text of test-clean and test-other, in percent, after so many updates of
    pre-training on 960 hours and fine-tuning on train-clean-100; None where `source` does not tell them.
    """

    title: str
    model: str
    seconds: str
    updates: int | None = None
    clean: str | None = None
    other: str | None = None
    source: str = "table 6"

    @property
    def hourly(self) -> float:
        """Seconds for an hour of audio."""
        return float(self.seconds) / DEV_CLEAN_HOURS


DEV_CLEAN_HOURS = 5.4
K127 = "the printed count is the k127 model's: {}"
TRUNCATED = "24.85 M; the printed count is truncated, or that of 127 taps (24.84 M)"

ROWS = (
    PaperRow(1, "W2V2, E=384, 25 Hz", "w2v2-tiny+e384+25hz+k127", "23.76"),
    PaperRow(1, "W2V2, E=384, 25 Hz, fine-tune upsampling", "w2v2-tiny+e384+25hz+upsample+k127", "24.06"),
    PaperRow(1, "Squeezed W2V2, E=384", "sew-tiny+e384+wfe-o-c256+k127", "23.92"),
    PaperRow(1, "W2V2, E=384, 50 Hz", "w2v2-small+k127", "24.84"),
    PaperRow(3, "WFE-O-c512", "sew-tiny+wfe-o-c512+k127", "44.65"),
    PaperRow(3, "WFE-C-c128-l0", "sew-tiny+wfe-c-c128-l0+k127", "45.60"),
    PaperRow(3, "WFE-C-c160-l0", "sew-tiny+wfe-c-c160-l0+k127", "48.33"),
    PaperRow(3, "WFE-C-c128-l1", "sew-tiny+wfe-c-c128-l1+k127", "48.35"),
    PaperRow(4, "W2V2-tiny, E=256", "w2v2-tiny+k127", "11.06"),
    PaperRow(4, "W2V2-small, E=384", "w2v2-small+k127", "24.84"),
    PaperRow(4, "squeezed, E=384, WFE-O-c256", "sew-tiny+e384+wfe-o-c256+k127", "23.92"),
    PaperRow(4, "squeezed, E=384, WFE-C-c96-l1", "sew-tiny+e384+wfe-c-c96-l1+k127", "27.22"),
    PaperRow(4, "squeezed, E=512, WFE-C-c48-l1", "sew-tiny+wfe-c-c48-l1+k127", "41.69"),
    PaperRow(4, "SEW-tiny", "sew-tiny", "40.73", "1.84"),
    PaperRow(4, "SEW-tiny with FBFE", "sew-tiny+fbfe", "42.15", "3.26"),
    PaperRow(5, "W2V2-tiny", "w2v2-tiny", "11.1", "1.1"),
    PaperRow(5, "W2V2-small", "w2v2-small", "24.8", "2.4", why=TRUNCATED),
    PaperRow(5, "W2V2-mid", "w2v2-mid", "44.1", "4.2"),
    PaperRow(5, "W2V2-base", "w2v2-base", "94.4", "4.2"),
    PaperRow(5, "W2V2-large, LayerNorm extractor", "w2v2-large-lv60k", "315.5", "4.2"),
    PaperRow(5, "SEW-tiny", "sew-tiny", "40.7", "1.8"),
    PaperRow(5, "SEW-small", "sew-small", "93.2", "1.8", why=K127.format("sew-small-k127")),
    PaperRow(5, "SEW-mid", "sew-mid", "178.2", "1.8", why=K127.format("sew-mid-k127")),
    PaperRow(5, "SEW-D-tiny", "sew-d-tiny", "25.0", "1.8", why=K127.format("sew-d-tiny-k127")),
    PaperRow(5, "SEW-D-small", "sew-d-small", "42.6", "1.8", why=K127.format("sew-d-small-k127")),
    PaperRow(5, "SEW-D-mid", "sew-d-mid", "78.8", "1.8"),
    PaperRow(5, "SEW-D-mid, k127", "sew-d-mid-k127", "80.4", "1.8"),
    PaperRow(5, "SEW-D-base (printed E=512; only E=768 fits)", "sew-d-base", "175.1", "1.8"),
    PaperRow(5, "SEW-D-base+ (printed E=512; only E=768 fits)", "sew-d-base-plus", "177.0", "4.1"),
    PaperRow(6, "W2V2-tiny", "w2v2-tiny", "11.1"),
    PaperRow(6, "W2V2-small", "w2v2-small", "24.8", why=TRUNCATED),
    PaperRow(6, "W2V2-mid", "w2v2-mid", "44.1"),
    PaperRow(6, "W2V2-base", "w2v2-base", "94.4"),
    PaperRow(6, "W2V2-large, GroupNorm checkpoint", "w2v2-large", "315.5"),
    PaperRow(6, "SEW-tiny", "sew-tiny", "40.7"),
    PaperRow(6, "SEW-small", "sew-small", "89.6"),
    PaperRow(6, "SEW-mid", "sew-mid", "174.7"),
    PaperRow(6, "SEW-D-tiny", "sew-d-tiny", "24.1"),
    PaperRow(6, "SEW-D-small", "sew-d-small", "41.0"),
    PaperRow(6, "SEW-D-mid", "sew-d-mid", "78.8"),
    PaperRow(6, "SEW-D-mid, k127", "sew-d-mid-k127", "80.4"),
    PaperRow(6, "SEW-D-base", "sew-d-base", "175.1"),
    PaperRow(6, "SEW-D-base+", "sew-d-base-plus", "177.0"),
    PaperRow(10, "linear", "w2v2-mid+heads-linear", "44.7", heads=True),
    PaperRow(10, "2-layer MLP", "w2v2-mid+heads-mlp", "49.8", heads=True),
    PaperRow(10, "2-layer MLP, BatchNorm", "w2v2-mid+heads-mlp-norm", "49.8", heads=True),
    PaperRow(10, "3-layer MLP, BatchNorm", "w2v2-mid+heads-mlp3-norm", "83.4", heads=True),
    PaperRow(13, "SEW-D-tiny, k31", "sew-d-tiny", "24.1"),
    PaperRow(13, "SEW-D-tiny, k127", "sew-d-tiny-k127", "25.0"),
    PaperRow(13, "SEW-D-small, k31", "sew-d-small", "41.0"),
    PaperRow(13, "SEW-D-small, k127", "sew-d-small-k127", "42.6"),
    PaperRow(13, "SEW-D-mid, k31", "sew-d-mid", "78.8"),
    PaperRow(13, "SEW-D-mid, k127", "sew-d-mid-k127", "80.4"),
)
COSTS = (
    PaperCost("WFE-O-c512", "sew-tiny+wfe-o-c512+k127", "12.5"),
    PaperCost("WFE-C-c128-l0", "sew-tiny+wfe-c-c128-l0+k127", "4.3"),
)
TIMES = (
    PaperTime("W2V2-tiny", "w2v2-tiny", "7.5"),
    PaperTime("W2V2-small", "w2v2-small", "12.8"),
    PaperTime("W2V2-mid", "w2v2-mid", "19.9"),
    PaperTime("W2V2-base", "w2v2-base", "30.8"),
    PaperTime("W2V2-large", "w2v2-large", "74.4"),
    PaperTime("SEW-tiny", "sew-tiny", "6.7", 100_000, "10.6", "23.7"),
    PaperTime("SEW-small", "sew-small", "11.0"),
    PaperTime("SEW-mid", "sew-mid", "19.1"),
    PaperTime("SEW-D-tiny", "sew-d-tiny", "7.5", 100_000, "10.4", "22.8"),
    PaperTime("SEW-D-small", "sew-d-small", "9.6"),
    PaperTime("SEW-D-mid", "sew-d-mid", "16.5", 400_000, "4.9", "11.5"),
    PaperTime("SEW-D-mid, k127", "sew-d-mid-k127", "17.9", 400_000, "5.0", "10.9"),
    PaperTime("SEW-D-base", "sew-d-base", "26.3"),
    PaperTime(
        "SEW-D-base+",
        "sew-d-base-plus",
        "27.8",
        400_000,
        "4.34",
        "9.45",
        "card of asapp/sew-d-base-plus-400k-ft-ls100h",
    ),
)
TITLES = {
    1: "Squeezed context network",
    3: "Wave feature extractors",
    4: "Ablation from W2V2 to SEW",
    5: "Configurations",
    6: "Models of the main results",
    10: "Predictor heads (with quantizer and heads, without a CTC layer)",
    13: "Kernels of the position convolution",
}


def printed(name: str) -> PaperRow | None:
    """The row that prints the size of a model, if any: one that agrees, and of these one with the extractor's size."""
    found = [row for row in ROWS if row.model == name]
    return max(found, key=lambda row: (not row.why, row.extractor is not None, row.table == 6), default=None)


def agrees(count: int, printed: str) -> bool:
    """Whether a count rounds to a printed number of millions, at its number of decimals."""
    decimals = len(printed.partition(".")[2])
    return f"{count / 1e6:.{decimals}f}" == printed
