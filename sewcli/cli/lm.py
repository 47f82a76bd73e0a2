"""`sew lm`: language models."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.cli import options

app = typer.Typer(help="Language models for `sew decode --lm`.", no_args_is_help=True)


@app.callback()
def _lm() -> None:
    """Language models for `sew decode --lm`.

    `sew lm ngram --order 4` makes the model that `sew decode --lm 4gram` finds. Models from elsewhere
    (LibriSpeech's 4-gram.arpa.gz, a KenLM binary) are given to `sew decode --lm PATH` as they are,
    with a lexicon.txt beside them.
    """


@app.command("ngram")
def ngram(
    texts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Text files, a sentence a line, .gz too.",
            show_default="the training transcripts, DATA/text_train*.txt",
        ),
    ] = None,
    order: Annotated[int, typer.Option(min=2, max=6, help="Words in the longest n-gram.")] = 4,
    data: options.Data = None,
    out: Annotated[
        Path | None, typer.Option(help="The .arpa or .arpa.gz to write.", show_default="DATA/lm/<ORDER>gram.arpa")
    ] = None,
    json: options.Json = False,
) -> None:
    """Estimate a modified Kneser-Ney n-gram model; write it as ARPA, with the lexicon of its words.

    The probabilities are KenLM's (`lmplz`) to the last digit, without a compiler. Where KenLM's
    `build_binary` is on PATH, the binary that loads in milliseconds is written as well. The perplexity
    and the unknown words of DATA/text_dev*.txt are shown. About 3 s and 0.5 GB a million words.

        sew lm ngram --order 4
        sew lm ngram --order 3 --data data/mini
        sew lm ngram --order 4 books.txt.gz transcripts.txt --out data/librispeech/lm/books.arpa.gz
    """
    from sewcli.lm.build import build_ngram

    summary = build_ngram(texts or [], order, data or options.DATA, out)
    if json:
        print(json_module.dumps(summary, ensure_ascii=False))
    else:
        _show(summary)


def _show(summary: dict[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {k}-grams" for k, count in enumerate(summary["ngrams"], start=1))
    print(f"{summary['binary'] or summary['model']}: {counts}")
    print(f"{summary['lexicon']}: {summary['lexicon_words']:,} words")
    for fit in summary["dev"]:
        unknown = f"{fit['unknown']:,} unknown ({100 * fit['unknown'] / fit['words']:.1f} %)"
        print(
            f"{fit['text']}: {fit['words']:,} words with the ends of sentences, {unknown}, "
            f"perplexity {fit['perplexity']:.1f} ({fit['perplexity_of_known']:.1f} without the unknown)"
        )
