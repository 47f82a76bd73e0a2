"""`sew tune`: the weights of a beam search that make the fewest word errors on a dev set, without running the model again.

`OUT/<data>-<split>-<decoder>/` holds tune.json (what it is of), trials.jsonl (a line a trial, written when it is done: a
search that was stopped goes on from there), and weights.json, which `sew decode --weights` takes. Decoders are built once,
each in its process; a trial only gives them other weights. wav2vec 2.0 tunes so on dev-other, in 128 trials (appendix, table
7).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewcli.artifacts.digest import digest
from sewcli.artifacts.folder_names import OWNER, choose
from sewcli.base import log
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import os_errors_as_usage_errors, read_json, write_json
from sewcli.base.lock import hold
from sewcli.base.memory import keep_freed_memory
from sewcli.base.parsing import parse_json
from sewcli.data.utterances import Utterance, read_named
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.emission_cache import KeptEmissions
from sewcli.decoding.emission_source import EmissionSource, owner_of
from sewcli.decoding.grid import Axis, Point, best_point, grid_search
from sewcli.decoding.plan import DecoderPlan, plan_decoder
from sewcli.decoding.pool import Decoded, DecoderPool, default_jobs
from sewcli.decoding.weights import DEFAULT, FILE, NAMED, Weights
from sewcli.lm.bias import NO_BIAS, Bias
from sewcli.models.source import resolve as resolve_model
from sewcli.runtimes.recogniser import Recogniser
from sewcli.scoring.wer import word_errors

if TYPE_CHECKING:
    import torch

LM_WEIGHT = Axis("lm_weight", 0.0, 5.0, 1.0, 0.125)  # the box is wav2vec 2.0's
WORD_SCORE = Axis("word_score", -5.0, 5.0, 2.5, 0.25)
TRIALS, TUNING = "trials.jsonl", "tune.json"


@dataclass(frozen=True)
class Trial:
    """Weights and the word errors they make; `seconds` of CPU time in the decoders."""

    lm_weight: float
    word_score: float
    errors: int
    words: int
    seconds: float

    @property
    def wer(self) -> float:
        """Errors a reference word."""
        return self.errors / self.words


@dataclass(frozen=True)
class Tuned:
    """What was tried, in order, and what came out; `axes` are the numbers that were searched for."""

    folder: Path
    axes: tuple[Axis, ...]
    trials: list[Trial]
    best: Trial
    start: Trial

    def edges(self) -> Iterator[str]:
        """Where the best lies on the rim of what was tried, and better ones may lie beyond."""
        for number, axis in enumerate(self.axes):
            best, *tried = (_point(trial, self.axes)[number] for trial in (self.best, *self.trials))
            for rim, word in ((min(tried), "smallest"), (max(tried), "largest")):
                if best == rim and min(tried) < max(tried):
                    yield f"the best {axis.name} is {best:g}, the {word} that was tried: beyond it may be a better one"


def tune(
    model: Path,
    data: Path,
    split: str,
    *,
    lm: str | None,
    options: BeamOptions,
    bias: Bias = NO_BIAS,
    out: Path,
    emissions: Path,
    device: Callable[[], torch.device],
    limit: int = 128,
    jobs: int | None = None,
) -> Tuned:
    """Find the weights of a search.

    Args:
        model: a recogniser: folder, file or Hub id.
        data: folder of a prepared corpus.
        split: of it, with transcripts; not the one that results are told of.
        lm: a name in `data/lm/` or a path.
        options: of the search; its own weights are not looked at.
        bias: words and phrases for it, beside the language model.
        out: gets a folder for this search.
        emissions: where `sew decode` keeps emissions; what is missing there is made once.
        device: tells where the model runs, if it has to.
        limit: trials at most.
        jobs: decoder processes; 0 decodes in this one, None takes a few.

    Raises:
        UsageError: the search has no weights.
        DataError: no utterance has a transcript and emissions.
    """
    keep_freed_memory()
    recogniser = Recogniser(resolve_model(model), device)
    start = NAMED[DEFAULT]
    axes = (LM_WEIGHT,) if options.lexicon_free else (LM_WEIGHT, WORD_SCORE)
    plain = options.model_copy(
        update={"lm_weight": start.lm_weight, "word_score": 0.0 if len(axes) == 1 else start.word_score}
    )
    plan = plan_decoder(lm, data, recogniser.vocabulary, plain, bias)
    if plan.build is None or plan.lm is None:
        raise UsageError(
            "options-conflict", "without a language model there are no weights to tune", hint="sew tune --lm 4gram"
        )
    utterances = read_named(data, split)
    with DecoderPool(plan.build, default_jobs() if jobs is None else jobs) as pool:
        source = EmissionSource(recogniser, data, split, utterances, emissions)
        kept = _kept(source)
        form = recogniser.vocabulary.text_form
        spoken = [replace(u, text=form(u.text)) for u in utterances if u.text.strip() and u.id in kept]
        if not spoken:
            raise DataError(
                "no-usable-utterance",
                "no utterance has a transcript and audio that can be read",
                where=f"{data}, {split}",
            )
        if silent := len(utterances) - len(spoken):
            log.warn(f"{silent} utterances of {split} have no transcript or no audio, and are left out")
        of = owner_of(recogniser, data, split, plan.lm)
        table = _Table(
            choose(out, data, f"-{plan.name}", of, lambda folder: [folder / TUNING]),
            digest(source.inputs, *sorted(kept.types), *plan.marks()),
            {OWNER: of, "model": str(model), "data": str(data), "split": split, **plan.settings()},
        )
        trials: dict[Point, Trial] = {}
        with log.progress(f"tune {split} {plan.name}", limit) as bar:

            def count(points: Sequence[Point]) -> list[int]:
                for trial in _trials(points, table, partial(_decode_all, pool, kept, spoken)):
                    trials[_point(trial, axes)] = trial
                    best = min(trials.values(), key=lambda t: t.errors)
                    bar.advance(note=f"best so far {100 * best.wer:.2f} % at {_shown(best, axes)}")
                return [trials[point].errors for point in points]

            first = (start.lm_weight, start.word_score)[: len(axes)]
            tried = grid_search(axes, [first], count, limit)
    tuned = Tuned(table.folder, axes, list(trials.values()), trials[best_point(axes, tried)], trials[first])
    _write(tuned, plan, split, len(spoken))
    return tuned


def _kept(source: EmissionSource) -> KeptEmissions:
    """Emissions of the split; the model runs if there are none of these weights and cuts."""
    folder = source.folder
    try:
        return KeptEmissions(folder, source.inputs)
    except DataError as error:
        log.info(f"{folder}: {error.what}; the model runs once")
    with log.progress(f"emissions of {source.split}", len(source.utterances)) as bar:

        def fail(utterance: Utterance, error: SewError) -> None:
            log.warn(f"{utterance.id}: {error.what}")
            bar.advance()

        with source.opened(fail, "float32") as (stream, _):  # those that a stopped process has kept are not made again
            for _ in stream:
                bar.advance()
    return KeptEmissions(folder, source.inputs)


def _trials(
    points: Sequence[Point], table: _Table, decode: Callable[[list[Weights]], Iterator[Trial]]
) -> Iterator[Trial]:
    """Trials of the points, in whatever order they are done: from the table where they are in it."""
    wanted = [Weights(*(*point, 0.0)[:2]) for point in points]
    known = [trial for weights in wanted if (trial := table.find(weights))]
    yield from known
    for trial in decode([weights for weights in wanted if not table.find(weights)]):
        table.add(trial)
        yield trial


def _decode_all(
    pool: DecoderPool, kept: KeptEmissions, utterances: list[Utterance], wanted: list[Weights]
) -> Iterator[Trial]:
    """Decode all utterances with each of the weights, so that no process waits between two trials."""
    found: dict[Weights, dict[str, Decoded]] = {weights: {} for weights in wanted}

    def gather(decoded: Decoded) -> Iterator[Trial]:
        assert decoded.weights is not None
        own = found[decoded.weights]
        own[decoded.name] = decoded
        if len(own) == len(utterances):
            yield _trial(decoded.weights, [own[u.id] for u in utterances], utterances)
            del found[decoded.weights]

    for weights in wanted:
        for utterance, emission in kept.read(utterances):
            for decoded in pool.put(utterance.id, emission, weights):
                yield from gather(decoded)
    for decoded in pool.drain():
        yield from gather(decoded)


def _trial(weights: Weights, decoded: list[Decoded], utterances: list[Utterance]) -> Trial:
    texts = ["" if d.error else d.hypotheses[0].text for d in decoded]  # what cannot be decoded is all deleted
    total = word_errors([u.text for u in utterances], texts).total
    seconds = round(sum(d.seconds for d in decoded), 3)
    return Trial(weights.lm_weight, weights.word_score, total.errors, total.words, seconds)


class _Table:
    """The trials on disk. Those of other inputs are removed; a last line that was cut short is too."""

    def __init__(self, folder: Path, inputs: str, settings: dict[str, Any]) -> None:
        self.folder, self._path = folder, folder / TRIALS
        self._trials: dict[Weights, Trial] = {}
        hold(folder, busy="another sew tune is at work here", hint="wait for it, or give another --out")
        if not _same(folder / TUNING, inputs):
            if (folder / TUNING).exists():
                log.info(f"{folder}: of another model, data or search; it is made again")
            for name in (TRIALS, FILE):
                (folder / name).unlink(missing_ok=True)
            write_json(folder / TUNING, {"inputs": inputs, **settings})
        self._read()
        if self._trials:
            log.info(f"{folder}: {len(self._trials)} trials are there already")

    def find(self, weights: Weights) -> Trial | None:
        """The trial of these weights."""
        return self._trials.get(weights)

    def add(self, trial: Trial) -> None:
        """Write a trial, for good."""
        self._trials[Weights(trial.lm_weight, trial.word_score)] = trial
        with os_errors_as_usage_errors(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(trial)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        if not self._path.is_file():
            return
        whole = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                trial = Trial(**parse_json(line.decode()))
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            self._trials[Weights(trial.lm_weight, trial.word_score)] = trial
        os.truncate(self._path, whole)


def _same(path: Path, inputs: str) -> bool:
    try:
        return bool(read_json(path)["inputs"] == inputs)
    except (DataError, KeyError, TypeError):
        return False


def _write(tuned: Tuned, plan: DecoderPlan, split: str, utterances: int) -> None:
    best, start = tuned.best, tuned.start
    write_json(
        tuned.folder / FILE,
        {
            "lm_weight": best.lm_weight,
            "word_score": best.word_score,
            "wer": best.wer,
            "wer_of_paper_weights": start.wer,
            "split": split,
            "utterances": utterances,
            "words": best.words,
            "trials": len(tuned.trials),
            "decoder_seconds": round(sum(trial.seconds for trial in tuned.trials), 3),
            "lm": str(plan.lm),
            "beam": plan.options.beam if plan.options else None,
        },
    )


def _point(trial: Trial, axes: Sequence[Axis]) -> Point:
    return (trial.lm_weight, trial.word_score)[: len(axes)]


def _shown(trial: Trial, axes: Sequence[Axis]) -> str:
    return ", ".join(f"{value:g}" for value in _point(trial, axes))
