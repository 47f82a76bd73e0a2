"""Audio to judge weights by: some of a prepared split, with transcripts, or with what the model itself writes.

A model's own greedy text serves where there is none: what is asked is which parts its answers hang on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from sewcli.base.errors import DataError
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.loading import LabelledBatch, labelled_batch
from sewcli.data.utterances import Utterance, check_rate
from sewcli.decoding.emissions import emissions, plan_batches
from sewcli.decoding.greedy import greedy
from sewcli.models.ctc import CTCModel
from sewcli.runtimes.torch_runtime import CPU_SECONDS, TorchModel
from sewcli.text.tokens import Vocabulary, frames_needed

SEED = 1


@dataclass(frozen=True)
class Calibration:
    """Utterances, each with a text, and the labels of these."""

    utterances: list[Utterance]
    labels: list[list[int]]

    def batches(self) -> Iterator[LabelledBatch]:
        """Batches of like length."""
        for numbers in plan_batches([u.samples for u in self.utterances], int(CPU_SECONDS * SAMPLE_RATE)):
            chosen = [self.utterances[n] for n in numbers]
            yield labelled_batch(chosen, [u.wave() for u in chosen], [self.labels[n] for n in numbers])


def calibration(
    model: CTCModel, vocabulary: Vocabulary, utterances: Sequence[Utterance], seconds: float, device: torch.device
) -> Calibration:
    """About `seconds` of audio, drawn at random (always the same ones).

    Raises:
        DataError: no utterance has a text that fits its frames, or symbols outside the vocabulary.
    """
    drawn: list[Utterance] = []
    for number in numpy_rng(SEED, "calibration").permutation(len(utterances)):
        if sum(u.seconds for u in drawn) >= seconds:
            break
        check_rate(utterances[number])
        drawn.append(utterances[number])
    silent = [u for u in drawn if not u.text.strip()]
    written = (
        {
            u.id: vocabulary.text(greedy(e, vocabulary.blank))
            for u, e in emissions(TorchModel(model.eval(), device), silent)
        }
        if silent
        else {}
    )
    texts = [replace(u, text=written.get(u.id, u.text)) for u in drawn]
    both = [(u, vocabulary.encode(u.text)) for u in texts if u.text.strip()]
    fitting = [(u, labels) for u, labels in both if frames_needed(labels) <= int(model.encoder.frames(u.samples))]
    if not fitting:
        raise DataError(
            "no-usable-utterance",
            "no utterance has a text that fits its frames",
            hint="--split with speech in it, or more --seconds",
        )
    return Calibration([u for u, _ in fitting], [labels for _, labels in fitting])
