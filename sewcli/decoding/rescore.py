"""Rescoring: the n-best lists of a beam search, reordered with a neural language model's word in it.

total = am + lm_weight * lm / ln 10 + nn_weight * nn + word_score * words, where am, lm and nn are natural logarithms: of the
path in the emissions, of the text by the n-gram model and of the text by the neural one (not divided by its length). So
wav2vec 2.0 (appendix, "Transf." rows) adds its Transformer. Shapes: U utterances, N hypotheses of the longest list.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sewcli.artifacts.decode_folder import DECODED, FAILED, HYPOTHESES, NBEST, read_hypotheses
from sewcli.artifacts.digest import digest, model_marks
from sewcli.base import log
from sewcli.base.config import Config, build
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import (
    as_expected,
    atomic_folder,
    read_json,
    read_jsonl,
    read_object,
    sha256,
    write_json,
    write_jsonl,
)
from sewcli.decoding.grid import Axis, Point, best_point, grid_search
from sewcli.decoding.nbest import LN10, Hypothesis, nbest_rows, read_nbest
from sewcli.lm.neural import Scores
from sewcli.scoring.wer import word_errors
from sewcli.text.agreement import TEXT, form_of

WEIGHTS = "weights.json"
AXES = (
    Axis("lm_weight", 0.0, 5.0, 1.0, 0.125),
    Axis("word_score", -5.0, 5.0, 2.5, 0.25),
    Axis("nn_weight", 0.0, 3.0, 0.5, 0.0625),
)
TRIALS = 4000  # each costs milliseconds
DIGITS = 6  # of a neural score


class RescoreWeights(Config):
    """Weights of a rescoring."""

    lm_weight: float
    """On the n-gram model's log10 probabilities."""
    word_score: float
    """Added for every word."""
    nn_weight: float
    """On the neural model's natural log-probabilities."""


class TextScorer(Protocol):
    """What rescoring needs of a neural language model (`lm.neural.NeuralLanguageModel`)."""

    folder: Path

    @property
    def name(self) -> str:
        """For folders and tables."""

    def adapted(self, texts: Sequence[str]) -> list[str]:
        """The texts in its case."""

    def score(self, texts: Sequence[str], title: str) -> Scores:
        """Their log-probabilities."""


LEAST_AUDIO = 1e-3  # seconds


@dataclass(frozen=True)
class Lists:
    """The n-best lists of a decode folder with their neural scores.

    names: ids of the utterances. hypotheses: of each. nn: of each, natural log-probabilities. seconds: that the neural model
    took. references: by id, where there are any.
    """

    folder: Path
    names: list[str]
    hypotheses: list[list[Hypothesis]]
    nn: list[list[float]]
    seconds: float
    references: dict[str, str]
    inputs: str

    def parts(self) -> np.ndarray:
        """am, lm in log10, words and nn of every hypothesis, (4, U, N); where there is none am is -inf."""
        longest = max(map(len, self.hypotheses))
        parts = np.zeros((4, len(self.names), longest))
        parts[0] = -np.inf
        for row, (found, nn) in enumerate(zip(self.hypotheses, self.nn, strict=True)):
            own = ([h.am for h in found], [(h.lm or 0.0) / LN10 for h in found], [h.words for h in found], nn)
            parts[:, row, : len(found)] = np.array(own, dtype=np.float64)
        return parts


def totals(parts: np.ndarray, weights: RescoreWeights) -> np.ndarray:
    """The score of every hypothesis, (U, N)."""
    am, lm, words, nn = parts
    found: np.ndarray = am + weights.lm_weight * lm + weights.word_score * words + weights.nn_weight * nn
    return found


def require_lists(folder: Path) -> None:
    """Refuse what is no decode folder.

    Raises:
        UsageError: it is none.
    """
    if not (folder / DECODED).is_file():
        raise UsageError(
            "not-a-decode-folder",
            "not a decode folder",
            where=folder,
            hint="first run: sew decode --lm 4gram --nbest 100",
        )


