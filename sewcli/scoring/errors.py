"""Where the errors are: the words most often wrong, errors by speaker and by length, and transcripts side by side.

The tables are those of wav2vec 2.0's appendix (11: the words most often wrong; 12: transcripts of several systems), for any
system and any pair of systems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sewcli.scoring.wer import Counts, Pair, sum_counts

LENGTHS = (5, 10, 20, 30, 50)  # reference words: 1-5, 6-10, ..., over 50
TOP = 20
_BLANK = "*"


def top_errors(alignments: Iterable[Sequence[Pair]], limit: int = TOP) -> dict[str, list[tuple[str, int]]]:
    """The most frequent substitutions (`REF -> HYP`), deletions and insertions with their counts, then by the alphabet."""
    found: dict[str, Counter[str]] = {"substitutions": Counter(), "deletions": Counter(), "insertions": Counter()}
    for pairs in alignments:
        for reference, hypothesis in pairs:
            if hypothesis is None:
                found["deletions"][str(reference)] += 1
            elif reference is None:
                found["insertions"][hypothesis] += 1
            elif reference != hypothesis:
                found["substitutions"][f"{reference} -> {hypothesis}"] += 1
    return {
        kind: sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit] for kind, counts in found.items()
    }


def by_group(groups: Sequence[str], counts: Sequence[Counts]) -> dict[str, tuple[int, Counts]]:
    """Utterances and errors of each group (a speaker), the worst first."""
    members: dict[str, list[Counts]] = {}
    for group, count in zip(groups, counts, strict=True):
        members.setdefault(group, []).append(count)
    rows = {group: (len(of_it), sum_counts(of_it)) for group, of_it in members.items()}
    return dict(sorted(rows.items(), key=lambda row: (-row[1][1].wer, row[0])))


def by_length(counts: Sequence[Counts]) -> dict[str, tuple[int, Counts]]:
    """Utterances and errors by the number of reference words, from short to long; empty ranges are left out."""
    bounds = list(zip((0, *LENGTHS), (*LENGTHS, None), strict=True))
    ranges: dict[str, tuple[int, Counts]] = {}
    for low, high in bounds:
        members = [c for c in counts if max(c.words, 1) > low and (high is None or c.words <= high)]
        if members:
            ranges[f"{low + 1}-{high}" if high else f"over {low}"] = (len(members), sum_counts(members))
    return ranges


def side_by_side(name: str, texts: Sequence[tuple[str, Sequence[Pair]]]) -> Iterator[str]:
    """Lines of one utterance: the reference, then each system (its title and alignment), words that differ below each other.

    >>> print("\\n".join(side_by_side("u1", [("HYP", [("A", "A"), ("BE", None), (None, "SEE")])])))
    u1
      REF  A BE ***
      HYP  A ** SEE
    """
    columns = _columns([pairs for _, pairs in texts])
    titles = ["REF", *(title for title, _ in texts)]
    widths = [max(len(word or "") for word in column) for column in columns]
    yield name
    for row, title in enumerate(titles):
        cells = [(col[row] or _BLANK * width).ljust(width) for col, width in zip(columns, widths, strict=True)]
        yield f"  {title:<{max(map(len, titles))}}  {' '.join(cells)}".rstrip()


def table(head: str, rows: dict[str, tuple[int, Counts]], rate: str = "WER") -> Iterator[str]:
    """Lines of a breakdown; `rate` is the name of its error rate, WER or PER."""
    width = max(len(head), *(len(name) for name in rows))
    units = "phones" if rate == "PER" else "words"
    yield f"{head:<{width}}       {rate}   errors   {units:>6}  utterances"
    for name, (utterances, count) in rows.items():
        yield f"{name:<{width}}  {100 * count.wer:6.2f} %  {count.errors:7,}  {count.words:7,}  {utterances:10,}"


def _columns(alignments: Sequence[Sequence[Pair]]) -> list[list[str | None]]:
    """Reference word and each system's word in a column; insertions of systems before the same word share columns."""
    split = [_by_word(pairs) for pairs in alignments]
    columns: list[list[str | None]] = []
    for parts in zip(*split, strict=True):
        most = max(len(inserted) for inserted, _ in parts)
        for number in range(most):
            columns.append([None, *(ins[number] if number < len(ins) else None for ins, _ in parts)])
        reference = next((pair[0] for _, pair in parts if pair), None)
        if reference is not None:
            columns.append([reference, *(pair[1] if pair else None for _, pair in parts)])
    return columns


def _by_word(pairs: Sequence[Pair]) -> list[tuple[list[str], Pair | None]]:
    """For each reference word, what was inserted before it and its pair; at the end what was inserted last."""
    out: list[tuple[list[str], Pair | None]] = []
    inserted: list[str] = []
    for pair in pairs:
        if pair[0] is None:
            inserted.append(str(pair[1]))
        else:
            out.append((inserted, pair))
            inserted = []
    return [*out, (inserted, None)]
