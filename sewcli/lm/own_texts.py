"""Texts for a language model beside one's own data take the rules that `sew prep` gave its transcripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sewcli.artifacts.data_folder import known_splits
from sewcli.base import log
from sewcli.text.presets import Text, TextRules


def rules_of(data: Path) -> TextRules | None:
    """The rules that `prep.json` names; None where the corpus has its own."""
    names = {entry.get("text_rules") for entry in known_splits(data).values()}
    name = names.pop() if len(names) == 1 else None
    return TextRules.named(name) if name else None


def ruled(text: Iterator[list[str]], rules: TextRules) -> Iterator[list[str]]:
    """Sentences as the transcripts are written; those that the rules cannot write are left out and counted at the end."""
    changed, left_out = 0, Counter[str]()
    for words in text:
        sentence = " ".join(words)
        written = rules(sentence)
        if isinstance(written, Text):
            changed += written.text != sentence
            yield written.text.split()
        else:
            left_out[written.reason.partition(":")[0]] += 1
    log.info(f"text rules of the data ({rules.name}): {changed:,} sentences changed, {left_out.total():,} left out")
    if left_out:
        log.info("left out: " + ", ".join(f"{times:,} {reason}" for reason, times in left_out.most_common()))
