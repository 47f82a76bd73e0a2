"""Which figures a report has: learning curves by stage, and word error rate against inference time (figure 1 of the SEW paper).

Figure 1 has three curves, W2V2, SEW and SEW-D: the greedy word error rate of dev-other after 100,000 updates of pre-training
and fine-tuning on 100 hours, against seconds of model and greedy search on a V100. Our times are those of `sew decode`: model
and search, without reading audio, on the machine that `decode.json` names. Both are seconds for an hour of audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sewcli.models.paper import TIMES, PaperTime
from sewcli.report.curves import Curves, Point
from sewcli.report.experiments import Experiment, Stage
from sewcli.report.plots import STYLES, Curve, Mark, Unit, curves_figure, scatter_figure
from sewcli.report.testsets import TestSet

HOUR = 3600
ACROSS = "seconds of inference for an hour of audio"


@dataclass(frozen=True)
class Panel:
    """A figure of learning curves: a quantity of updates, and perhaps of validations."""

    title: str
    train: str | None
    valid: str | None = None
    unit: Unit = ""
    log: bool = False


PANELS: dict[Stage, tuple[Panel, ...]] = {
    "pre-training": (
        Panel("Contrastive loss, bits", "loss_bits", "loss_bits"),
        Panel("Accuracy", "accuracy", "accuracy", unit="%"),
        Panel("Code perplexity", "code_perplexity"),
        Panel("Learning rate", "lr"),
    ),
    "fine-tuning": (
        Panel("CTC loss a sentence", "loss", log=True),
        Panel("Validation WER, greedy", None, "wer", unit="%"),
        Panel("Learning rate", "lr"),
    ),
    "distillation": (
        Panel("Divergence from the teacher, nats an utterance", "divergence", log=True),
        Panel("Validation WER, greedy", None, "wer", unit="%"),
        Panel("Learning rate", "lr"),
    ),
    "language model": (
        Panel("Cross-entropy a token, nats", "loss"),
        Panel("Validation perplexity a word", None, "perplexity", log=True),
        Panel("Learning rate", "lr"),
    ),
}


@dataclass(frozen=True)
class DrawnPanel:
    """A figure, with its curves for a reader of text."""

    panel: Panel
    curves: list[Curve]
    figure: Markup


@dataclass(frozen=True)
class FigureGroup:
    """The learning curves of a stage. `runs`: names and styles of its experiments; `left_out`: how many are not drawn."""

    stage: str
    runs: list[tuple[str, int]]
    panels: list[DrawnPanel]
    left_out: int


@dataclass(frozen=True)
class PaperFigure:
    """Error rate against time: ours and the paper's."""

    figure: Markup
    marks: list[Mark]
    devices: list[str]
    rows: tuple[PaperTime, ...] = TIMES


FAMILIES = ("W2V2", "SEW", "SEW-D")


def curve_groups(experiments: Sequence[Experiment], curves: dict[str, Curves]) -> list[FigureGroup]:
    """Learning curves of each stage that has any; the first runs of each, as many as there are colours."""
    groups = []
    for stage, panels in PANELS.items():
        runs = [exp for exp in experiments if exp.stage == stage and curves[exp.name].last]
        styled = [(exp.name, number) for number, exp in enumerate(runs[:STYLES])]
        drawn = [found for panel in panels if (found := _drawn(panel, styled, curves))]
        if drawn:
            groups.append(FigureGroup(stage.capitalize(), styled, drawn, len(runs) - len(styled)))
    return groups


def _drawn(panel: Panel, styled: Sequence[tuple[str, int]], curves: dict[str, Curves]) -> DrawnPanel | None:
    drawn = []
    for name, style in styled:
        line: list[Point] = curves[name].train.get(panel.train, []) if panel.train else []
        dots: list[Point] = curves[name].valid.get(panel.valid, []) if panel.valid else []
        if not panel.train:
            line = dots
        if line or dots:
            drawn.append(Curve(name, style, line, dots))
    if not drawn:
        return None
    return DrawnPanel(panel, drawn, curves_figure(panel.title, drawn, unit=panel.unit, log=panel.log))


def paper_figure(test_sets: Sequence[TestSet]) -> PaperFigure | None:
    """Ours and the paper's points; None where nothing of ours has both an error rate and a time."""
    marks, devices = [], []
    names = list(dict.fromkeys(s.experiment.name for test_set in test_sets for s in test_set.systems))
    for test_set in test_sets:
        for system in test_set.systems:
            factor, score = system.decoding.decoded.get("real_time_factor"), system.decoding.score
            if not factor or not score["wer"]:
                continue
            low, high = score.get("wer_interval") or (None, None)
            seconds, wer = factor * HOUR, 100 * score["wer"]
            where = f" of {test_set.title}" if len(test_sets) > 1 else ""
            bounds = f" ({100 * low:.2f} to {100 * high:.2f})" if low is not None and high is not None else ""
            device = str(system.decoding.decoded.get("device", "?"))
            devices.append(device)
            title = f"{system.title}{where}: WER {wer:.2f} %{bounds}, {seconds:.3g} s on {device}"
            marks.append(
                Mark(
                    seconds,
                    wer,
                    f"{system.title}{where}",
                    title,
                    names.index(system.experiment.name),
                    100 * low if low else None,
                    100 * high if high else None,
                    brief=system.letter,
                )
            )
    if not marks:
        return None
    marks += [_paper_mark(row) for row in figure_1()]
    figure = scatter_figure("Word error rate against inference time", marks, across=ACROSS, upward="word error rate, %")
    return PaperFigure(figure, marks, list(dict.fromkeys(devices)))


def figure_1() -> list[PaperTime]:
    """The paper's points, a family after the other, the fastest first."""
    rows = [row for row in TIMES if row.other and not row.model.endswith("-k127")]
    return sorted(rows, key=lambda row: (FAMILIES.index(row.family), float(row.seconds)))


def _paper_mark(row: PaperTime) -> Mark:
    title = (
        f"{row.title}: WER {row.other} % of LibriSpeech dev-other after 100K updates of pre-training and 100 h of labels, "
        f"{row.hourly:.3g} s on a V100 ({row.source}: {row.seconds} s for dev-clean)"
    )
    return Mark(row.hourly, float(row.other or 0), row.title, title, hollow=True, group=row.family)
