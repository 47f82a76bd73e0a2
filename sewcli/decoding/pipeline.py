"""`sew decode`: a recogniser, a prepared corpus and perhaps a language model become hypotheses on disk.

One way for greedy and beam: model -> emissions -> decoder -> `<out>/<data>-<split>-<decoder>/hyps.jsonl` (in the corpus's
order, with the references, so that scoring needs this folder alone), `nbest.jsonl` when asked for, `failed.jsonl`, and
`decode.json` with settings and times. Emissions that were kept stand in for the model. Killed or stopped, the same command
goes on: hypotheses are on disk every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sewcli.artifacts.decode_folder import (
    DecodedSplit,
    HypothesisRow,
    Outcome,
    finished,
    join,
    part_of,
    summaries,
    tidy,
    unfinished_of,
    write_part,
    write_whole,
)
from sewcli.artifacts.digest import digest
from sewcli.artifacts.folder_names import OWNER, Owner, choose
from sewcli.artifacts.shards import Shard
from sewcli.artifacts.unfinished import Unfinished
from sewcli.base import log
from sewcli.base.errors import DataError, SewError
from sewcli.base.lock import writing
from sewcli.base.memory import keep_freed_memory
from sewcli.data.utterances import Utterance, read_named
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.best_path import VITERBI
from sewcli.decoding.emission_cache import FloatType
from sewcli.decoding.emission_source import EmissionSource, Stream, owner_of
from sewcli.decoding.greedy import collapse, greedy, greedy_score
from sewcli.decoding.nbest import Hypothesis, nbest_rows
from sewcli.decoding.plan import plan_decoder
from sewcli.decoding.pool import Decoded, DecoderPool, default_jobs
from sewcli.decoding.viterbi import best_path
from sewcli.lm.bias import NO_BIAS, Bias
from sewcli.models.source import resolve as resolve_model
from sewcli.runtimes.recogniser import AUTO, Recogniser, RuntimeOptions
from sewcli.text.agreement import TEXT, mismatches, text_facts
from sewcli.text.tokens import Vocabulary

if TYPE_CHECKING:
    import torch


def decode(
    model: Path,
    data: Path,
    splits: Sequence[str],
    *,
    out: Path,
    device: Callable[[], torch.device],
    lm: str | None = None,
    options: BeamOptions | None = None,
    bias: Bias = NO_BIAS,
    runtime: RuntimeOptions = AUTO,
    jobs: int | None = None,
    shard: Shard = (1, 1),
    keep: FloatType | None = None,
    pieces: int = 1,
    skip: Collection[str] = (),
    include_greedy: bool = False,
) -> list[DecodedSplit]:
    """Decode splits of a corpus, or a shard of each.

    Args:
        model: a recogniser: folder, file or Hub id.
        data: folder of a prepared corpus.
        splits: names of its splits.
        out: folder that gets a folder a split.
        device: tells where the model runs; asked after the decoder processes are forked, which a GPU in use forbids.
        lm: None is greedy, `viterbi` the best path by dynamic programming; a name in `data/lm/` or a path is a beam search.
        options: of the beam search.
        bias: words and phrases for it, beside the language model.
        runtime: by what the model is computed, and how exactly.
        jobs: decoder processes; 0 decodes in this one, None takes a few.
        shard: (i, n) decodes the i-th of n equal shares of each split, and joins them when it is the last.
        keep: keep the emissions, in this type, for `sew tune` and for other searches.
        pieces: each split or shard is decoded in so many, and each is on disk when it is done: a kill costs one of them.
        skip: ids of utterances to pass over.
        include_greedy: also write what greedy decoding hears, and the parts of the score, for those who judge the hypotheses.

    Returns:
        The folder of each split, or of its shard while others are missing.

    Raises:
        SewError: something is missing or not valid; audio that is not valid only counts as failed.
        DataError: no utterance of a split could be decoded.
    """
    keep_freed_memory()
    recogniser = Recogniser(resolve_model(model), device, runtime)
    vocabulary = recogniser.vocabulary
    plan = plan_decoder(lm, data, vocabulary, options or BeamOptions(), bias)
    marks = [*plan.marks(), *(["include_greedy"] if include_greedy else []), *sorted(skip)]
    wholes = {split: [u for u in read_named(data, split) if u.id not in skip] for split in splits}
    for split, utterances in wholes.items():
        for mismatch in mismatches((u.text for u in utterances), vocabulary):
            log.warn(f"{data}, {split}: {mismatch}")
    owners = {split: owner_of(recogniser, data, split, plan.lm) for split in splits}
    folders = {split: choose(out, data, f"-{plan.name}", owners[split], summaries) for split in splits}
    parts = [
        _Part(
            folders[split],
            wholes[split],
            source := EmissionSource(recogniser, data, split, share(wholes[split], piece), out, piece),
            digest(source.inputs, *marks),
            piece,
            owners[split],
        )
        for split in splits
        for piece in pieces_of(shard, pieces)
    ]
    done = {n: there for n, part in enumerate(parts) if not part.source.lacks(keep) and (there := _finished(part))}
    if work := [n for n in range(len(parts)) if n not in done]:
        with ExitStack() as stack:
            count = default_jobs() if jobs is None else jobs
            pool = stack.enter_context(DecoderPool(plan.build, count)) if plan.build else None
            settings = {"data": str(data), "model": str(model), TEXT: text_facts(vocabulary), **plan.settings()}
            settings["jobs"] = pool.jobs if pool else 0
            nbest = plan.options is not None and plan.options.nbest is not None
            for n in work:
                part = parts[n]
                fields = RowFields(nbest, include_greedy, any(u.text.strip() for u in part.whole))
                with writing(part_of(part.folder, part.shard)):
                    if not part.source.lacks(keep) and (there := _finished(part)):  # by a process that was quicker
                        done[n] = there
                        continue
                    rows = Unfinished(unfinished_of(part.folder, part.shard), part.inputs, {OWNER: part.of})
                    outcome, facts = _decode(part.source, vocabulary, pool or plan.name, keep, plan.name, fields, rows)
                    own = {OWNER: part.of, "split": part.source.split, **settings, **facts, "inputs": part.inputs}
                    done[n] = _write(part, outcome, own)
                    rows.remove()
            for part in parts:
                tidy(part.folder)
    found: dict[Path, DecodedSplit] = {}
    for n, part in enumerate(parts):  # whichever piece of a split was the last has joined them
        if not done[n].part or part.folder not in found:
            found[part.folder] = done[n]
    return list(found.values())


def pieces_of(shard: Shard, pieces: int) -> list[Shard]:
    """The shards of which shard (i, n) is made when each of the n is cut into so many pieces."""
    index, count = shard
    return [(index + count * piece, count * pieces) for piece in range(pieces)]


def share(utterances: Sequence[Utterance], shard: Shard) -> list[Utterance]:
    """The i-th of n shares, with about as many utterances of each length as the others, in the corpus's order."""
    index, count = shard
    order = sorted(range(len(utterances)), key=lambda i: (-utterances[i].samples, i))
    return [utterances[i] for i in sorted(order[index - 1 :: count])]


