"""`sew score`: a decode folder's hypotheses against its references.

Reads `hyps.jsonl` and `decode.json`, and of the corpus the speakers and, for telephone tests, the STM and GLM that they were
published with. Writes `score.json` (rates, intervals, counts), `utterances.jsonl` (worst first) and `errors.txt` (for people).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sewcli.artifacts.decode_folder import (
    DECODED,
    ERRORS,
    HYPOTHESES,
    SCORE,
    UTTERANCES,
    HypothesisRow,
    read_hypotheses,
)
from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import TEMPORARY, read_json, read_jsonl, write_json, write_jsonl, write_text
from sewcli.base.lock import held
from sewcli.data.manifests import is_pair, manifests
from sewcli.data.utterances import read_cuts as cuts_of
from sewcli.scoring import errors as analysis
from sewcli.scoring import nist
from sewcli.scoring.agreement import RATES, Compared, compared
from sewcli.scoring.significance import interval
from sewcli.scoring.telephone import timed_words
from sewcli.scoring.wer import Counts, WordErrors, character_errors, sum_counts, word_errors
from sewcli.text.agreement import TEXT


def score_folder(
    folder: Path, *, by_speaker: bool = False, data: Path | None = None, tool: str = "auto"
) -> dict[str, Any]:
    """Score one decode folder; writes and returns what `score.json` holds. Rates are fractions.

    by_speaker: speakers, not utterances, are drawn for the interval. data: the corpus, where it is not where it was decoded.
    tool: what scores an STM (`nist.TOOLS`).

    Raises:
        UsageError: not a decode folder, or speakers are asked for and not known.
        DataError: a broken file, or no references.
    """
    decoded, rows, silent = _read(folder)
    texts = compared_rows(rows, decoded)
    for note in texts.notes:
        log.warn(f"{folder}: {note}")
    names = [str(row["id"]) for row in rows]
    errors = word_errors(texts.references, texts.hypotheses, names)
    characters = character_errors(texts.references, texts.hypotheses, names)
    failed = decoded.get("failed", 0)
    if failed:
        log.warn(f"{folder}: {failed} utterances have no hypothesis and are not in the rate (see failed.jsonl)")
    if silent:
        log.warn(f"{folder}: {silent} hypotheses have no reference and are not in the rate")
    cuts = read_cuts(decoded, data)
    if foreign := [str(row["id"]) for row in rows if cuts and row["id"] not in cuts]:
        raise DataError(
            "hypotheses-of-other-cuts",
            f"{len(foreign)} of the hypotheses are of cuts that the corpus does not have, such as {foreign[0][:200]}",
            where=folder / HYPOTHESES,
            hint="decode it again; or give the corpus that it is of: --data",
        )
    speakers = speakers_of(rows, cuts, required=by_speaker)
    counts = errors.utterances
    groups = speakers if by_speaker else None
    score = {
        "unit": texts.unit,
        texts.rate.lower(): errors.wer,
        "wer": errors.wer,
        "wer_interval": _bounds(counts, groups),
        "interval_over": "speakers" if by_speaker else "utterances",
        "cer": sum_counts(characters).wer,
        "cer_interval": _bounds(characters, groups),
        "sentence_error_rate": errors.sentence_error_rate,
        "utterances": len(rows),
        "failed": failed,
        "without_reference": silent,
        "case": texts.case,
        "words_separated": texts.spaced,
        **asdict(errors.total),
    }
    if stm := _stm(decoded, data):
        if not texts.spaced:
            log.warn(f"{stm}: NIST's rules count words, and blanks separate none in these texts: look at the CER")
        score["nist"] = _nist(stm, folder, cuts, tool)
    with held(folder / ".lock", busy=f"{folder}: another process is scoring or joining", wait=True):
        write_jsonl(folder / UTTERANCES, _utterance_rows(rows, counts))
        write_text(folder / ERRORS, "".join(f"{line}\n" for line in _report(rows, errors, speakers, score)))
        write_json(folder / SCORE, score)
    return {"folder": str(folder), "split": decoded.get("split"), "decoder": decoded.get("decoder"), **score}


def compared_rows(rows: Sequence[Mapping[str, Any]], decoded: Mapping[str, Any]) -> Compared:
    """References and hypotheses of a decode folder, in the form in which they are scored."""
    return compared([row["reference"] for row in rows], [row["text"] for row in rows], decoded.get(TEXT))


def read_decoded(folder: Path) -> tuple[dict[str, Any], list[HypothesisRow]]:
    """The summary of a decode folder, and its hypotheses that have a reference.

    Raises:
        UsageError: not a decode folder.
        DataError: a broken file, an utterance twice, or no references.
    """
    decoded, rows, _ = _read(folder)
    return decoded, rows


def read_cuts(decoded: Mapping[str, Any], data: Path | None = None) -> dict[str, dict[str, Any]]:
    """The cuts of a decoded split by their ids; none where the corpus is no longer there."""
    place, split = _data(decoded, data), str(decoded.get("split"))
    files = manifests(place, split)
    if not all(path.is_file() for path in files):
        return {}
    if not is_pair(files):
        cuts = [cut for path in files for cut in read_jsonl(path)]
        if all("tracks" not in cut and len(cut.get("supervisions") or ()) <= 1 for cut in cuts):
            return {str(cut.get("id")): cut for cut in cuts}
    return {utterance.id: cut for cut, utterance in cuts_of(place, split, sound=False)}


def speakers_of(
    rows: Sequence[Mapping[str, Any]], cuts: Mapping[str, Mapping[str, Any]], *, required: bool = False
) -> list[str] | None:
    """Who says each hypothesis; None where the corpus does not tell of all.

    Raises:
        UsageError: they are required.
    """
    found = [((cuts.get(row["id"]) or {}).get("supervisions") or [{}])[0].get("speaker") for row in rows]
    if all(found):
        return [str(name) for name in found]
    if required:
        raise UsageError(
            "speakers-unknown",
            "the speakers are not known: the corpus is not where it was decoded, or does not name them",
            hint="give the prepared corpus: --data data/CORPUS",
        )
    return None


def find_folders(root: Path) -> list[Path]:
    """Every decode folder at or below `root`.

    Raises:
        UsageError: there is none.
    """
    found = _decode_folders(root)
    if not found:
        raise UsageError("no-hypotheses", "no hypotheses here or below", where=root, hint="first run: sew decode")
    return found


def _decode_folders(root: Path) -> list[Path]:
    """Without those that a killed process has left half written."""
    found = (path.parent.relative_to(root) for path in root.glob(f"**/{HYPOTHESES}"))
    return sorted(root / path for path in found if not any(part.startswith(TEMPORARY) for part in path.parts))


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _between(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"{100 * low:.2f} - {_percent(high)}"


def _data(decoded: Mapping[str, Any], data: Path | None) -> Path:
    return data or Path(str(decoded.get("data", "")))


def _stm(decoded: Mapping[str, Any], data: Path | None) -> Path | None:
    path = _data(decoded, data) / "score" / f"{decoded.get('split')}.stm"
    return path if path.is_file() else None


def _nist(stm: Path, folder: Path, cuts: Mapping[str, Mapping[str, Any]], tool: str) -> dict[str, Any]:
    """Counts of all segments of an STM, and of its parts. What has no hypothesis counts as not recognised."""
    glm = stm.with_suffix(".glm")
    if not glm.is_file():
        log.warn(f"{stm}: no {glm.name} beside it; scored without NIST's map of spellings, which costs a few percent")
    words = timed_words(read_hypotheses(folder), cuts)
    used, segments = nist.score(stm, glm if glm.is_file() else None, words, tool=tool)
    parts = {name: _nist_counts(of_it) for name, of_it in nist.by_part(segments).items()}
    return {"tool": used, **_nist_counts(segments), "parts": parts}


def _nist_counts(segments: Sequence[nist.SegmentCounts]) -> dict[str, Any]:
    together = sum_counts(segment.counts for segment in segments)
    return {"wer": together.wer, "utterances": len(segments), **asdict(together)}


def _report(
    rows: Sequence[Mapping[str, Any]], errors: WordErrors, speakers: Sequence[str] | None, score: Mapping[str, Any]
) -> Iterator[str]:
    """Lines of `errors.txt`: breakdowns, the words most often wrong, and every utterance with errors, the worst first."""
    name = RATES[score["unit"]]
    yield ", ".join(
        f"{label} {_percent(score[rate])} (95 % interval {_between(score[f'{rate}_interval'])})"
        for label, rate in ((name, "wer"), ("CER", "cer"))
    )
    if score["case"]:
        yield f"references and hypotheses are compared in {score['case']} case"
    yield ""
    yield from analysis.table(f"reference {score['unit']}s", analysis.by_length(errors.utterances), name)
    if speakers:
        yield ""
        yield from analysis.table("speaker", analysis.by_group(speakers, errors.utterances), name)
    for kind, found in analysis.top_errors(errors.alignments).items():
        yield f"\n{kind} ({getattr(errors.total, kind):,}), the most frequent:"
        yield from (f"{count:6,}  {words}" for words, count in found)
    yield "\nutterances with errors, the worst first:"
    order = sorted(range(len(rows)), key=lambda n: (-errors.utterances[n].wer, rows[n]["id"]))
    for n in order:
        if errors.utterances[n].errors:
            yield from analysis.side_by_side(str(rows[n]["id"]), [("HYP", errors.alignments[n])])


def _read(folder: Path) -> tuple[dict[str, Any], list[HypothesisRow], int]:
    """As `read_decoded`, and how many hypotheses have no reference. One that is empty is one: whatever is heard is wrong."""
    if not (folder / HYPOTHESES).is_file():
        raise _no_hypotheses(folder)
    decoded = read_json(folder / DECODED)
    if not isinstance(decoded, dict) or type(decoded.get("failed", 0)) is not int:
        raise DataError(
            "unexpected-content",
            "not an object whose `failed` is a whole number",
            where=folder / DECODED,
            hint="decode it again",
        )
    rows = read_hypotheses(folder)
    written = decoded.get("utterances")
    if type(written) is int and written != len(rows):
        raise DataError(
            "hypotheses-missing",
            f"{len(rows)} hypotheses, where {DECODED} says that {written} were written",
            where=folder / HYPOTHESES,
            hint="lines were lost or added: decode it again",
        )
    with_reference = [row for row in rows if row.get("reference") is not None]
    if not any(row["reference"].strip() for row in with_reference):
        raise DataError("no-reference", "no hypothesis here has a reference to compare with", where=folder / HYPOTHESES)
    return decoded, with_reference, len(rows) - len(with_reference)


def _no_hypotheses(folder: Path) -> UsageError:
    """Not a decode folder; one above decode folders, perhaps."""
    below = list(map(str, _decode_folders(folder)))
    hint = f"give one of {', '.join(below)}" if below else "first run: sew decode"
    return UsageError("no-hypotheses", f"no {HYPOTHESES} here{', but below' if below else ''}", where=folder, hint=hint)


def _bounds(counts: Sequence[Counts], groups: Sequence[str] | None) -> tuple[float, float]:
    return interval([c.errors for c in counts], [c.words for c in counts], groups)


def _utterance_rows(rows: Sequence[Mapping[str, Any]], counts: Sequence[Counts]) -> list[dict[str, Any]]:
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
