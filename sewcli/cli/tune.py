"""`sew tune`: the weights of the language model that fit a recogniser."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sewcli.cli import options, show

if TYPE_CHECKING:
    from sewcli.decoding.tune import Trial, Tuned

PREFERRED = "dev-other"
SHOWN = 10  # trials of the second table


def tune(
    model: options.Recogniser = None,
    data: options.Data = None,
    split: Annotated[
        str | None, typer.Option(help="Split to tune on.", show_default="dev-other, or else the first dev*")
    ] = None,
    lm: Annotated[str, typer.Option(help="A name in DATA/lm such as 4gram, or a file.")] = "4gram",
    lexicon_free: Annotated[
        bool, typer.Option("--lexicon-free", help="Of the search without a lexicon, with a model of letters.")
    ] = False,
    beam: options.Beam = 50,
    words: options.Words = None,
    boost: options.Boost = None,
    trials: Annotated[int, typer.Option(min=1, help="Pairs of weights to try at most.")] = 128,
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder for this search.", show_default="tune/ beside the model")
    ] = None,
    jobs: options.Jobs = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Find the weights of the language model with the fewest word errors on a dev set.

    The model runs once, or not at all where `sew decode --keep-emissions` has
    kept what it puts out. Then pairs of lm weight (0 to 5) and word score
    (-5 to 5) are tried: the papers' 2 and -1, a coarse grid, and ever finer
    steps around the best pair. The grid is shown as a table, rows by lm
    weight. OUT/DATA-SPLIT-DECODER/ holds weights.json, for `sew decode --weights`,
    and trials.jsonl: a search that was stopped goes on from there.

    A trial takes as long as a search of the split (an hour of speech: about
    3 s on one core at beam 50). Weights that fit a narrow beam fit a wider
    one as well or nearly so. Tell results of other splits than the one that
    was tuned on.

        sew tune --lm 4gram
        sew tune --model exp/sew-d-mid-ft --split dev-other --lm 4gram --beam 500
        sew decode --lm 4gram --weights exp/sew-d-mid-ft/tune/librispeech-dev-other-4gram-beam50
    """
    chosen = options.recogniser(model)
    corpus = data or options.DATA

    from sewcli.base import log
    from sewcli.base.device import choose_device
    from sewcli.data.utterances import require_splits
    from sewcli.decoding.beam import BeamOptions
    from sewcli.decoding.tune import tune
    from sewcli.lm.bias import Bias

    names = require_splits(corpus, [split] if split else None, default_prefix="dev")
    home = options.folder_of(chosen)
    tuned = tune(
        chosen,
        corpus,
        PREFERRED if PREFERRED in names else names[0],
        lm=lm,
        options=BeamOptions(beam=beam, lexicon_free=lexicon_free),
        bias=Bias(words, boost),
        out=out or home / "tune",
        emissions=home / "decode",
        device=partial(choose_device, device),
        limit=trials,
        jobs=jobs,
    )
    _show(tuned, as_json=json)
    for edge in tuned.edges():
        log.warn(edge)
    free = " --lexicon-free" if lexicon_free else ""
    wide = f" --beam {beam}" if beam != BeamOptions().beam else ""
    files = "".join(f" --{name} {path}" for name, path in (("words", words), ("boost", boost)) if path)
    log.info(
        f"use them: sew decode --model {chosen} --data {corpus} --lm {lm}{free}{wide}{files} --weights {tuned.folder}"
    )


def _show(tuned: Tuned, *, as_json: bool) -> None:
    from dataclasses import asdict

    from sewcli.decoding.weights import FILE

    if as_json:
        trials = [{**asdict(trial), "wer": trial.wer} for trial in tuned.trials]
        best = {**asdict(tuned.best), "wer": tuned.best.wer}
        show.objects({"weights": str(tuned.folder / FILE), "best": best, "trials": trials})
        return
    _show_surface(tuned)
    _show_best(tuned)


def _show_surface(tuned: Tuned) -> None:
    """Rows are weights of the language model, columns word scores; `*` is the lowest."""
    rates = {(trial.lm_weight, trial.word_score): trial.wer for trial in tuned.trials}
    weights = tuned.axes[0].grid()
    scores = tuned.axes[1].grid() if len(tuned.axes) > 1 else [0.0]
    lowest = min((rates[point] for w in weights for s in scores if (point := (w, s)) in rates), default=0)
    rows = []
    for weight in weights:
        found = [rates.get((weight, score)) for score in scores]
        rows.append([f"{weight:g}", *("" if r is None else f"{100 * r:.2f}{'*' * (r == lowest)}" for r in found)])
    titles = [f"word score {score:g}" for score in scores] if len(scores) > 1 else [""]
    show.table(show.figures("lm weight", *titles), rows, title="WER %")


def _show_best(tuned: Tuned) -> None:
    from sewcli.decoding.weights import DEFAULT

    ordered = sorted(tuned.trials, key=lambda trial: (trial is not tuned.best, trial.errors))
    rows = [[*_cells(trial), "chosen" if trial is tuned.best else ""] for trial in ordered[:SHOWN]]
    show.table(
        [*show.figures("lm weight", "word score", "errors", "WER %"), *show.names("")],
        [*rows, [*_cells(tuned.start), DEFAULT]],
        title=f"the best of {len(tuned.trials)} trials, over {tuned.best.words:,} words",
    )


def _cells(trial: Trial) -> list[str]:
    return [f"{trial.lm_weight:g}", f"{trial.word_score:g}", f"{trial.errors:,}", f"{100 * trial.wer:.2f}"]
