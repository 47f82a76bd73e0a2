"""`sew prep table`, `sew prep kaldi` and so on: from one's own recordings and transcripts to cuts that other commands read."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sewcli.base.errors import UsageError
from sewcli.base.log import info
from sewcli.cli import options
from sewcli.cli.prep_work import Force, Jobs, Root, Shard, report

Out = Annotated[Path | None, typer.Option(help="Where to write.", show_default="data/NAME, by the input's name")]
Audio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Paths are relative to this folder.", show_default="the folder of the input"),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="WHAT=NAME",
        help="Which column holds path, text, speaker, start, end, duration, channel, split, language or id (may be "
        "repeated); by numbers where the first line is no head.",
        show_default="known by their names",
    ),
]
Language = Annotated[
    str | None, typer.Option(help="What is spoken, where the data do not say.", show_default="not written")
]
HoldOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SPLIT=AMOUNT",
        help="Move speakers to a split of their own: drawn (dev=10%, test=2h@7, the seed after @) or by name "
        "(dev=anna,ben); none: train alone (may be repeated).",
        show_default="where the data name no dev or test: dev=10%, test=10%",
    ),
]
Pipes = Annotated[
    bool, typer.Option("--allow-pipes", help="Run the commands that stand in place of sound files: they are code.")
]


Rules = Annotated[
    str,
    typer.Option(
        "--text-rules",
        metavar="PRESET",
        help="What becomes of the texts: letters (no punctuation, one case, digits in words), keep-case, keep-punctuation, "
        "as-is, or phones (symbols between blanks); letters+keep keeps digits, letters+aside sets their utterances aside.",
    ),
]
Symbols = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        help="The symbols to write: vocab.json, or a text file with one a line, digraphs too. Texts with others are set aside.",
        show_default="those of the training texts; in English, A to Z and '",
    ),
]


@dataclass(frozen=True)
class Reader:
    """A form of input: what is given, and which options of its own it has."""

    title: str
    metavar: str
    given: str
    options: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    many: bool = True


READERS = {
    "table": Reader(
        "A table of recordings: CSV, TSV or JSON lines, as Excel or a program writes it.",
        "TABLE...",
        "One table, or one a split (train.tsv dev.tsv test.tsv).",
        ("audio", "column"),
        (
            "recordings.tsv --audio clips/ --out data/ka",
            "calls.csv --column path=Datei --column text=Wortlaut --column speaker=Wer",
            "LJSpeech/metadata.csv --audio LJSpeech/wavs --column path=1 --column text=3",
        ),
    ),
    "kaldi": Reader(
        "Kaldi data folders: wav.scp and text, with segments, utt2spk, utt2lang.",
        "DIR...",
        "Data folders, or a folder of them (data/ with train/, dev/, test/).",
        ("audio", "allow_pipes"),
        ("data/train data/dev --out data/ka", "data --audio /home/egs/ka/s5"),
    ),
    "commonvoice": Reader(
        "A release of Common Voice: train.tsv, dev.tsv, test.tsv, validated.tsv and clips/.",
        "DIR|TSV...",
        "The folder of one language, or tables in it (validated.tsv dev.tsv test.tsv).",
        ("audio",),
        ("cv-corpus-22.0/ka --out data/ka", "ka/validated.tsv ka/dev.tsv ka/test.tsv"),
    ),
    "nemo": Reader(
        "NeMo manifests: audio_filepath, text, offset and duration.",
        "MANIFEST...",
        "One manifest, or one a split.",
        ("audio",),
        ("train_manifest.json dev_manifest.json --out data/ka",),
    ),
    "hf": Reader(
        "Data sets of Hugging Face on disk: save_to_disk's folder, or Parquet files.",
        "DIR|PARQUET...",
        "A folder, or Parquet files. Needs the extra `parquet`.",
        ("audio", "column"),
        ("fleurs-ka/ --out data/ka --column text=raw_transcription",),
    ),
    "pairs": Reader(
        "Folders of x.wav with x.txt, x.lab or x.TextGrid.",
        "DIR...",
        "Folders; those below named train, dev, test are splits, others speakers.",
        (),
        ("recordings/ --out data/ka --language ka",),
    ),
    "subtitles": Reader(
        "Recordings with subtitles, SRT or WebVTT: an utterance a cue.",
        "DIR|FILE...",
        "A folder of recordings with subtitles of the same name, or subtitle files.",
        ("audio",),
        ("talks/ --out data/ka", "lesson.vtt --audio sound/"),
    ),
    "cuts": Reader(
        "lhotse manifests: cuts, or recordings and supervisions, of any rate.",
        "FILE|DIR...",
        "Manifests (.jsonl, .jsonl.gz), or a folder of them.",
        ("audio", "allow_pipes"),
        ("data/manifests --out data/ka", "recordings_train.jsonl.gz supervisions_train.jsonl.gz"),
    ),
}
_OWN: dict[str, tuple[Any, Any]] = {
    "audio": (Audio, None),
    "column": (Columns, None),
    "allow_pipes": (Pipes, False),
}
_SHARED: dict[str, tuple[Any, Any]] = {
    "language": (Language, None),
    "text_rules": (Rules, "letters"),
    "vocabulary": (Symbols, None),
    "hold_out": (HoldOut, None),
    "shard": (Shard, None),
    "root": (Root, None),
    "jobs": (Jobs, None),
    "force": (Force, False),
    "json": (options.Json, False),
}


def prep_own(
    name: str,
    inputs: list[Path],
    *,
    out: Path | None = None,
    audio: Path | None = None,
    column: list[str] | None = None,
    allow_pipes: bool = False,
    language: str | None = None,
    text_rules: str = "letters",
    vocabulary: Path | None = None,
    hold_out: list[str] | None = None,
    shard: str | None = None,
    root: Path | None = None,
    jobs: int | None = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Prepare one's own data with the reader `name`; for the rest see `sew prep NAME --help`."""
    from sewcli.corpora import preparation
    from sewcli.corpora.own.alphabet import chosen_symbols, tell_changes, write_alphabet
    from sewcli.corpora.own.prepare import find_splits
    from sewcli.corpora.own.settings import Settings
    from sewcli.corpora.own.splits import parse_hold_out
    from sewcli.corpora.recipes import prepare_splits
    from sewcli.text.presets import PHONES

    for path in inputs:
        if not path.exists():
            raise UsageError("no-such-file", "no such file or folder", where=path)
    wishes = None if hold_out is None else [] if hold_out == ["none"] else parse_hold_out(hold_out)
    mine = options.shard(shard) if shard else None
    out = out or options.DATA.with_name(_name(inputs[0]))
    reader = import_module(f"sewcli.corpora.own.{name}")
    settings = Settings(audio, _columns(column or []), allow_pipes)
    symbols = chosen_symbols(vocabulary, text_rules, language)
    splits = find_splits(
        reader.read(inputs, settings),
        inputs,
        wishes=wishes,
        language=language,
        rules=text_rules,
        vocabulary=symbols,
    )
    if mine:
        done = preparation.prepare_shard(out, splits, mine, jobs=jobs or os.cpu_count() or 1)
        info(f"shard {shard}: {sum(done.values()):,} sound files done; run the plain command when all shards are")
        return
    if not language and not any(
        candidate.language for split in splits for candidate in split.read(split.folder).candidates
    ):
        info("the language is not known: --language NAME writes it into the cuts")
    summaries = prepare_splits(name, splits, out, jobs=jobs, force=force, root=root)
    tell_changes(summaries)
    write_alphabet(out, splits, symbols, phones=text_rules.startswith(PHONES))
    report(summaries, out, as_json=json)


