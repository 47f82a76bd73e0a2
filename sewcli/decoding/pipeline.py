"""`sew decode`: a recogniser, a prepared corpus and perhaps a language model become hypotheses on disk.

One way for greedy and beam: model -> emissions -> decoder -> `<out>/<split>-<decoder>/hyps.jsonl` (in the corpus's order,
with the references, so that scoring needs this folder alone), `failed.jsonl`, and `decode.json` with settings and times.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sewcli.base import log
from sewcli.base.errors import DataError, SewError
from sewcli.base.files import atomic_folder, write_json, write_jsonl
from sewcli.base.memory import keep_freed_memory
from sewcli.data.utterances import Utterance, read_split
from sewcli.decoding.beam import BeamDecoder, BeamOptions, Hypothesis
from sewcli.decoding.emissions import Clock, emissions
from sewcli.decoding.greedy import greedy, greedy_score
from sewcli.decoding.pool import Decoded, DecoderPool, default_jobs
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc
from sewcli.text.tokens import Vocabulary

HYPOTHESES, FAILED, SUMMARY = "hyps.jsonl", "failed.jsonl", "decode.json"


@dataclass(frozen=True)
class DecodedSplit:
    """A decode folder that was written, and how many utterances have no hypothesis."""

    folder: Path
    failed: int


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
) -> list[DecodedSplit]:
    """Decode splits of a corpus.

    Args:
        model: folder of a recogniser.
        data: folder of a prepared corpus.
        splits: names of its splits.
        out: folder that gets a folder a split.
        device: tells where the model runs; asked after the decoder processes are forked, which a GPU in use forbids.
        lm: None is greedy; a name in `data/lm/` or a path is a beam search.
        options: of the beam search.
        jobs: decoder processes; 0 decodes in this one, None takes a few.

    Raises:
        SewError: something is missing or not valid; audio that is not valid only counts as failed.
        DataError: no utterance of a split could be decoded.
    """
    options = options or BeamOptions()
    keep_freed_memory()
    recogniser, vocabulary = load_ctc(model)
    files = resolve(lm, data, vocabulary) if lm else None
    work = [(split, read_split(data, split)) for split in splits]
    with ExitStack() as stack:
        pool = None
        if files:
            build = functools.partial(BeamDecoder, files, vocabulary, options)
            pool = stack.enter_context(DecoderPool(build, default_jobs() if jobs is None else jobs))
        place = device()
        recogniser.to(place).for_inference()
        settings = _settings(model, data, files, options, place, pool)
        return [
            _decode_split(recogniser, vocabulary, pool, utterances, out, {"split": split, **settings})
            for split, utterances in work
        ]


def decoder_name(files: LanguageModelFiles | None, options: BeamOptions) -> str:
    """`greedy`, or `4gram-beam50` with whatever else is not the default: `4gram-beam50-lm_weight1.5`."""
    if files is None:
        return "greedy"
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
        "decoder": decoder_name(files, options),
        "lm": str(files.model) if files else None,
        "lexicon": str(files.lexicon) if files else None,
        **(options.model_dump() if files else {"beam": None}),
        "jobs": pool.jobs if pool else 0,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def _decode_split(
    model: CTCModel,
    vocabulary: Vocabulary,
    pool: DecoderPool | None,
    utterances: Sequence[Utterance],
    out: Path,
    settings: dict[str, Any],
) -> DecodedSplit:
    failures: dict[str, SewError] = {}
    found: dict[str, list[Hypothesis]] = {}
    clock, decoder_seconds, audio_seconds = Clock(), 0.0, 0.0
    lengths = {u.id: u.seconds for u in utterances}
    began = time.perf_counter()
    with log.progress(f"{settings['split']} {settings['decoder']}", len(utterances)) as bar:

        def fail(utterance: Utterance, error: SewError) -> None:
            failures[utterance.id] = error
            bar.advance()

        device = next(model.parameters()).device
        stream = emissions(model, utterances, device=device, on_failure=fail, clock=clock)
        for decoded in _decoded(stream, vocabulary, pool):
            decoder_seconds += decoded.seconds
            audio_seconds += lengths[decoded.name]
            if decoded.error:
                failures[decoded.name] = decoded.error
            else:
                found[decoded.name] = decoded.hypotheses
            bar.advance(note=f"{audio_seconds / (time.perf_counter() - began):.1f} s of audio a second")
    if not found:
        first = next(iter(failures.items()))
        raise DataError(
            f"none of the {len(utterances)} utterances could be decoded; {first[0]}: {first[1]}",
            where=settings["split"],
        )
    wall = time.perf_counter() - began
    seconds = clock.seconds + decoder_seconds
    summary = settings | {
        "utterances": len(found),
        "failed": len(failures),
        "audio_seconds": round(audio_seconds, 3),
        "model_seconds": round(clock.seconds, 6),
        "decoder_seconds": round(decoder_seconds, 6),
        "wall_seconds": round(wall, 3),
        "real_time_factor": round(seconds / audio_seconds, 8) if audio_seconds else 0.0,
    }
    folder = out / f"{settings['split']}-{settings['decoder']}"
    with atomic_folder(folder) as temporary:
        write_jsonl(temporary / HYPOTHESES, (_row(u, found[u.id]) for u in utterances if u.id in found))
        write_json(temporary / SUMMARY, summary)
        if failures:
            rows = (
                {"id": name, "path": str(error.where or ""), "reason": error.what} for name, error in failures.items()
            )
            write_jsonl(temporary / FAILED, rows)
    log.info(
        f"{folder}: {len(found)} utterances, {audio_seconds / 60:.1f} min of audio; real-time factor "
        f"{summary['real_time_factor']:.4f} (model {clock.seconds:.1f} s, decoder {decoder_seconds:.1f} s)"
    )
    return DecodedSplit(folder, len(failures))


def _decoded(
    stream: Iterator[tuple[Utterance, np.ndarray]], vocabulary: Vocabulary, pool: DecoderPool | None
) -> Iterator[Decoded]:
    for utterance, emission in stream:
        if pool:
            yield from pool.put(utterance.id, emission)
        else:
            yield _greedy(utterance.id, emission, vocabulary)
    if pool:
        yield from pool.drain()


def _greedy(name: str, emission: np.ndarray, vocabulary: Vocabulary) -> Decoded:
    began = time.thread_time()
    if np.isnan(emission).any():
        return Decoded(name, [], 0.0, DataError("the model gave NaN for this audio", where=name))
    hypothesis = Hypothesis(vocabulary.text(greedy(emission)), greedy_score(emission))
    return Decoded(name, [hypothesis], time.thread_time() - began)


def _row(utterance: Utterance, hypotheses: Sequence[Hypothesis]) -> dict[str, Any]:
    best = hypotheses[0]
    row: dict[str, Any] = {"id": utterance.id, "text": best.text, "score": round(best.score, 4)}
    if utterance.text.strip():
        row["reference"] = utterance.text
    if len(hypotheses) > 1:
        row["nbest"] = [{"text": h.text, "score": round(h.score, 4)} for h in hypotheses]
    return row
