"""docs/wer-against-time.svg, the picture of the README: the papers' word error rates against the inference time measured here.

    python benchmarks/picture.py            # a test fails when the picture is not up to date

Times are those of results/table6_cpu.json (its command, machine and date are in it); rates are SEW's table 6, by
`sewcli/models/published.csv`: 100,000 updates of pre-training, 100 h of labels, test-other, no language model.
"""

from __future__ import annotations

from pathlib import Path

from sewcli.base.files import read_json, write_text
from sewcli.models.published import figures
from sewcli.report.plots import Mark, scatter_figure

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "wer-against-time.svg"
FAMILIES = ("wav2vec 2.0", "SEW", "SEW-D")
STYLE = """<style>
text { font: 13px sans-serif; fill: #59626d } .label { fill: #16191d } .grid { stroke: #dfe3e8; fill: none }
.axis { stroke: #59626d; fill: none } .group polyline { fill: none; stroke: #a3adb8; stroke-dasharray: 4 3 }
.s0 .ours { fill: #59626d } .s1 .ours { fill: #0072b2 } .s2 .ours { fill: #d55e00 }
</style><rect width="100%" height="100%" fill="#fff"/>"""


def main() -> None:
    """Write the picture."""
    write_text(PICTURE, picture())


def picture() -> str:
    """The picture as SVG."""
    measured = read_json(HERE / "results" / "table6_cpu.json")
    marks = [_mark(row, measured["rows"][0]["audio_seconds"]) for row in measured["rows"]]
    drawn = scatter_figure(
        "Word error rate against inference time",
        marks,
        across="seconds for a minute of speech, measured here: 2 cores of a Xeon, PyTorch, fp32",
        upward="word error rate on test-other as published, %",
    )
    head, body = str(drawn).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).split(">", 1)
    return f"{head}>{STYLE}{body}\n"


def _mark(row: dict[str, object], audio_seconds: float) -> Mark:
    name, seconds = str(row["model"]), float(str(row["mean"]))
    (wer,) = figures(model=name, quantity="wer", lm="none", labels="100h", split="test-other", updates=100_000)
    family = 0 if name.startswith("w2v2") else 2 if name.startswith("sew-d") else 1
    minute = 60 * seconds / audio_seconds
    title = f"{name}: {minute:.2f} s, {wer.value} % ({wer.source})"
    return Mark(minute, wer.number, name, title, style=family, group=FAMILIES[family])


if __name__ == "__main__":
    main()
