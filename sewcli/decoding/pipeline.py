"""`sew decode`: a recogniser, a prepared corpus and perhaps a language model become hypotheses on disk.

One way for greedy and beam: model -> emissions -> decoder -> `<out>/<split>-<decoder>/hyps.jsonl` (in the corpus's order,
with the references, so that scoring needs this folder alone), `nbest.jsonl` when asked for, `failed.jsonl`, and `decode.json`
with settings and times.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sewcli.base import log
from sewcli.base.errors import DataError, SewError
from sewcli.base.files import sha256
from sewcli.base.memory import keep_freed_memory
from sewcli.data.utterances import Utterance, manifests, read_split
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.decoding.emissions import Clock, emissions
from sewcli.decoding.greedy import collapse, greedy, greedy_score
from sewcli.decoding.nbest import Hypothesis, nbest_rows
from sewcli.decoding.outcome import (
    DecodedSplit,
    Outcome,
    Shard,
    finished,
    join,
    part_of,
    write_part,
    write_whole,
)
from sewcli.decoding.pool import Decoded, DecoderPool, default_jobs
from sewcli.decoding.viterbi import best_path
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc
from sewcli.models.source import resolve as resolve_model
from sewcli.text.tokens import Vocabulary

GREEDY, VITERBI = "greedy", "viterbi"  # the searches without a language model
HASHED_UP_TO = 1 << 30  # bytes of a language model; a larger one is known by its size and time


def decode(
    model: Path,
    data: Path,
    splits: Sequence[str],
    *,
    out: Path,
    device: Callable[[], torch.device],
    lm: str | None = None,
    options: BeamOptions | None = None,
    jobs: int | None = None,
    shard: Shard = (1, 1),
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
        jobs: decoder processes; 0 decodes in this one, None takes a few.
        shard: (i, n) decodes the i-th of n equal shares of each split, and joins them when it is the last.

    Returns:
        The folder of each split, or of its shard while others are missing.

    Raises:
        SewError: something is missing or not valid; audio that is not valid only counts as failed.
        DataError: no utterance of a split could be decoded.
    """
    options = options or BeamOptions()
    keep_freed_memory()
    weights = resolve_model(model)
    recogniser, vocabulary = load_ctc(weights)
    search = VITERBI if lm == VITERBI else GREEDY
    files = resolve(lm, data, vocabulary) if lm and lm != VITERBI else None
    name = decoder_name(files, options) if files else search
    folders = {split: out / f"{split}-{name}" for split in splits}
    inputs = {split: _fingerprint(weights, data, split, files, options if files else search) for split in splits}
    done = {split: there for split in splits if (there := finished(folders[split], inputs[split]))}
    if shard[1] > 1:
        for split in splits:
            if split not in done and finished(folders[split], inputs[split], shard):
                part = DecodedSplit(part_of(folders[split], shard), 0, part=True, new=False)
                done[split] = join(folders[split], shard, read_split(data, split), inputs[split]) or part
    work = [(split, read_split(data, split)) for split in splits if split not in done]
    if not work:
        return list(done.values())
    with ExitStack() as stack:
        pool = None
        if files:
            build = functools.partial(BeamDecoder, files, vocabulary, options)
            pool = stack.enter_context(DecoderPool(build, default_jobs() if jobs is None else jobs))
        place = device()
        recogniser.to(place).for_inference()
        settings = _settings(model, data, files, options, place, pool) | {"decoder": name}
        for split, utterances in work:
            own = {"split": split, **settings, "inputs": inputs[split]}
            mine, nbest = share(utterances, shard), pool is not None and options.nbest is not None
            outcome = _decode(recogniser, vocabulary, pool or search, mine, f"{split} {name}", nbest=nbest)
            if shard[1] == 1:
                done[split] = write_whole(folders[split], outcome, own)
            else:
                part = write_part(folders[split], shard, outcome, own)
                done[split] = join(folders[split], shard, utterances, inputs[split]) or part
    return [done[split] for split in splits]


def share(utterances: Sequence[Utterance], shard: Shard) -> list[Utterance]:
    """The i-th of n shares, with about as many utterances of each length as the others, in the corpus's order."""
    index, count = shard
    order = sorted(range(len(utterances)), key=lambda i: (-utterances[i].samples, i))
    return [utterances[i] for i in sorted(order[index - 1 :: count])]


