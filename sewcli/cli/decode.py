"""`sew decode`: speech becomes text, greedily or with a language model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.errors import PartialError, UsageError
from sewcli.cli import options

PREFERRED = "test-clean"


def decode(
    model: Annotated[
        Path | None, typer.Option(help="Folder of a recogniser.", show_default="the newest below exp/")
    ] = None,
    data: options.Data = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Split to decode (may be repeated).", show_default="test-clean, or else every test*, or dev*"
        ),
    ] = None,
    lm: Annotated[str, typer.Option(help="none (greedy), a name in DATA/lm such as 4gram, or a model file.")] = "none",
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept at each frame.")] = 50,
    lm_weight: Annotated[float, typer.Option(help="Weight of the model's log10 probabilities.")] = 2.0,
    word_score: Annotated[float, typer.Option(help="Added for every word.")] = -1.0,
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder a split.", show_default="decode/ beside the model")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=0, help="Decoder processes; 0: none.", show_default="a few")
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Write hypotheses of whole splits, and their word error rate where there are transcripts.

    Each split gets OUT/SPLIT-DECODER/ with hyps.jsonl, decode.json (settings, times, real-time
    factor) and score.json. With --lm, flashlight's beam search over the lexicon runs in processes
    beside the model. Audio that cannot be read is listed in failed.jsonl; the rest is done all the
    same, and the exit code is then 4.

        sew decode
        sew decode --lm 4gram --beam 50 --split dev-clean --split test-clean
        sew decode --model exp/sew-d-mid-ft/model --lm 4gram.bin --lm-weight 1.74 --word-score 0.52 --beam 500
    """
    chosen = model or options.newest_model("ForCTC", mend="first run: sew finetune, or give --model")
    corpus = data or options.DATA

    from sewcli.decoding.beam import BeamOptions
    from sewcli.decoding.pipeline import FAILED, decode
    from sewcli.scoring.score import print_scores, score_folder
    from sewcli.training.experiment import choose_device

    done = decode(
        chosen,
        corpus,
        _splits(corpus, split),
        out=out or _folder_of(chosen) / "decode",
        device=partial(choose_device, device),
        lm=None if lm == "none" else lm,
        options=BeamOptions(beam=beam, lm_weight=lm_weight, word_score=word_score),
        jobs=jobs,
    )
    print_scores([score_folder(d.folder) for d in done if _has_references(d.folder)], as_json=json)
    if failed := [d for d in done if d.failed]:
        raise PartialError(
            f"{sum(d.failed for d in failed)} utterances have no hypothesis; all others are done",
            where=", ".join(str(d.folder / FAILED) for d in failed),
            mend="mend the audio named there and prepare the corpus again, or go on without it",
        )


def _splits(data: Path, wanted: Sequence[str] | None) -> list[str]:
    from sewcli.data.utterances import require_splits, splits

    if wanted or PREFERRED in (found := splits(data)):
        return list(dict.fromkeys(require_splits(data, wanted or [PREFERRED], default_prefix="test")))
    prefix = "test" if any(name.startswith("test") for name in found) else "dev"
    return require_splits(data, None, default_prefix=prefix)


def _folder_of(model: Path) -> Path:
    """`exp/NAME` of `exp/NAME/model`; a model from elsewhere gets an experiment folder of its own."""
    if model.name == "model":
        return model.parent
    if not model.name:
        raise UsageError("give the folder of the model by its name", where=model)
    return options.EXPERIMENTS / model.name


def _has_references(folder: Path) -> bool:
    from sewcli.base.files import read_jsonl
    from sewcli.decoding.pipeline import HYPOTHESES

    return any(row.get("reference") for row in read_jsonl(folder / HYPOTHESES))
