"""`sew score`: a decode folder's hypotheses against its references.

Reads `hyps.jsonl` and `decode.json`; writes `score.json` (the rates and counts) and `utterances.jsonl` (worst first).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, write_json, write_jsonl
from sewcli.scoring.wer import Counts, word_errors

HYPOTHESES, DECODED, SCORE, UTTERANCES = "hyps.jsonl", "decode.json", "score.json", "utterances.jsonl"


def score_folder(folder: Path) -> dict[str, Any]:
    """Score one decode folder; writes and returns what `score.json` holds. Rates are fractions.

    Raises:
        UsageError: not a decode folder.
        DataError: a broken file, or no references.
    """
    if not (folder / HYPOTHESES).is_file():
        raise UsageError(f"no {HYPOTHESES} here", where=folder, mend="first run: sew decode")
    decoded = read_json(folder / DECODED)
    rows = [row for row in read_jsonl(folder / HYPOTHESES) if _is_scorable(row, folder)]
    if not rows:
        raise DataError("no hypothesis here has a reference to compare with", where=folder / HYPOTHESES)
    errors = word_errors([row["reference"] for row in rows], [row["text"] for row in rows])
    failed = int(decoded.get("failed", 0))
    if failed:
        log.warn(f"{folder}: {failed} utterances have no hypothesis and are not in the rate (see failed.jsonl)")
    score = {
        "wer": errors.wer,
        "sentence_error_rate": errors.sentence_error_rate,
        "utterances": len(rows),
        "failed": failed,
        **asdict(errors.total),
    }
    write_jsonl(folder / UTTERANCES, _utterance_rows(rows, errors.utterances))
    write_json(folder / SCORE, score)
    return {"folder": str(folder), "split": decoded.get("split"), "decoder": decoded.get("decoder"), **score}


def find_folders(root: Path) -> list[Path]:
    """Every decode folder at or below `root`.

    Raises:
        UsageError: there is none.
    """
    found = sorted(path.parent for path in root.glob(f"**/{HYPOTHESES}"))
    if not found:
        raise UsageError("no hypotheses here or below", where=root, mend="first run: sew decode")
    return found


def print_scores(scores: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A table on stdout, or a JSON object a line."""
    if as_json:
        for score in scores:
            print(json.dumps(score, ensure_ascii=False))
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("split", "decoder"):
        table.add_column(name)
    for name in ("WER", "errors / words", "sub", "del", "ins", "utterances", "with errors"):
        table.add_column(name, justify="right")
    for score in scores:
        errors = score["substitutions"] + score["deletions"] + score["insertions"]
        table.add_row(
            str(score["split"]),
            str(score["decoder"]),
            f"{100 * score['wer']:.2f} %",
            f"{errors:,} / {score['words']:,}",
            *(f"{score[name]:,}" for name in ("substitutions", "deletions", "insertions", "utterances")),
            f"{100 * score['sentence_error_rate']:.1f} %",
        )
    log.stdout.print(table)


def _is_scorable(row: dict[str, Any], folder: Path) -> bool:
    if not isinstance(row.get("text"), str) or "id" not in row:
        raise DataError("a line without id or text", where=folder / HYPOTHESES, mend="decode it again")
    return bool(row.get("reference"))


def _utterance_rows(rows: Sequence[dict[str, Any]], counts: Sequence[Counts]) -> list[dict[str, Any]]:
    scored = [
        {
            "id": row["id"],
            "wer": round(count.wer, 6),
            **asdict(count),
            "reference": row["reference"],
            "hypothesis": row["text"],
        }
        for row, count in zip(rows, counts, strict=True)
    ]
    return sorted(scored, key=lambda row: (-row["wer"], row["id"]))
