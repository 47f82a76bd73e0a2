"""Two systems on the same utterances: is one better, and where do they differ?

A paired bootstrap, NIST's matched-pairs test (MAPSSWE) on sclite's alignments, and transcripts side by side as in table 12 of
wav2vec 2.0's appendix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sewcli.base import log
from sewcli.base.errors import DataError
from sewcli.base.files import write_text
from sewcli.scoring.agreement import RATES, Compared
from sewcli.scoring.errors import side_by_side
from sewcli.scoring.network import Step, align_words
from sewcli.scoring.score import compared_rows, read_cuts, read_decoded, speakers_of
from sewcli.scoring.significance import compare, matched_pairs
from sewcli.scoring.wer import WordErrors, word_errors


def compare_folders(a: Path, b: Path, *, by_speaker: bool = False, data: Path | None = None) -> dict[str, Any]:
    """Compare two decode folders of one split; writes `against-<b>.txt` in `a`. Rates are fractions.

    Raises:
        UsageError: not decode folders, or speakers are asked for and not known.
        DataError: other utterances, or other references.
    """
    (decoded, rows_a), (decoded_b, rows_b) = read_decoded(a), read_decoded(b)
    _same_utterances(rows_a, rows_b, a, b)
    of_id = {row["id"]: row for row in rows_b}
    rows_b = [of_id[row["id"]] for row in rows_a]
    texts_a, texts_b = _in_one_case(compared_rows(rows_a, decoded), compared_rows(rows_b, decoded_b))
    names = [str(row["id"]) for row in rows_a]
    errors_a, errors_b = (word_errors(t.references, t.hypotheses, names) for t in (texts_a, texts_b))
    speakers = speakers_of(rows_a, read_cuts(decoded, data), required=True) if by_speaker else None
    words = [count.words for count in errors_a.utterances]
    bootstrap = compare(_errors(errors_a), _errors(errors_b), words, speakers)
    pairs = matched_pairs(_alignments(texts_a), _alignments(texts_b))
    report = a / f"against-{'-'.join([*b.parts[-3:-2], b.name]) if b.parent.name == 'decode' else b.name}.txt"
    lines = _differences(names, errors_a, errors_b, RATES[texts_a.unit])
    write_text(report, "".join(f"{line}\n" for line in lines))
    return {
        "a": str(a),
        "b": str(b),
        "unit": texts_a.unit,
        "wer_a": errors_a.wer,
        "wer_b": errors_b.wer,
        "utterances": len(rows_a),
        "over": "speakers" if by_speaker else "utterances",
        **asdict(bootstrap),
        "mapsswe": asdict(pairs),
        "transcripts": str(report),
    }


def _same_utterances(
    rows_a: Sequence[Mapping[str, Any]], rows_b: Sequence[Mapping[str, Any]], a: Path, b: Path
) -> None:
    references_a, references_b = ({row["id"]: row["reference"] for row in rows} for rows in (rows_a, rows_b))
    if only := references_a.keys() ^ references_b.keys():
        raise DataError(
            "systems-differ",
            f"{len(only)} utterances are in one of the two only, such as {min(only, key=str)}",
            where=f"{a} and {b}",
            hint="decode the same split with both; failed.jsonl tells what one could not decode",
        )
    for name, reference in references_a.items():
        if reference != references_b[name]:
            raise DataError(
                "systems-differ",
                f"two references of {name}",
                where=f"{a} and {b}",
                hint="decode both of the same corpus",
            )


def _errors(errors: WordErrors) -> list[int]:
    return [count.errors for count in errors.utterances]


def _in_one_case(a: Compared, b: Compared) -> tuple[Compared, Compared]:
    """Systems that write another case than each other are compared in lower case."""
    if a.references == b.references:
        return a, b
    log.info("the two systems write texts in different cases: they are compared in lower case")
    lowered = (
        replace(t, references=[x.lower() for x in t.references], hypotheses=[x.lower() for x in t.hypotheses])
        for t in (a, b)
    )
    return next(lowered), next(lowered)


def _alignments(texts: Compared) -> list[list[Step]]:
    pairs = zip(texts.references, texts.hypotheses, strict=True)
    return [align_words(r.split(), h.split()) for r, h in pairs]


def _differences(ids: Sequence[str], a: WordErrors, b: WordErrors, rate: str) -> Iterator[str]:
    """Utterances whose texts differ: first where A is worse, last where B is."""
    gaps = [x.errors - y.errors for x, y in zip(a.utterances, b.utterances, strict=True)]
    yield f"A {rate} {100 * a.wer:.2f} %, B {rate} {100 * b.wer:.2f} %"
    yield (
        f"A has fewer errors in {sum(gap < 0 for gap in gaps)} utterances, B in {sum(gap > 0 for gap in gaps)}, "
        f"as many both in {sum(gap == 0 for gap in gaps)}; those that differ, first where B is better:"
    )
    for n in sorted(range(len(ids)), key=lambda n: (-gaps[n], ids[n])):
        if a.alignments[n] != b.alignments[n]:
            yield from side_by_side(f"{ids[n]}  ({gaps[n]:+d})", [("A", a.alignments[n]), ("B", b.alignments[n])])
