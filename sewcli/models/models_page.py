"""`sew models --tables`: docs/models.md, the paper's counts beside ours, made from the models themselves.

A test fails when the file differs from what this writes, and when a count rounds to another number than the paper's
without a reason given in `published.csv`.
"""

from __future__ import annotations

from sewcli.models.flops import SECONDS, anatomy, paper_flops
from sewcli.models.paper import COSTS, ROWS, TITLES, PaperRow, agrees
from sewcli.models.published_page import markdown
from sewcli.models.sizes import VOCABULARY, extractor_macs, sizes
from sewcli.models.zoo import lookup, names

INTRODUCTION = """\
# Models and the paper's tables

Made by `sew models --tables > docs/models.md`; do not edit. Counts are those of the models themselves: a recogniser of 32
letters, in table 10 the pre-training model. "yes" means that our count rounds to the printed number. Any model can be
varied by name, e.g. `sew-tiny+wfe-c-c48-l1+k127+heads-linear` or `sew-d-mid+s4`; `sew models NAME` shows it part by part.

Where the paper says 128 taps in tables 1, 3 and 4, all its counts to two decimals fit 127, and the rows here have 127. The
squeezed rows of these tables are pre-trained with linear heads (`+heads-linear`), as in the paper: the MLP heads are what row 7
of table 4 adds, and SEW models have them unless the name says otherwise. What the papers measured with each stands in
[published.md](published.md).
"""


def page() -> str:
    """The whole of docs/models.md."""
    sections = [INTRODUCTION, _zoo(), _costs()]
    for number, title in TITLES.items():
        rows = [_row(row) for row in ROWS if row.table == number]
        head = ("row", "our name", "paper, M", "ours", "agrees", "paper's extractor, M", "ours")
        sections.append(f"## Table {number}. {title}\n\n{markdown(head, rows)}")
    return "\n".join(sections)


def counted(row: PaperRow) -> tuple[int, int]:
    """Our parameters of a row's model, counted as its table counts, and those of its extractor."""
    size = sizes(row.model)
    return size["pretraining_parameters" if row.heads else "parameters"], size["extractor_parameters"]


def _row(row: PaperRow) -> list[str]:
    ours, extractor = counted(row)
    same = agrees(ours, row.parameters) and (row.extractor is None or agrees(extractor, row.extractor))
    verdict = "yes" if same else f"no: {row.why or 'UNEXPLAINED'}"
    return [row.row, f"`{row.model}`", row.parameters, f"{ours:,}", verdict, row.extractor or "", f"{extractor:,}"]


def _zoo() -> str:
    rows = []
    for name in names():
        size = sizes(name)
        macs = sum(part.macs for part in anatomy(lookup(name), VOCABULARY))
        shown = [size[key] for key in ("width", "layers", "heads", "position_kernel", "squeeze")]
        large = [size[key] for key in ("parameters", "extractor_parameters", "pretraining_parameters")]
        rows.append([f"`{name}`", *map(str, shown), *(f"{n:,}" for n in large), f"{macs / 1e9:.1f}"])
    head = ("model", "width", "layers", "heads", "kernel", "squeeze", "parameters", "extractor", "with heads", "GMAC")
    return (
        f"## The zoo\n\nGMAC: billions of multiply-accumulates of the recogniser for {SECONDS} s of audio. With heads: "
        f"the pre-training model, which has no CTC layer.\n\n{markdown(head, rows)}"
    )


def _costs() -> str:
    rows = []
    for cost in COSTS:
        ours = paper_flops(lookup(cost.model)) or 0
        verdict = "yes" if f"{ours / 1e9:.1f}" == cost.flops else "no"
        macs = extractor_macs(cost.model)
        rows.append([cost.extractor, cost.flops, f"{ours / 1e9:.2f}", verdict, f"{macs / 1e9:.2f}"])
    head = ("extractor", "paper, G", "counted the same way, G", "agrees", "GMAC that are made")
    return (
        "## Table 2. Cost of wave feature extractors\n\nThe authors' program takes the outputs of a convolution from its "
        "already strided output, and so counts about half.\n\n" + markdown(head, rows)
    )