@dataclass(frozen=True)
class _Part:
    """A split, or a shard of it: where it goes, the utterances of the whole, a digest of all that decides the result, and
    what the folder is of.
    """

    folder: Path
    whole: list[Utterance]
    source: EmissionSource
    inputs: str
    shard: Shard
    of: Owner


@dataclass(frozen=True)
class RowFields:
    """What the row of an utterance tells beside its text: other hypotheses, what greedy decoding hears, the transcript."""

    nbest: bool
    include_greedy: bool
    reference: bool


def _finished(part: _Part) -> DecodedSplit | None:
    """What is there already; shards of which this one was the last are joined."""
    if there := finished(part.folder, part.inputs):
        return there
    if part.shard[1] == 1 or not finished(part.folder, part.inputs, part.shard):
        return None
    waiting = DecodedSplit(part_of(part.folder, part.shard), 0, part=True, new=False)
    return join(part.folder, part.shard, [u.id for u in part.whole], part.inputs) or waiting


def _write(part: _Part, outcome: Outcome, settings: dict[str, Any]) -> DecodedSplit:
    if part.shard[1] == 1:
        return write_whole(part.folder, outcome, settings)
    written = write_part(part.folder, part.shard, outcome, settings)
    return join(part.folder, part.shard, [u.id for u in part.whole], part.inputs) or written


