"""`sew lm`: language models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError
from sewcli.cli import options, show
from sewcli.cli.command import Group, Verb


class Unit(StrEnum):
    """What an n-gram is of."""

    WORD = "word"
    LETTER = "letter"


Vocab = Annotated[
    Path | None,
    typer.Option(
        "--vocab",
        metavar="FILE|MODEL",
        help="The recogniser's symbols: vocab.json, a file with a symbol a line, a model or an experiment.",
        show_default="DATA/vocab.json, else the 28 English letters",
    ),
]

app = typer.Typer(cls=Group, help="Language models for `sew decode --lm`.", no_args_is_help=True)


@app.callback()
def _lm() -> None:
    """Language models for `sew decode --lm`.

    `sew lm ngram --order 4` makes the model that `sew decode --lm 4gram` finds; `sew lm official` brings
    the published ones of LibriSpeech and VoxPopuli there. Any other ARPA file or KenLM binary is given
    to `sew decode --lm PATH` as it is, with a lexicon.txt beside it.
    """


@app.command("ngram", cls=Verb)
def ngram(
    texts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Text files, a sentence a line, .gz too, in place of the transcripts.",
            show_default="the training transcripts, DATA/text_train*.txt, and DATA/lm/text.txt.gz",
        ),
    ] = None,
    order: Annotated[int, typer.Option(min=2, max=6, help="Words in the longest n-gram.")] = 4,
    unit: Annotated[Unit, typer.Option(help="letter: for sew decode --lexicon-free.")] = Unit.WORD,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="A file of the only words to know.", show_default="DATA/lm/vocabulary.txt, where it is"),
    ] = None,
    prune: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            help="Leave out n-grams that occur so often or less, by order; the last is for all higher ones.",
        ),
    ] = "0",
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="GB for the counts; more go to files beside the model.",
            show_default="half of the machine's",
        ),
    ] = None,
    vocab: Vocab = None,
    data: options.Data = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The .arpa or .arpa.gz to write.", show_default="DATA/lm/<ORDER>gram.arpa, or <ORDER>gram-letter.arpa"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Estimate a modified Kneser-Ney n-gram model; write it as ARPA, with the lexicon of its words.

    The probabilities are KenLM's (`lmplz`) to the last digit, without a compiler. Where KenLM's
    `build_binary` is on PATH, the binary that loads in milliseconds is written as well. The perplexity
    and the unknown words of DATA/text_dev*.txt are shown. A text that needs more than --memory is
    sorted in files and merged; the model is the same to the last bit. --prune 0,0,1 leaves out
    trigrams and higher ones that occur once, as lmplz --prune 0 0 1 does.

    The text takes the form of the recogniser's texts: its case, NFC, plain blanks. The symbols come from
    --vocab, else from the prepared corpus, so any alphabet will do. Words that they cannot spell are
    listed, and more than a few are an error. Scripts without blanks between words and phones need
    --unit letter. TEXT beside one's own data takes the rules of its transcripts (--text-rules of `sew prep`).

        sew lm ngram --order 4
        sew lm ngram --data data/mine data/mine/text_train.txt books.txt
        sew lm ngram --order 4 --prune 0,0,1 --memory 8 librispeech-lm-norm.txt.gz
        sew lm ngram --order 3 --data data/mini
        sew lm ngram --order 6 --unit letter      # DATA/lm/6gram-letter.arpa
        sew lm ngram --order 4 --vocab exp/french --data data/french books.txt
        sew lm ngram --order 4 books.txt.gz transcripts.txt --out data/librispeech/lm/books.arpa.gz
    """
    from sewcli.base.lock import writing
    from sewcli.lm.build import build_ngram

    budget = None if memory is None else int(memory * 1e9)
    letter = "-letter" if unit == Unit.LETTER else ""
    with writing(out or (data or options.DATA) / "lm" / f"{order}gram{letter}"):
        summary = build_ngram(
            texts or [],
            order,
            data or options.DATA,
            out,
            vocabulary,
            prune=_thresholds(prune),
            memory=budget,
            letters=unit == Unit.LETTER,
            symbols=vocab,
        )
    if json:
        show.objects(summary)
    else:
        _show(summary)