def commands() -> Mapping[str, tuple[Callable[..., None], str]]:
    """The command of each reader, with its help."""
    return {name: (_command(name, reader), _help(name, reader)) for name, reader in READERS.items()}


def _command(name: str, reader: Reader) -> Callable[..., None]:
    """A function with the options that this reader has, and no others."""

    def run(**values: Any) -> None:
        prep_own(name, values.pop("inputs"), **values)

    given = Annotated[list[Path], typer.Argument(metavar=reader.metavar, help=reader.given)]
    wanted = {"out": (Out, None), **{option: _OWN[option] for option in reader.options}, **_SHARED}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("inputs", keyword, annotation=given)]
    parameters += [inspect.Parameter(n, keyword, annotation=a, default=d) for n, (a, d) in wanted.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _help(name: str, reader: Reader) -> str:
    examples = "\n".join(f"        sew prep {name} {example}" for example in reader.examples)
    return f"""{reader.title}

    Sound may be of any format, rate and number of channels: what is not a mono
    WAV or FLAC file at 16 kHz is converted once, into OUT/audio. Each utterance
    that cannot be used is listed in OUT/rejected.jsonl with the reason (the
    exit code is then 4). What the rules change in texts is counted and shown. The
    symbols of the training texts become OUT/vocab.json, which finetune, check, lm
    and decode read.
    Splits are the data's own, or drawn by speaker. Run it again at any time:
    what is done and has not changed is passed over.

{examples}
    """


def _columns(settings: list[str]) -> dict[str, str]:
    """`["text=sentence"]` -> `{"text": "sentence"}`."""
    found = {}
    for setting in settings:
        what, equals, name = setting.partition("=")
        if not equals or not what or not name:
            raise UsageError(
                "invalid-column",
                f"--column {setting!r} is not of the form WHAT=NAME",
                hint="for example --column text=sentence",
            )
        found[what] = name
    return found


def _name(given: Path) -> str:
    """The name of an input: of `data/train` and `ka/train.tsv`, that of the folder above."""
    from sewcli.corpora.own.splits import split_of_name

    path = given.absolute()
    name = path.name if path.is_dir() else path.name.partition(".")[0]
    return path.parent.name if split_of_name(name) else name