def _decode(
    source: EmissionSource,
    vocabulary: Vocabulary,
    decoder: DecoderPool | str,
    keep: FloatType | None,
    name: str,
    fields: RowFields,
    so_far: Unfinished,
) -> tuple[Outcome, dict[str, Any]]:
    """Hypotheses of a part, and facts about where its emissions come from. What is in `so_far` is not decoded again."""
    failures: dict[str, SewError] = {}
    include_greedy: dict[str, HypothesisRow] = {}
    by_name = {u.id: u for u in source.utterances}
    total = len(by_name)
    if so_far.rows:
        log.info(f"{source.split}: {len(so_far.rows)} of {total} utterances are decoded already; going on from there")
    began, before = time.perf_counter(), dict(so_far.times)
    work = {"audio_seconds": 0.0, "decoder_seconds": 0.0}
    with log.progress(f"{source.split} {name}", total, done=len(so_far.rows)) as bar:

        def fail(utterance: Utterance, error: SewError) -> None:
            failures[utterance.id] = error
            bar.advance()

        with source.opened(fail, keep, done=set(so_far.rows)) as (stream, run):

            def spent() -> dict[str, float]:
                wall = time.perf_counter() - began
                now = {**work, "model_seconds": run.clock.seconds, "wall_seconds": wall}
                return {kind: before[kind] + now[kind] for kind in now}

            rows_in = _with_greedy(stream, vocabulary, include_greedy) if fields.include_greedy else stream
            try:
                for decoded in _decoded(rows_in, vocabulary, decoder):
                    work["decoder_seconds"] += decoded.seconds
                    work["audio_seconds"] += by_name[decoded.name].seconds
                    if decoded.error:
                        failures[decoded.name] = decoded.error
                    else:
                        row = _row(by_name[decoded.name], decoded.hypotheses, fields)
                        so_far.add(row | include_greedy.pop(decoded.name, HypothesisRow()), spent())
                    speed = work["audio_seconds"] / (time.perf_counter() - began)
                    bar.advance(note=f"{speed:.1f} s of audio a second")
            except BaseException:
                so_far.save(spent())
                log.info(f"{source.split}: {len(so_far.rows)} of {total} utterances are decoded and on disk")
                raise
        times = spent()
    outcome = Outcome(
        rows=[so_far.rows[u.id] for u in source.utterances if u.id in so_far.rows],
        failures=[{"id": name, "path": str(e.where or ""), "reason": e.what} for name, e in failures.items()],
        audio_seconds=times["audio_seconds"],
        model_seconds=run.before or times["model_seconds"],
        decoder_seconds=times["decoder_seconds"],
        wall_seconds=times["wall_seconds"],
    )
    return outcome, run.facts


def _with_greedy(stream: Stream, vocabulary: Vocabulary, include_greedy: dict[str, HypothesisRow]) -> Stream:
    """The same stream; what greedy decoding makes of it goes to `include_greedy` by the utterance's id."""
    for utterance, emission in stream:
        if not np.isnan(emission).any():
            text, score = vocabulary.text(greedy(emission, vocabulary.blank)), greedy_score(emission)
            include_greedy[utterance.id] = {"greedy": text, "greedy_score": round(score, 4)}
        yield utterance, emission


def _decoded(stream: Stream, vocabulary: Vocabulary, decoder: DecoderPool | str) -> Iterator[Decoded]:
    for utterance, emission in stream:
        if isinstance(decoder, str):
            yield _best_path(utterance.id, emission, vocabulary, decoder)
        else:
            yield from decoder.put(utterance.id, emission)
    if not isinstance(decoder, str):
        yield from decoder.drain()


def _best_path(name: str, emission: np.ndarray, vocabulary: Vocabulary, search: str) -> Decoded:
    began = time.thread_time()
    if np.isnan(emission).any():
        return Decoded(name, [], 0.0, DataError("nan-emissions", "the model gave NaN for this audio", where=name))
    if search == VITERBI:
        path = best_path(emission)
        hypothesis = Hypothesis(vocabulary.text(collapse(path.labels, vocabulary.blank)), path.score, path.score)
    else:
        score = greedy_score(emission)
        hypothesis = Hypothesis(vocabulary.text(greedy(emission, vocabulary.blank)), score, score)
    return Decoded(name, [hypothesis], time.thread_time() - began)


def _row(utterance: Utterance, hypotheses: Sequence[Hypothesis], fields: RowFields) -> HypothesisRow:
    best = hypotheses[0]
    row: HypothesisRow = {"id": utterance.id, "text": best.text, "score": round(best.score, 4)}
    if fields.reference and utterance.transcribed:
        row["reference"] = utterance.text
    if fields.include_greedy:
        row["am"] = round(best.am, 4)
    if fields.nbest:
        row["nbest"] = nbest_rows(hypotheses)
    return row