def score_lists(folder: Path, scorer: TextScorer) -> Lists:
    """Read the lists of a decode folder and give each hypothesis its neural score, or find those of an earlier time.

    Raises:
        UsageError: not a decode folder.
        DataError: no n-best lists there, or broken ones, or texts that the model does not know.
    """
    require_lists(folder)
    lists = list(read_nbest(folder))
    if not lists:
        raise DataError("no-utterances", "no utterance here", where=folder / NBEST)
    names, hypotheses = [name for name, _ in lists], [found for _, found in lists]
    rows = read_hypotheses(folder)
    references = {row["id"]: truth for row in rows if (truth := row.get("reference")) is not None}
    inputs = _digest(folder / NBEST, scorer.folder)
    known = _known(out_folder(folder, scorer.name), inputs)
    if known is not None and all(h.text in known[0].get(name, ()) for name, found in lists for h in found):
        log.info(f"{folder}: scored already by {scorer.folder}")
        scores, seconds = known
        nn = [[scores[name][h.text] for h in found] for name, found in lists]
        return Lists(folder, names, hypotheses, nn, seconds, references, inputs)
    began = time.perf_counter()
    texts = scorer.adapted([h.text for found in hypotheses for h in found])
    found_scores = iter(scorer.score(texts, f"{folder.name}: {scorer.name}").log_probs)
    nn = [[round(next(found_scores), DIGITS) for _ in found] for found in hypotheses]  # as they are kept on disk
    return Lists(folder, names, hypotheses, nn, time.perf_counter() - began, references, inputs)


def tune_weights(lists: Sequence[Lists]) -> tuple[RescoreWeights, dict[str, Any]]:
    """The weights of fewest word errors on these lists, and what was found.

    Errors are told with these weights, before, with the best weights of the n-gram model alone, and of the best choice from
    each list (the oracle).

    Raises:
        DataError: no utterance has a reference.
    """
    parts, errors = [], []
    words = 0
    for own in lists:
        spoken = [row for row, name in enumerate(own.names) if name in own.references]
        if not spoken:
            raise DataError(
                "no-reference", "no reference to tune with", where=own.folder, hint="tune on a split with transcripts"
            )
        form = form_of(read_object(own.folder / DECODED).get(TEXT))
        references = {row: form(own.references[own.names[row]]) for row in spoken}
        pairs = [(references[row], h.text) for row in spoken for h in own.hypotheses[row]]
        counts = iter(word_errors([r for r, _ in pairs], [h for _, h in pairs]).utterances)
        all_parts = own.parts()
        counted = np.zeros(all_parts.shape[1:], dtype=np.int64)
        for row in spoken:
            counted[row, : len(own.hypotheses[row])] = [next(counts).errors for _ in own.hypotheses[row]]
        parts.append(all_parts[:, spoken])
        errors.append(counted[spoken])
        words += sum(len(text.split()) for text in references.values())
    first = decoder_weights(lists[0].folder)

    def count(points: Sequence[Point]) -> list[int]:
        return [sum(map(_errors, parts, errors, [_weights(point)] * len(parts))) for point in points]

    start = (first.lm_weight, first.word_score, 0.0)
    ngram = grid_search(AXES[:2], [start[:2]], lambda points: count([(*point, 0.0) for point in points]), TRIALS)
    known = {(*point, 0.0): found for point, found in ngram.items()}
    best_ngram = min(known, key=lambda point: known[point])
    tried = grid_search(AXES, [start, best_ngram], count, TRIALS)
    best = best_point(AXES, tried)
    oracle = sum(
        int(np.where(np.isfinite(p[0]), e, np.iinfo(np.int64).max).min(axis=1).sum())
        for p, e in zip(parts, errors, strict=True)
    )
    facts = {"words": words, "errors": tried[best], "errors_before": tried[start], "errors_ngram": known[best_ngram]}
    return _weights(best), {**facts, "errors_oracle": oracle, "trials": len(tried)}


