"""Emissions: log-probabilities of a CTC model over utterances, batched by length, one at a time to the decoder.

Audio is read ahead by threads, and a GPU works on one batch while the emissions of the one before are used. An emission is
float32, contiguous, (T, V), cut to the true length: no decoder ever sees a padded frame, and the batch an utterance was in
changes nothing (the models mask their padding). Shapes: S samples, T frames, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sewcli.audio.level import QUIET, is_quiet, level_of
from sewcli.base import log
from sewcli.base.errors import SewError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.loading import read_ahead
from sewcli.data.utterances import Utterance, check_rate
from sewcli.runtimes.acoustic_model import AcousticModel, Emissions

READERS = 4  # threads

OnFailure = Callable[[Utterance, SewError], None]
Batch = list[tuple[Utterance, np.ndarray]]


@dataclass
class Clock:
    """Seconds that were spent on the model, without reading audio."""

    seconds: float = 0.0


def emissions(
    model: AcousticModel,
    utterances: Sequence[Utterance],
    *,
    batch_seconds: float | None = None,
    on_failure: OnFailure | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    done: Collection[str] = (),
) -> Iterator[tuple[Utterance, np.ndarray]]:
    """Yield every utterance with its emission, the longest first.

    Args:
        model: ready to run.
        utterances: what to recognise; one too short for a single frame gets an emission of no frames.
        batch_seconds: padded audio a batch may hold; None leaves it to the model.
        on_failure: told of utterances whose audio cannot be used, which are then left out.
        clock: gathers the model's time.
        stop: asked while audio is waited for; once it says yes, no more is yielded.
        done: ids that are not yielded. Batches are those of all utterances, so that every emission is what it would be
            without; a batch of which nothing is wanted is not run.

    Raises:
        SewError: audio that cannot be used, when there is no `on_failure`.
    """
    budget = int((batch_seconds or model.batch_seconds) * SAMPLE_RATE)
    batches = plan_batches([u.samples for u in utterances], budget)
    batches = [batch for batch in batches if any(utterances[i].id not in done for i in batch)]
    load = lambda batch: [_read(utterances[i]) for i in batch]  # noqa: E731
    time_spent = clock or Clock()
    waiting: _Started | None = None
    quiet: list[str] = []
    for _, read in read_ahead(batches, load, threads=READERS, stop=stop):
        readable: Batch = []
        for utterance, wave in read:
            if not isinstance(wave, SewError):
                readable.append((utterance, wave))
                if not model.config.normalize_waves and is_quiet(level_of(wave)):
                    quiet.append(utterance.id)
            elif on_failure is None:
                raise wave
            else:
                on_failure(utterance, wave)
        started = _Started(model, readable, time_spent)
        if model.waits:
            yield from started.results(done)
        else:  # the device has this batch before the last one is asked for
            if waiting:
                yield from waiting.results(done)
            waiting = started
    if waiting and not stop():
        yield from waiting.results(done)
    if quiet:
        log.warn(
            f"{len(quiet):,} of {len(utterances):,} recordings are quiet (below {QUIET:.0f} dB of full scale, as {quiet[0]}), "
            "and this model does not normalise the level: words may be missing or wrong"
        )


def dealt_out(model: AcousticModel, utterances: Sequence[Utterance], rank: int, ranks: int) -> list[Utterance]:
    """One rank's share of the utterances: whole batches, so that each is the batch that it is when one rank has all."""
    batches = plan_batches([u.samples for u in utterances], int(model.batch_seconds * SAMPLE_RATE))
    return [utterances[i] for batch in batches[rank::ranks] for i in batch]


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


class _Started:
    """A batch that the model has begun with."""

    def __init__(self, model: AcousticModel, batch: Batch, clock: Clock) -> None:
        self._batch, self._clock, self._symbols = batch, clock, model.symbols
        self._heard = [bool(model.config.frames(len(wave))) for _, wave in batch]
        waves = [wave for (_, wave), heard in zip(batch, self._heard, strict=True) if heard]
        with _timed(clock):
            self._result: Callable[[], Emissions] = model.start(waves) if waves else list

    def results(self, done: Collection[str]) -> Iterator[tuple[Utterance, np.ndarray]]:
        with _timed(self._clock):
            found = iter(self._result())
        for (utterance, _), heard in zip(self._batch, self._heard, strict=True):
            emission = next(found) if heard else np.zeros((0, self._symbols), dtype=np.float32)
            if utterance.id not in done:
                yield utterance, emission


class _timed:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._clock.seconds += time.perf_counter() - self._began


def _read(utterance: Utterance) -> tuple[Utterance, np.ndarray | SewError]:
    try:
        check_rate(utterance)
        return utterance, utterance.wave()
    except SewError as error:
        return utterance, error
