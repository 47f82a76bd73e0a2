"""Emissions: log-probabilities of a CTC model over utterances, batched by length, one at a time to the decoder.

Audio is read ahead by threads. An emission is float32, contiguous, (T, V), cut to the true length: no decoder ever sees a
padded frame, and the batch an utterance was in changes nothing (the models mask their padding).
Shapes: B batch, S samples, T frames, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sewcli.base import log
from sewcli.base.errors import SewError, UsageError
from sewcli.data.loading import padded_waves, read_ahead
from sewcli.data.utterances import Utterance, check_rate
from sewcli.models.ctc import CTCModel

SAMPLE_RATE = 16_000
GPU_SECONDS = 250.0  # padded audio in a batch: the papers' 4 million samples
CPU_SECONDS = 30.0  # more would push the attention scores out of the cache
READERS = 4  # threads

OnFailure = Callable[[Utterance, SewError], None]


@dataclass
class Clock:
    """Seconds that the model took, without reading audio."""

    seconds: float = 0.0


def emissions(
    model: CTCModel,
    utterances: Sequence[Utterance],
    *,
    device: torch.device,
    batch_seconds: float | None = None,
    on_failure: OnFailure | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Utterance, np.ndarray]]:
    """Yield every utterance with its emission, the longest first; the model's training mode comes back afterwards.

    Args:
        model: in fp32, on `device`.
        utterances: what to recognise; one too short for a single frame gets an emission of no frames.
        device: where the model is.
        batch_seconds: padded audio a batch may hold; None chooses by the device.
        on_failure: told of utterances whose audio cannot be used, which are then left out.
        clock: gathers the model's time.
        stop: asked while audio is waited for; once it says yes, no more is yielded.

    Raises:
        SewError: audio that cannot be used, when there is no `on_failure`.
    """
    budget = batch_seconds or (GPU_SECONDS if device.type == "cuda" else CPU_SECONDS)
    batches = plan_batches([u.samples for u in utterances], int(budget * SAMPLE_RATE))
    was_training = model.training
    model.eval()
    try:
        load = lambda batch: [_read(utterances[i]) for i in batch]  # noqa: E731
        for _, read in read_ahead(batches, load, threads=READERS, stop=stop):
            readable: list[tuple[Utterance, np.ndarray]] = []
            for utterance, wave in read:
                if not isinstance(wave, SewError):
                    readable.append((utterance, wave))
                elif on_failure is None:
                    raise wave
                else:
                    on_failure(utterance, wave)
            yield from _run(model, readable, device, clock or Clock())
    finally:
        model.train(was_training)


def plan_batches(samples: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of utterances grouped by length, the longest first; longest times count stays within `budget` samples."""
    order = sorted(range(len(samples)), key=lambda i: (-samples[i], i))
    batches: list[list[int]] = []
    for index in order:
        if batches and samples[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _read(utterance: Utterance) -> tuple[Utterance, np.ndarray | SewError]:
    try:
        check_rate(utterance)
        return utterance, utterance.wave()
    except SewError as error:
        return utterance, error


def _run(
    model: CTCModel, batch: Sequence[tuple[Utterance, np.ndarray]], device: torch.device, clock: Clock
) -> Iterator[tuple[Utterance, np.ndarray]]:
    long_enough = [(u, wave) for u, wave in batch if int(model.encoder.frames(len(wave))) > 0]
    for utterance, wave in batch:
        if int(model.encoder.frames(len(wave))) <= 0:
            yield utterance, np.zeros((0, model.head.out_features), dtype=np.float32)
    if long_enough:
        found = forward(model, [wave for _, wave in long_enough], device, clock)
        for (utterance, _), emission in zip(long_enough, found, strict=True):
            yield utterance, emission


def forward(model: CTCModel, waves: Sequence[np.ndarray], device: torch.device, clock: Clock) -> list[np.ndarray]:
    """Emissions of one batch; a batch too large for the GPU is halved."""
    padded, lengths = padded_waves(waves)
    began = time.perf_counter()
    try:
        with torch.inference_mode():
            output = model(torch.from_numpy(padded).to(device), torch.from_numpy(lengths).to(device))
            scores = torch.log_softmax(output.logits.float(), dim=-1).cpu().numpy()  # (B, T, V); waits for the GPU
            frames = output.lengths.tolist()
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        if len(waves) == 1:
            raise UsageError(
                f"an utterance of {len(waves[0]) / SAMPLE_RATE:.0f} s does not fit into the GPU's memory",
                mend="--device cpu, or cut the recording into segments",
            ) from None
        half = len(waves) // 2
        log.warn(f"a batch of {len(waves)} does not fit into the GPU's memory: halving it")
    else:
        clock.seconds += time.perf_counter() - began
        return [np.ascontiguousarray(rows[:count]) for rows, count in zip(scores, frames, strict=True)]
    return forward(model, waves[:half], device, clock) + forward(model, waves[half:], device, clock)
