"""`sew align`: when each word and letter of the transcripts is spoken."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sewcli.base.errors import DataError, PartialError
from sewcli.cli import options, show

if TYPE_CHECKING:
    from sewcli.alignment.split import AlignedSplit


class Form(StrEnum):
    """Forms of an alignment."""

    CTM = "ctm"
    TEXTGRID = "textgrid"


class Check(StrEnum):
    """What alignments are held against."""

    K2 = "k2"


def align(
    model: Annotated[
        Path, typer.Argument(help="A recogniser: its folder, its experiment, a fairseq file or a Hub id.")
    ],
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="What `sew prep` wrote.", show_default="data/librispeech")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split to align (may be repeated).", show_default="test-clean, or else every test*, or dev*"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Gets a folder a split.", show_default="align/ beside the model")
    ] = None,
    form: Annotated[
        list[Form] | None, typer.Option("--format", "-f", help="Files to write (may be repeated).", show_default="both")
    ] = None,
    check: Annotated[
        Check | None, typer.Option(help="k2: hold each alignment against k2's and our own search.", show_default="none")
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Write the times of every word and letter of the transcripts.

    Each split gets OUT/DATA-SPLIT/ with words.ctm, letters.ctm and
    textgrids/ID.TextGrid, from torchaudio's forced alignment. A CTM line is
    utterance, channel, start, duration, word, confidence, in seconds from
    the start of the utterance. A letter lasts as long as the model emits it,
    for CTC often less than it is heard; a word goes from the start of its
    first letter to the end of its last.

    Transcripts with more letters than the audio has frames for, or with
    letters that the model has not, are listed in failed.jsonl; the rest is
    done all the same, and the exit code is then 4.

    With --check k2 the best paths are searched again by k2 and by a search
    of our own. Scores must agree to 1e-4, and so must paths, unless two are
    equally good. Where they do not, check.jsonl says so, and the exit code
    is 3. k2 has a Python of its own: make setup-k2, or SEW_K2_PYTHON=PATH.

        sew align exp/sew-d-mid-ft data/librispeech --split dev-clean
        sew align exp/sew-d-mid-ft --format ctm --check k2
    """
    from contextlib import ExitStack

    from sewcli.alignment.corpus import align_corpus
    from sewcli.alignment.k2.worker import K2
    from sewcli.alignment.split import CHECKED, FAILED
    from sewcli.base.device import choose_device

    chosen = options.recogniser(model)
    corpus = data or options.DATA
    names = options.splits_of(corpus, split)
    with ExitStack() as stack:
        k2 = stack.enter_context(K2()) if check else None
        done = align_corpus(
            chosen,
            corpus,
            names,
            out=out or options.folder_of(chosen) / "align",
            forms=[f.value for f in form or list(Form)],
            device=lambda: choose_device(device),
            k2=k2,
        )
    _show(done, check, as_json=json)
    if differ := [d for d in done if d.differences]:
        raise DataError(
            "aligners-differ",
            f"{sum(len({row['id'] for row in d.differences}) for d in differ)} alignments on which the aligners differ",
            where=", ".join(str(d.folder / CHECKED) for d in differ),
            hint="do not trust the times of these utterances; one of the aligners is wrong: please report it",
        )
    if failed := [d for d in done if d.failed]:
        raise PartialError(
            "utterances-failed",
            f"{sum(len(d.failed) for d in failed)} utterances have no alignment; all others are done",
            where=", ".join(str(d.folder / FAILED) for d in failed),
            hint="correct the audio or the transcripts named there and prepare the corpus again, or go on without them",
        )


def _show(splits: Sequence[AlignedSplit], check: str | None, *, as_json: bool) -> None:
    if as_json:
        show.objects(*({"folder": str(done.folder), **done.counts()} for done in splits))
        return
    differs = [f"{check} differs"] if check else []
    rows = []
    for done in splits:
        counts = done.counts()
        differ = [f"{counts['differ']:,} of {done.checked:,}"] if check else []
        rows.append([str(done.folder), *(f"{counts[key]:,}" for key in ("utterances", "words", "failed")), *differ])
    show.table([*show.names("alignments"), *show.figures("utterances", "words", "failed", *differs)], rows)