@app.command("score", cls=Verb)
def score(
    model: Annotated[
        str,
        typer.Argument(metavar="LM", help="A name in DATA/lm, a .bin, .arpa or .arpa.gz, or a neural model's folder."),
    ],
    texts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Text files, a sentence a line, .gz too.",
            show_default="every split's transcripts, DATA/text_*.txt",
        ),
    ] = None,
    data: options.Data = None,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Tell how well a language model predicts texts: perplexity, and unknown words (OOV), text by text.

    Of n-gram models the figures are those of KenLM's `query`: ends of sentences count as words, and
    the perplexity is given with unknown words (at the price of <unk>) and without. Of neural models
    (needs the extra `hub`) it is given per word, which compares with those, and per token.

        sew lm score 4gram
        sew lm score books.arpa.gz data/librispeech/text_dev-clean.txt
        sew lm score exp/lm --json
    """
    corpus = data or options.DATA
    chosen = texts or sorted(path for path in corpus.glob("text_*.txt") if path.stat().st_size)
    if not chosen:
        raise UsageError("no-text", "no transcripts here", where=corpus, hint="first run: sew prep, or name text files")

    from sewcli.lm.files import locate_model
    from sewcli.lm.neural import NeuralLanguageModel, is_neural
    from sewcli.lm.perplexity import neural_fit, ngram_fit

    if is_neural(model):
        from sewcli.base.device import choose_device

        neural = NeuralLanguageModel(model, choose_device(device))
        fits = (neural_fit(neural, text) for text in chosen)
    else:
        file = locate_model(model, corpus)
        fits = (ngram_fit(file, text) for text in chosen)
    for fit in fits:
        if json:
            show.objects(fit)
        else:
            show.line(_told(fit, "words"))


@app.command("train", cls=Verb)
def train(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Text files, a sentence a line, .gz too.",
            show_default="the training transcripts, DATA/text_train*.txt, and DATA/lm/text.txt.gz",
        ),
    ] = None,
    data: options.Data = None,
    exp: Annotated[Path, typer.Option(help="Experiment folder; its model/ is the result.")] = Path("exp/lm"),
    tokens: Annotated[
        str | None, typer.Option(help="bpe or unigram (pieces of words), or word.", show_default="bpe")
    ] = None,
    vocabulary: Annotated[int | None, typer.Option(min=8, help="Tokens at most.", show_default="2000")] = None,
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="FILE", help="A YAML file of what differs.")
    ] = None,
    updates: Annotated[int | None, typer.Option(min=1, help="Updates in all.", show_default="10000")] = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    sets: options.Sets = None,
    print_config: options.PrintConfig = False,
) -> None:
    """Train a small Transformer language model, for `sew rescore`; the best by DATA/text_dev*.txt is kept.

    The result, EXP/model, is a Hugging Face folder (GPT-2) with its tokenizer. Perplexities are a
    word, so they compare with those of `sew lm ngram` on the same text. Kill it at any time and run
    the same command again: it goes on, to the same weights. Needs the extra `hub`.

        sew lm train
        sew lm train --tokens word --vocabulary 20000 books.txt.gz --exp exp/lm-word
        sew lm train --set transformer.layers=8 --set transformer.width=512 --set batch.tokens=65536
        sew rescore exp/sew-tiny-ft/decode/librispeech-dev-clean-4gram-beam500-nbest100 --lm exp/lm --tune
    """
    from sewcli.training.config import LanguageModelConfig
    from sewcli.training.recipes import compose

    given = options.given
    where = given(dir=str(data) if data else None, train=texts or None)
    flags = given(updates=updates, seed=seed, precision=precision, data=where or None)
    flags |= given(tokenizer=given(kind=tokens, size=vocabulary) or None)
    resolved = compose(LanguageModelConfig, "lm", config, flags, sets or [])
    if print_config:
        from sewcli.base.config import dump_yaml

        show.text(dump_yaml(resolved))
        return

    from sewcli.training.language_model import run

    run(resolved, exp, device)


@app.command("official", cls=Verb)
def official(
    source: Annotated[
        Path | None, typer.Argument(metavar="[DIR_OR_FILE]", help="Where the published files are.", show_default=False)
    ] = None,
    download: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="First download 4gram, 3gram, 3gram-1e-7 or 3gram-3e-7 (LibriSpeech), voxpopuli-5gram or "
            "voxpopuli-3gram to DIR.",
            show_default=False,
        ),
    ] = None,
    data: options.Data = None,
    vocab: Vocab = None,
    name: Annotated[
        str | None, typer.Option(help="The name for `sew decode --lm`.", show_default="4gram for 4-gram.arpa.gz, ...")
    ] = None,
    json: options.Json = False,
) -> None:
    """Bring published language models to where `sew decode --lm NAME` finds them.

    Known by their file names: LibriSpeech's 4-gram.arpa.gz, 3-gram.arpa.gz
    and its pruned ones (openslr.org/11), VoxPopuli's en_5gram_lm.bin and
    en_3gram_lm.bin. Each is held against its published size, read to its end
    and linked to DATA/lm/. Its words (librispeech-vocab.txt,
    librispeech-lexicon.txt or en_lm.lexicon beside it) become
    NAME.lexicon.txt, spelled in letters. LibriSpeech's 4-gram is 1.4 GB and as
    text takes minutes to load; where KenLM's build_binary is on PATH it is
    made a binary, which loads in a second. A download that breaks off goes on
    when the same command is run again.

        sew lm official /corpora/librispeech-lm
        sew lm official --download 4gram
        sew lm official --download voxpopuli-5gram --data data/voxpopuli
        sew decode --lm 4gram
    """
    from sewcli.lm import official as published

    if download is not None:
        folder = source or published.default_folder()
        if folder.is_file():
            raise UsageError(
                "option-missing", "--download needs a folder to write to", where=folder, hint="give a folder, or no DIR"
            )
        source = published.download_model(download, folder)
    if source is None:
        raise UsageError(
            "option-missing", "no files given", hint="sew lm official DIR_OR_FILE, or sew lm official --download 4gram"
        )
    for summary in published.install(source, data or options.DATA, name, vocab):
        if json:
            show.objects(summary)
        else:
            show.line(f"{summary['binary'] or summary['model']}: {summary['source']}, {summary['bytes']:,} bytes")
            show.line(f"{summary['lexicon']}: {summary['lexicon_words']:,} words")


def _thresholds(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise UsageError(
            "invalid-thresholds", f"--prune {text!r} is not a list of numbers", hint="for example --prune 0,0,1"
        )
    return numbers


def _show(summary: dict[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {k}-grams" for k, count in enumerate(summary["ngrams"], start=1))
    show.line(f"{summary['binary'] or summary['model']}: {counts}")
    if summary["lexicon"]:
        show.line(f"{summary['lexicon']}: {summary['lexicon_words']:,} words")
    of = "words" if summary["lexicon"] else "letters"
    for fit in summary["dev"]:
        show.line(_told(fit, of))


def _told(fit: dict[str, Any], of: str) -> str:
    """A line on how well a text is predicted."""
    count = f"{fit['text']}: {fit['words']:,} {of} with the ends of sentences"
    if "token_perplexity" in fit:
        unknown = f"{fit['unknown']:,} unknown of {fit['tokens']:,} tokens"
        return f"{count}, {unknown}, perplexity {fit['perplexity']:.1f} ({fit['token_perplexity']:.1f} a token)"
    unknown = f"{fit['unknown']:,} unknown ({100 * fit['unknown'] / fit['words']:.1f} %)"
    known = f"{fit['perplexity_of_known']:.1f} without the unknown"
    return f"{count}, {unknown}, perplexity {fit['perplexity']:.1f} ({known})"