def rescore(lists: Lists, scorer: TextScorer, weights: RescoreWeights, tuned: dict[str, Any] | None = None) -> Path:
    """Write a decode folder with the lists in their new order, beside the old one.

    Args:
        lists: scored ones.
        scorer: the neural model.
        weights: of the parts.
        tuned: what tuning on these lists found; then the weights are written too.
    """
    summary = read_object(lists.folder / DECODED)
    out = out_folder(lists.folder, scorer.name)
    rows, nbest = [], []
    for name, found, nn, scores in zip(
        lists.names, lists.hypotheses, lists.nn, totals(lists.parts(), weights), strict=True
    ):
        order = np.argsort(-scores[: len(found)], kind="stable")
        entries = nbest_rows([replace(found[i], score=float(scores[i])) for i in order])
        nbest.append({"id": name, "nbest": [{**e, "nn": nn[i]} for e, i in zip(entries, order, strict=True)]})
        row = {"id": name, "text": found[order[0]].text, "score": round(float(scores[order[0]]), 4)}
        reference = lists.references.get(name)
        rows.append(row | ({} if reference is None else {"reference": reference}))
    with as_expected(lists.folder / DECODED):
        work = float(summary["model_seconds"]) + float(summary["decoder_seconds"]) + lists.seconds
        audio, decoder = float(summary["audio_seconds"]), str(summary["decoder"])
    summary |= {
        "decoder": f"{decoder}-{scorer.name}",
        "neural_lm": str(scorer.folder),
        **weights.model_dump(),
        "neural_seconds": round(lists.seconds, 6),
        "real_time_factor": round(work / audio, 8) if audio >= LEAST_AUDIO and math.isfinite(work) else 0.0,
        "inputs": lists.inputs,
    }
    with atomic_folder(out) as temporary:
        write_jsonl(temporary / HYPOTHESES, rows)
        write_jsonl(temporary / NBEST, nbest)
        if (lists.folder / FAILED).is_file():
            shutil.copyfile(lists.folder / FAILED, temporary / FAILED)
        write_json(temporary / DECODED, summary)
        if tuned is not None:
            write_json(temporary / WEIGHTS, {**weights.model_dump(), **tuned})
    log.info(f"{out}: {len(rows)} utterances; real-time factor {summary['real_time_factor']:.4f}")
    return out


def rescored(folder: Path, model: Path, name: str, weights: RescoreWeights) -> Path | None:
    """The rescored lists of a decode folder, if they are there and of these lists, this model and these weights.

    Args:
        folder: of the lists.
        model, name: the neural model's folder, and what it is called.
        weights: of the parts.
    """
    out = out_folder(folder, name)
    try:
        summary = read_object(out / DECODED)
        same = {key: summary[key] for key in RescoreWeights.model_fields} == weights.model_dump()
        return out if same and summary["inputs"] == _digest(folder / NBEST, model) else None
    except (DataError, KeyError, TypeError):  # none there, or not of this making
        return None


def out_folder(folder: Path, name: str) -> Path:
    """Where the lists of a decode folder go that a model of this name has rescored."""
    return folder.with_name(f"{folder.name}-{name}")


def decoder_weights(folder: Path) -> RescoreWeights:
    """Those that the lists were found with; the neural model has none yet."""
    summary = read_object(folder / DECODED)
    with as_expected(folder / DECODED):
        lm_weight, word_score = (float(summary.get(name) or 0.0) for name in ("lm_weight", "word_score"))
    return RescoreWeights(lm_weight=lm_weight, word_score=word_score, nn_weight=0.0)


def read_weights(given: Path) -> RescoreWeights:
    """Weights that `sew rescore --tune` wrote, by their file or folder.

    Raises:
        DataError: missing, or not such a file.
    """
    path = given / WEIGHTS if given.is_dir() else given
    content = read_json(path)
    names = RescoreWeights.model_fields
    try:
        return build(RescoreWeights, {name: content[name] for name in names}, where=path)
    except (TypeError, KeyError, UsageError):
        raise DataError(
            "invalid-weights-file",
            f"not a file of {', '.join(names)}",
            where=path,
            hint="sew rescore --tune writes one",
        ) from None


def _weights(point: Point) -> RescoreWeights:
    return RescoreWeights(**{axis.name: value for axis, value in zip(AXES, point, strict=True)})


def _errors(parts: np.ndarray, errors: np.ndarray, weights: RescoreWeights) -> int:
    best = totals(parts, weights).argmax(axis=1)
    return int(errors[np.arange(len(best)), best].sum())


def _digest(nbest: Path, model: Path) -> str:
    """Of the lists and of all files of the model."""
    return digest(sha256(nbest), *model_marks(model), "")


def _known(out: Path, inputs: str) -> tuple[dict[str, dict[str, float]], float] | None:
    """Neural scores by utterance and text of an earlier rescoring of the same lists by the same model, and its seconds."""
    try:
        summary = read_object(out / DECODED)
        if summary["inputs"] != inputs:
            return None
        scores = {row["id"]: {e["text"]: float(e["nn"]) for e in row["nbest"]} for row in read_jsonl(out / NBEST)}
        return scores, float(summary["neural_seconds"])
    except (DataError, KeyError, TypeError, ValueError):  # none there, or not of this making
        return None