def _fingerprint(
    model: Path, data: Path, split: str, files: LanguageModelFiles | None, search: BeamOptions | str
) -> str:
    """A digest of all that decides the hypotheses: weights, cuts, settings, language model."""
    digest = hashlib.sha256(repr(search if isinstance(search, str) else sorted(search.model_dump().items())).encode())
    weights = [model] if model.is_file() else sorted(path for path in model.iterdir() if path.is_file())
    read = [*manifests(data, split), *weights]
    for path in [*read, *([files.lexicon] if files else [])]:
        digest.update(f"{path.name} {sha256(path) if path.is_file() else ''}\n".encode())
    if files:
        facts = files.model.stat()
        mark = sha256(files.model) if facts.st_size < HASHED_UP_TO else f"{facts.st_size} {facts.st_mtime_ns}"
        digest.update(f"{files.model.name} {mark}\n".encode())
    return digest.hexdigest()


def decoder_name(files: LanguageModelFiles, options: BeamOptions) -> str:
    """`4gram-beam50` with whatever else is not the default: `4gram-beam50-lm_weight1.5`."""
    changed = [f"{k}{v}" for k, v in options.model_dump(exclude_defaults=True).items() if k != "beam"]
    return "-".join([files.name, f"beam{options.beam}", *changed])


def _settings(
    model: Path,
    data: Path,
    files: LanguageModelFiles | None,
    options: BeamOptions,
    device: torch.device,
    pool: DecoderPool | None,
) -> dict[str, Any]:
    return {
        "data": str(data),
        "model": str(model),
        "lm": str(files.model) if files else None,
        "lexicon": str(files.lexicon) if files else None,
        **(options.model_dump() if files else {"beam": None}),
        "jobs": pool.jobs if pool else 0,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def _decode(
    model: CTCModel,
    vocabulary: Vocabulary,
    decoder: DecoderPool | str,
    utterances: Sequence[Utterance],
    title: str,
    *,
    nbest: bool,
) -> Outcome:
    failures: dict[str, SewError] = {}
    found: dict[str, list[Hypothesis]] = {}
    clock, decoder_seconds, audio_seconds = Clock(), 0.0, 0.0
    lengths = {u.id: u.seconds for u in utterances}
    began = time.perf_counter()
    with log.progress(title, len(utterances)) as bar:

        def fail(utterance: Utterance, error: SewError) -> None:
            failures[utterance.id] = error
            bar.advance()

        device = next(model.parameters()).device
        stream = emissions(model, utterances, device=device, on_failure=fail, clock=clock)
        for decoded in _decoded(stream, vocabulary, decoder):
            decoder_seconds += decoded.seconds
            audio_seconds += lengths[decoded.name]
            if decoded.error:
                failures[decoded.name] = decoded.error
            else:
                found[decoded.name] = decoded.hypotheses
            bar.advance(note=f"{audio_seconds / (time.perf_counter() - began):.1f} s of audio a second")
    failed = [{"id": name, "path": str(error.where or ""), "reason": error.what} for name, error in failures.items()]
    return Outcome(
        rows=[_row(u, found[u.id], nbest=nbest) for u in utterances if u.id in found],
        failures=failed,
        audio_seconds=audio_seconds,
        model_seconds=clock.seconds,
        decoder_seconds=decoder_seconds,
        wall_seconds=time.perf_counter() - began,
    )


def _decoded(
    stream: Iterator[tuple[Utterance, np.ndarray]], vocabulary: Vocabulary, decoder: DecoderPool | str
) -> Iterator[Decoded]:
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
        return Decoded(name, [], 0.0, DataError("the model gave NaN for this audio", where=name))
    if search == VITERBI:
        path = best_path(emission)
        hypothesis = Hypothesis(vocabulary.text(collapse(path.labels)), path.score, path.score)
    else:
        score = greedy_score(emission)
        hypothesis = Hypothesis(vocabulary.text(greedy(emission)), score, score)
    return Decoded(name, [hypothesis], time.thread_time() - began)


def _row(utterance: Utterance, hypotheses: Sequence[Hypothesis], *, nbest: bool) -> dict[str, Any]:
    best = hypotheses[0]
    row: dict[str, Any] = {"id": utterance.id, "text": best.text, "score": round(best.score, 4)}
    if utterance.text.strip():
        row["reference"] = utterance.text
    if nbest:
        row["nbest"] = nbest_rows(hypotheses)
    return row
