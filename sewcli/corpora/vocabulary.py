"""The report of a prepared corpus for a reader: what its texts are made of, what was changed, left out and set aside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sewcli.artifacts.data_folder import SplitEntry, Splits, text_name
from sewcli.base.files import write_text

REPORT = "vocabulary.md"
RAREST = 12  # words shown: those that occur once are where typing errors are


def write_report(out: Path, summaries: Splits) -> None:
    """Write `vocabulary.md` from the summaries in `prep.json` and the texts beside it.

    Raises:
        UsageError: the folder cannot be written, or the disk is full.
    """
    texts = {name: out / text_name(name) for name in sorted(summaries)}
    sections = [_section(name, summaries[name], text) for name, text in texts.items() if text.is_file()]
    report = "# What the texts hold\n\n" + "\n".join(sections)
    if not (out / REPORT).is_file() or (out / REPORT).read_text(encoding="utf-8") != report:
        write_text(out / REPORT, report)


def _section(name: str, summary: SplitEntry, text: Path) -> str:
    words, letters = Counter[str](), Counter[str]()
    with open(text, encoding="utf-8") as lines:
        for line in lines:
            words.update(line.split())
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    once = sorted(word for word, count in words.items() if count == 1)
    shown = [
        f"## {name}\n",
        f"{summary['utterances']:,} utterances, {summary['hours']:.2f} hours, {summary['speakers']:,} speakers, "
        f"{summary['words']:,} words, {len(words):,} different ones, {len(once):,} of them once"
        + (f" ({', '.join(once[:RAREST])}{', ...' if len(once) > RAREST else ''})" if once else "")
        + ".\n",
        _counts("symbol", "times", dict(sorted(letters.items()))),
        _counts("changed by the rule", "texts", summary.get("changes", {})),
        _counts("left out by the corpus's own rules", "segments", summary.get("left_out", {})),
        _counts("set aside as faulty (rejected.jsonl)", "utterances", summary.get("reasons", {})),
    ]
    return "\n".join(filter(None, shown))


def _counts(title: str, unit: str, counts: dict[str, int]) -> str:
    if not counts:
        return ""
    rows = "".join(f"| {name} | {count:,} |\n" for name, count in counts.items())
    return f"| {title} | {unit} |\n|---|---:|\n{rows}"
