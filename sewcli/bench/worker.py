"""A process that has loaded one model and nothing else: it runs the whole set when it is asked to, and tells what it took.

The clock is the paper's: forward and greedy decoding, batches sorted by length, without reading audio, loading or scoring.
Shapes: S samples, T frames, V symbols.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sewcli.base.errors import DataError, SewError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.processes import die_with_parent, leave_signals_to_the_parent
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.bench.peaks import MemoryMark, product_peak
from sewcli.bench.speech import Speech
from sewcli.bench.subject import Subject, megabytes, operations
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.emissions import plan_batches
from sewcli.decoding.greedy import greedy
from sewcli.decoding.plan import plan_decoder
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count
from sewcli.nn.blank import without_weights
from sewcli.runtimes.acoustic_model import AcousticModel
from sewcli.runtimes.recogniser import Recogniser, RuntimeOptions

PAPER_SECONDS = 250.0  # of padded audio: the most that the paper has in a batch

END, PREPARE, TRIAL = "end", "prepare", "trial"


@dataclass(frozen=True)
class Task:
    """What a worker measures. lm: of a beam search beside greedy; data: where it is looked for."""

    subject: Subject
    speech: Speech
    device: torch.device
    lm: str | None
    data: Path


def serve(connection: Connection, task: Task) -> None:
    """Answer requests until the end is asked for; a `SewError` is an answer too."""
    leave_signals_to_the_parent()
    die_with_parent()
    keep_freed_memory()
    try:
        measurement = Measurement(task)
        answers: dict[str, Callable[[], dict[str, Any]]] = {PREPARE: measurement.prepare, TRIAL: measurement.trial}
        while (asked := connection.recv()) != END:
            connection.send(answers[asked]())
    except SewError as error:
        connection.send(error)


class Measurement:
    """A loaded model, its batches, and its decoder where there is a language model."""

    def __init__(self, task: Task) -> None:
        self.task = task
        subject = task.subject
        options: Any = {"runtime": subject.runtime, "precision": subject.precision}
        recogniser = Recogniser(subject.folder, lambda: task.device, RuntimeOptions(**options))
        self.config, self.vocabulary = recogniser.config, recogniser.vocabulary
        self.model: AcousticModel = recogniser.start()
        plan = plan_decoder(task.lm, task.data, self.vocabulary, BeamOptions()) if task.lm else None
        self.search = plan.build() if plan and plan.build else None
        self.budget = min(PAPER_SECONDS, self.model.batch_seconds)
        heard = [index for index, samples in enumerate(task.speech.samples) if self.config.frames(samples)]
        if not heard:
            raise DataError(
                "utterance-too-short",
                "every utterance is too short for a frame of this model",
                where=str(subject.folder),
            )
        order = plan_batches([task.speech.samples[index] for index in heard], int(self.budget * SAMPLE_RATE))
        self.batches = [[heard[place] for place in batch] for batch in order]
        self.texts: dict[int, str] = {}
        self.lm_texts: dict[int, str] = {}
        self.mark = MemoryMark(task.device)

    def prepare(self) -> dict[str, Any]:
        """Warm up with the largest batch; what does not change from trial to trial."""
        facts, speech = self.model.facts(), self.task.speech
        if facts.get("numbers") == "int8":  # its products; the rest of it is in fp32
            facts["precision"] = "int8"
        self.model.run([speech.wave(index) for index in self.batches[0]])
        with without_weights():
            parameters = count(CTCModel(self.config, len(self.vocabulary)))
        padded = sum(max(speech.samples[i] for i in batch) * len(batch) for batch in self.batches)
        return {
            "config": self.config.name,
            **facts,
            "parameters": parameters,
            "mb_on_disk": round(megabytes(self.task.subject.folder), 2),
            "batch_seconds": self.budget,
            "batches": len(self.batches),
            "padding": round(padded / sum(speech.samples) - 1, 4),
            "gflop": round(operations(self.config, len(self.vocabulary), speech.samples) / 1e9, 2),
            "peak_gflop_a_second": _gigas(product_peak(self.task.device, str(facts["precision"]))),
        }

    def trial(self) -> dict[str, Any]:
        """Once through all; wall and CPU seconds of model and greedy search, and of the beam search."""
        wall = cpu = searching = 0.0
        for batch in self.batches:
            waves = [self.task.speech.wave(index) for index in batch]
            began, spent = time.perf_counter(), time.process_time()
            emissions = self.model.run(waves)
            texts = [self.vocabulary.text(greedy(emission, self.vocabulary.blank)) for emission in emissions]
            wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - spent
            self.texts |= dict(zip(batch, texts, strict=True))
            searching += self._search(batch, emissions)
        above = self.mark.above()
        return {"seconds": wall, "cpu_seconds": cpu, "lm_seconds": searching, "memory_mb": round(above / 1e6, 1)} | {
            "texts": self._in_order(self.texts),
            "lm_texts": self._in_order(self.lm_texts),
        }

    def _search(self, batch: list[int], emissions: list[np.ndarray]) -> float:
        if self.search is None:
            return 0.0
        began = time.process_time()
        for index, emission in zip(batch, emissions, strict=True):
            self.lm_texts[index] = self.search.decode(str(index), emission)[0].text
        return time.process_time() - began

    def _in_order(self, texts: dict[int, str]) -> list[str] | None:
        """Of real cuts only."""
        return [texts.get(i, "") for i in range(len(self.task.speech.samples))] if self.task.speech.cuts else None


def _gigas(value: float | None) -> float | None:
    return None if value is None else round(value / 1e9, 1)
