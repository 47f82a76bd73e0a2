"""The alphabet of one's own data: `vocab.json` beside the cuts, made of the training transcripts, which other commands read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sewcli.artifacts.data_folder import Splits, known_rejected
from sewcli.base.log import info, warn
from sewcli.corpora.own.splits import TRAIN
from sewcli.corpora.utterances import Split
from sewcli.text.alphabet import alphabet
from sewcli.text.presets import ENGLISH, LETTERS, TextRules
from sewcli.text.tokenizer_files import SYMBOLS
from sewcli.text.tokens import Vocabulary

SHOWN = 12  # rare symbols, or symbols that train does not have, that are named


def chosen_symbols(file: Path | None, rules: str, language: str | None) -> Vocabulary | None:
    """The symbols that texts are to be written with: of a file, or of the published models where the texts are English letters.

    Raises:
        DataError: not a vocabulary.
    """
    if file:
        return Vocabulary.read(file)
    main = TextRules.parse(rules, language or "").code.split("_", maxsplit=1)[0]
    return Vocabulary.letters() if rules.startswith(LETTERS) and main == ENGLISH else None


def write_alphabet(out: Path, splits: Sequence[Split], given: Vocabulary | None, *, phones: bool) -> Vocabulary:
    """Write `vocab.json` and `tokenizer_config.json`, and say what is in them.

    Args:
        out: the prepared folder.
        splits: what was prepared.
        given: the symbols, where they were chosen; otherwise they are those of train, or of all splits where none is train.
        phones: whether the symbols of a text stand between blanks.

    Raises:
        DataError: no transcript. UsageError: the folder cannot be written.
    """
    rejected = {row["id"] for row in known_rejected(out)}
    train = [split for split in splits if split.name.startswith(TRAIN)] or list(splits)
    found = alphabet(_texts(train, rejected), phones=phones)
    vocabulary = given or found.vocabulary
    vocabulary.save(out)
    symbols = vocabulary.symbols
    shown = " ".join(symbols[:80]) + (" ..." if len(symbols) > 80 else "")
    info(
        f"{out / SYMBOLS}: {len(symbols):,} symbols ({'given' if given else 'by how often they stand in train'}): {shown}"
    )
    if found.rare:
        named = ", ".join(
            f"{symbol} ({found.counts[symbol]}, {name})" for symbol, name in list(found.rare.items())[:SHOWN]
        )
        more = f" and {len(found.rare) - SHOWN} more" if len(found.rare) > SHOWN else ""
        warn(
            f"rare symbols, with how often they stand in train and an utterance each: {named}{more}\n"
            "  hint: correct typing errors and prepare again; from so few examples no model learns a symbol"
        )
    _warn_of_new(splits, train, rejected, vocabulary)
    return vocabulary


def _warn_of_new(splits: Sequence[Split], train: Sequence[Split], rejected: set[str], vocabulary: Vocabulary) -> None:
    """Name what other splits hold and the vocabulary does not: their utterances can be scored, and never be all right."""
    for split in splits:
        if split in train:
            continue
        new: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for name, text in _texts([split], rejected):
            for symbol in vocabulary.outside(text):
                new[symbol] += 1
                examples.setdefault(symbol, name)
        if new:
            named = ", ".join(f"{symbol} ({count}, {examples[symbol]})" for symbol, count in new.most_common(SHOWN))
            warn(f"{split.name}: symbols that train does not have, in so many utterances: {named}")


def _texts(splits: Sequence[Split], rejected: set[str]) -> Iterator[tuple[str, str]]:
    for split in splits:
        for utterance in split.read(split.folder).candidates:
            if utterance.id not in rejected and utterance.text:
                yield utterance.id, utterance.text


def tell_changes(summaries: Splits) -> None:
    """Say how many texts the rules changed, and for which reasons most utterances were set aside."""
    changes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for summary in summaries.values():
        changes.update(summary.get("changes") or {})
        for reason, count in (summary.get("reasons") or {}).items():
            reasons[reason.split(": ")[0]] += count
    if changes:
        total = sum(summary["utterances"] for summary in summaries.values())
        info(
            f"texts changed, of {total:,}: "
            + ", ".join(f"{name} in {count:,}" for name, count in changes.most_common())
        )
    if reasons:
        info("set aside: " + ", ".join(f"{count:,} {name}" for name, count in reasons.most_common(SHOWN)))
    if reasons["digits"]:
        info(
            "digits are written in words where the language has them here (--language); --text-rules letters+keep leaves them"
        )
