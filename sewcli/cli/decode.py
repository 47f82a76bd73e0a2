"""`sew decode`: speech becomes text, greedily or with a language model."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sewcli.base import dist
from sewcli.base.errors import PartialError, UsageError
from sewcli.cli import options
from sewcli.cli.score import show_scores
from sewcli.decoding.best_path import BEST_PATHS, language_model
from sewcli.decoding.weights import DEFAULT, find_weights


class SearchName(StrEnum):
    """Which beam search."""

    SEW = "sew"
    EXHAUSTIVE = "exhaustive"
    WAV2LETTER = "wav2letter"


class Kept(StrEnum):
    """How emissions are kept."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def decode(
    context: typer.Context,
    model: options.Recogniser = None,
    data: options.Data = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Split to decode (may be repeated).", show_default="test-clean, or else every test*, or dev*"
        ),
    ] = None,
    lm: Annotated[
        str, typer.Option(help="none (greedy), viterbi (best path), a name in DATA/lm such as 4gram, or a file.")
    ] = "none",
    lexicon_free: Annotated[
        bool, typer.Option("--lexicon-free", help="Search for any letters, with a model of letters or none.")
    ] = False,
    beam: options.Beam = 50,
    search: Annotated[
        SearchName,
        typer.Option(help="exhaustive: all symbols, as flashlight; wav2letter: the papers' decoder exactly."),
    ] = SearchName.SEW,
    weights: options.SearchWeights = DEFAULT,
    words: options.Words = None,
    boost: options.Boost = None,
    nbest: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=100_000, help="Write the N best texts and their scores too.", show_default="no"
        ),
    ] = None,
    keep_emissions: Annotated[
        Kept | None, typer.Option(help="Keep the model's output, for sew tune and other searches.", show_default="no")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder a split.", show_default="decode/ beside the model")
    ] = None,
    jobs: options.Jobs = None,
    device: options.Device = "auto",
    runtime: options.Runtime = options.RuntimeName.AUTO,
    precision: options.ModelPrecision = options.PrecisionName.AUTO,
    shard: options.Shard = None,
    json: options.Json = False,
) -> None:
    """Write hypotheses of whole splits, and their word error rate where there are transcripts.

    Each split gets OUT/DATA-SPLIT-DECODER/ with hyps.jsonl, decode.json (settings, times, real-time
    factor) and score.json. Killed or stopped, the same command goes on: hypotheses are on disk every
    10 seconds. With --lm, flashlight's beam search over the lexicon runs in processes
    beside the model. It tries the 5 likeliest symbols of a frame (more where the model is unsure)
    and drops hypotheses that are 10 + 2.5 lm weights behind the best; --search exhaustive tries all
    symbols and drops what is 25 behind, which takes several times as long for the same word error rate.
    --search wav2letter is what the papers decoded with: also all symbols and 25, but the silence
    between words is the blank, and a last word that the model did not end with a boundary is
    lost; its word error rates are a little higher than those of the other two.
    --words FILE gives the search words that the language model does not know, without a new model: a
    word a line, perhaps with its probability (else that of the model's median word) and its spelling
    behind tabs. --boost FILE makes phrases likelier: a line `PHRASE<TAB>WEIGHT` multiplies the
    probability of each of its words by 10^WEIGHT (by 10 where none is given), only where all of them are
    said. Other files are other folders of results.
    --nbest 100 adds nbest.jsonl, up to 100 texts an utterance with the parts of their scores, for
    rescoring (a wider --beam finds more of them). Audio that cannot be read is listed in
    failed.jsonl; the rest is done all the same, and the exit code is then 4. Shards may run side by
    side on any machines; under torchrun each process takes one by itself.

        sew decode
        sew decode --lm 4gram --beam 50 --split dev-clean --split test-clean
        sew decode --model exp/sew-d-mid-ft/model --lm 4gram.bin --weights w2v2-100h-4gram --beam 500
        sew decode --lm 4gram --beam 500 --nbest 100 --keep-emissions float32
        sew decode --lm 6gram-letter --lexicon-free
        sew decode --lm 4gram --beam 50 --search wav2letter       # as the papers' + LM columns
        sew decode --lm 4gram --words names.txt --boost phrases.txt
        sew decode --runtime openvino                             # see docs/runtimes.md
        sew decode --model exp/sew-d-mid-ft --shard 1/8           # of eight jobs
        torchrun --nproc-per-node 8 -m sewcli.cli.app decode --lm 4gram
    """
    mine = options.shard_of(shard)
    if nbest and lm in BEST_PATHS and not lexicon_free:
        raise UsageError(
            "options-conflict", f"--lm {lm} finds one text only, not {nbest}", hint="sew decode --lm 4gram --nbest 100"
        )
    if search is SearchName.EXHAUSTIVE and lm in BEST_PATHS and not lexicon_free:
        raise UsageError(
            "options-conflict",
            f"--lm {lm} has no beam to search in",
            hint="leave out --search, or: sew decode --lm 4gram",
        )
    papers = search is SearchName.WAV2LETTER
    if papers and (lm in BEST_PATHS or lexicon_free):
        raise UsageError(
            "options-conflict",
            "--search wav2letter is a beam search over a lexicon, with a model of words",
            hint="sew decode --lm 4gram --search wav2letter, without --lexicon-free",
        )
    if lm in BEST_PATHS:
        options.warn_without_effect(context, "without a language model", "weights")
    if lm in BEST_PATHS and not lexicon_free:
        options.warn_without_effect(context, f"with --lm {lm}, which has no beam", "beam")
    tuned = find_weights(weights)
    chosen = options.recogniser(model)
    corpus = data or options.DATA

    from sewcli.artifacts.decode_folder import FAILED, has_references
    from sewcli.base.device import choose_device
    from sewcli.decoding.beam import EXHAUSTIVE, WAV2LETTER, BeamOptions
    from sewcli.decoding.pipeline import decode
    from sewcli.lm.bias import Bias
    from sewcli.scoring.score import score_folder

    done = decode(
        chosen,
        corpus,
        options.splits_of(corpus, split),
        out=out or options.folder_of(chosen) / "decode",
        device=partial(choose_device, device),
        lm=language_model(lm),
        options=BeamOptions(
            beam=beam,
            lm_weight=tuned.lm_weight,
            word_score=0.0 if lexicon_free else tuned.word_score,  # letters are no words
            nbest=nbest,
            lexicon_free=lexicon_free,
            **(WAV2LETTER if papers else EXHAUSTIVE if search is SearchName.EXHAUSTIVE else {}),
        ),
        bias=Bias(words, boost),
        runtime=options.runtime_options(chosen, runtime, precision, device),
        jobs=jobs,
        shard=mine,
        keep=keep_emissions.value if keep_emissions else None,
    )
    whole = [d for d in done if not d.part and (d.new or dist.is_main())]  # another rank shows what it has joined
    if whole:
        show_scores([score_folder(d.folder) for d in whole if has_references(d.folder)], as_json=json)
    # torchrun would stop the other ranks: there, who joins the shards tells
    if failed := [d for d in (done if shard else whole) if d.failed]:
        raise PartialError(
            "utterances-failed",
            f"{sum(d.failed for d in failed)} utterances have no hypothesis; all others are done",
            where=", ".join(str(d.folder / FAILED) for d in failed),
            hint="correct the audio named there and prepare the corpus again, or go on without it",
        )
