"""`sew rescore`: n-best lists reordered with a neural language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options
from sewcli.cli.score import show_scores


def rescore(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Decode folders with n-best lists (sew decode --nbest).")
    ],
    lm: Annotated[
        Path, typer.Option(help="An experiment of `sew lm train`, or any Hugging Face causal language model's folder.")
    ] = Path("exp/lm"),
    tune: Annotated[
        bool, typer.Option("--tune", help="Find the weights of fewest errors on these folders, and write weights.json.")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="A weights.json that --tune wrote, or its folder.", show_default=False)
    ] = None,
    lm_weight: Annotated[
        float | None, typer.Option(help="Weight of the n-gram's log10 probabilities.", show_default="the search's")
    ] = None,
    word_score: Annotated[float | None, typer.Option(help="Added for every word.", show_default="the search's")] = None,
    nn_weight: Annotated[
        float | None,
        typer.Option(help="Weight of the neural model's natural log-probabilities.", show_default="0.5, better tuned"),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Add a neural language model's score to each hypothesis of n-best lists, and take the best again.

    total = acoustic + LM_WEIGHT * log10 p(n-gram) + NN_WEIGHT * ln p(neural) + WORD_SCORE * words,
    the neural probability with the sentence's begin and end, not divided by its length. Each FOLDER
    gets a sibling FOLDER-NAME with hyps.jsonl, the lists in their new order, decode.json and
    score.json. Neural scores are kept there: other weights cost nothing. Tune on a dev split, and
    use the weights elsewhere. Needs the extra `hub`.

        sew decode --lm 4gram --beam 500 --nbest 100 --split dev-other --split test-clean
        sew rescore exp/NAME/decode/librispeech-dev-other-4gram-beam500-nbest100 --lm exp/lm --tune
        sew rescore exp/NAME/decode/librispeech-test-clean-4gram-beam500-nbest100 --lm exp/lm \\
            --weights exp/NAME/decode/librispeech-dev-other-4gram-beam500-nbest100-lm
    """
    own = options.given(lm_weight=lm_weight, word_score=word_score, nn_weight=nn_weight)
    if tune and (own or weights):
        raise UsageError(
            "options-conflict", "--tune finds the weights, and some are given", hint="leave out --tune, or the weights"
        )

    from contextlib import ExitStack

    from sewcli.base import log
    from sewcli.base.config import build
    from sewcli.base.device import choose_device
    from sewcli.base.lock import writing
    from sewcli.decoding.rescore import (
        RescoreWeights,
        decoder_weights,
        out_folder,
        read_weights,
        require_lists,
        score_lists,
        tune_weights,
    )
    from sewcli.decoding.rescore import rescore as write
    from sewcli.lm.neural import NeuralLanguageModel
    from sewcli.scoring.score import score_folder

    chosen = None if weights is None else read_weights(weights)
    model = NeuralLanguageModel(lm, choose_device(device))
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        require_lists(folder)
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(writing(out_folder(folder, model.name)))
        lists = [score_lists(folder, model) for folder in folders]
        found = None
        if tune:
            chosen, found = tune_weights(lists)
            kinds = ("errors", "errors_before", "errors_ngram", "errors_oracle")
            after, before, ngram, oracle = (f"{100 * found[kind] / found['words']:.2f} %" for kind in kinds)
            log.info(
                f"lm weight {chosen.lm_weight:g}, word score {chosen.word_score:g}, nn weight {chosen.nn_weight:g}: "
                f"WER {after}; it was {before}, is {ngram} with the n-gram model alone at its best, "
                f"and {oracle} with the best of each list"
            )
        elif chosen is None and nn_weight is None:
            log.warn("the weights are not tuned: --nn-weight 0.5 is a guess (--tune on a dev split finds better ones)")
            own["nn_weight"] = 0.5
        done = []
        for scored in lists:
            base = chosen or decoder_weights(scored.folder)
            done.append(write(scored, model, build(RescoreWeights, base.model_dump() | own), found))
    spoken = [folder for folder, scored in zip(done, lists, strict=True) if scored.references]
    if spoken:
        show_scores([score_folder(folder) for folder in spoken], as_json=json)
