"""The base of fine-tuning and distillation: labelled waves with masks, the CTC loss, and greedy error rates.

Shapes: waves (B, S), logits (B, T, V), masks in time (B, T) and over channels (B, E).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sewcli.base import dist, log
from sewcli.base.rng import numpy_rng
from sewcli.data.loading import LabelledBatch, labelled_batch, to_device
from sewcli.data.plan import MicroBatch
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance
from sewcli.decoding.emissions import dealt_out, emissions
from sewcli.decoding.greedy import greedy
from sewcli.models.ctc import CTCModel, CTCOutput
from sewcli.models.folder import save_ctc
from sewcli.models.sparsity import hold_zeros, zero_facts
from sewcli.nn.masking import span_mask
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.text.tokens import Vocabulary
from sewcli.training.config import RecogniserConfig
from sewcli.training.cuts_task import CutsTask
from sewcli.training.experiment import (
    training_facts,
)
from sewcli.training.health import (
    Row,
    finetuning_panel,
)
from sewcli.training.selection import NAMES, chosen_rate, error_rates
from sewcli.training.stop import StopFlag


@dataclass(frozen=True)
class AugmentedBatch(LabelledBatch):
    """Labelled waves with SpecAugment-like masks: time_mask (B, T) bool, channel_mask (B, E) bool."""

    time_mask: np.ndarray
    channel_mask: np.ndarray


class RecogniserTask(CutsTask):
    """A recogniser that learns from cuts: what fine-tuning and distillation share.

    Args:
        config: of the run.
        model: what learns.
        vocabulary: its symbols.
        train, valid: utterances.
        reader: of `train`.
        labelled: whether the texts of `train` are learned.
    """

    lower_is_better = True
    config: RecogniserConfig
    model: CTCModel

    def __init__(
        self,
        config: RecogniserConfig,
        model: CTCModel,
        vocabulary: Vocabulary,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
        *,
        labelled: bool = True,
    ) -> None:
        super().__init__(config, model, train, valid, reader)
        self.vocabulary = vocabulary
        if config.keep_zeros:
            hold_zeros(model)
        self.rate = chosen_rate(config.select, vocabulary, [u.text for u in self.valid])
        self.labels: list[list[int]] = [vocabulary.encode(u.text) if labelled else [] for u in self.train]

    def load(self, micro_batch: MicroBatch, step: int, number: int) -> AugmentedBatch:
        """Whole utterances with their labels and masks."""
        numbers, waves = zip(*self.reader.read(micro_batch), strict=True)
        labels = [self.labels[n] for n in numbers]
        waves = self.augment(waves, labels, step, number)
        batch = labelled_batch([self.train[n] for n in numbers], waves, labels)
        return augmented(batch, self.config, self.model, step, number)

    def augment(
        self, waves: Sequence[np.ndarray], labels: Sequence[Sequence[int]], step: int, number: int
    ) -> Sequence[np.ndarray]:
        """The waves of micro-batch `number` of update `step` as the model hears them: here as they are."""
        return waves

    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """Greedy error rates on the validation cuts, and one sentence of it to look at."""
        row = greedy_errors(self.model, self.vocabulary, self.valid, step, device, stop)
        if row is None:
            return None
        self.facts = self.describe(step) | {f"{NAMES[self.rate]} (greedy, validation)": f"{100 * row[self.rate]:.2f} %"}
        return row[self.rate], row

    def describe(self, step: int) -> dict[str, str]:
        """What the model card says, but for validation figures."""
        zeros = zero_facts(self.model) if self.config.keep_zeros else {}
        return training_facts(self.config, self.train, step) | zeros

    def save_model(self, folder: Path) -> None:
        """Write the CTC model folder."""
        save_ctc(self.model, self.vocabulary, folder, facts=self.facts)

    def panel(self, row: Row) -> str:
        """The loss a sentence, the gradient and the learning rate."""
        return finetuning_panel(row)


def ctc_loss(output: CTCOutput, batch: LabelledBatch, blank: int, device: torch.device) -> torch.Tensor:
    """CTC in fp32, summed over the sentences; utterances too short for their labels count as zero."""
    log_probs = functional.log_softmax(output.logits.float(), dim=-1).transpose(0, 1)  # (T, B, V)
    return functional.ctc_loss(
        log_probs,
        to_device(batch.labels, device),
        output.lengths,
        torch.from_numpy(batch.label_lengths),  # stays on the CPU
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )


def augmented(
    batch: LabelledBatch, config: RecogniserConfig, model: CTCModel, step: int, number: int
) -> AugmentedBatch:
    """A batch with the masks of micro-batch `number` of update `step`."""
    frames = np.array([int(model.encoder.frames(int(n))) for n in batch.lengths])
    time_mask = span_mask(
        numpy_rng(config.seed, "time-mask", step, number),
        len(frames),
        int(frames.max()),
        **config.time_mask.model_dump(),
        lengths=frames,
    )
    rng = numpy_rng(config.seed, "channel-mask", step, number)
    channels = span_mask(rng, len(frames), model.config.width, **config.channel_mask.model_dump())
    plain = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return AugmentedBatch(**plain, time_mask=time_mask, channel_mask=channels)


def greedy_errors(
    model: CTCModel,
    vocabulary: Vocabulary,
    valid: Sequence[Utterance],
    step: int,
    device: torch.device,
    stop: StopFlag,
) -> dict[str, Any] | None:
    """Validation figures; None when `stop` came first. The ranks share the work, and each gets the whole result.

    wer, cer, and of phones per: error rates; NaN when the model gives a NaN anywhere. empty: share of texts without a word.
    commonest: share of the three commonest letters among all, in hypotheses and in references. sample: one of the texts.
    """
    found: dict[str, str | None] = {}
    network = TorchModel(model.eval(), device)
    own = dealt_out(network, valid, dist.rank(), dist.world_size())
    try:
        with log.progress("validation", len(own)) as bar:
            for utterance, emission in emissions(network, own, stop=lambda: bool(stop)):
                if stop:
                    break
                broken = np.isnan(emission).any()
                found[utterance.id] = None if broken else vocabulary.text(greedy(emission, vocabulary.blank))
                bar.advance()
    finally:
        model.train()
    if dist.any_rank(bool(stop)):
        return None
    texts = dist.merged(found)
    hypotheses = {name: text or "" for name, text in texts.items()}
    rates = error_rates([u.text for u in valid], [hypotheses[u.id] for u in valid], vocabulary)
    if failed := sum(text is None for text in texts.values()):
        log.warn(f"update {step}: the model gives NaN for {failed} of {len(texts)} utterances")
        rates = dict.fromkeys(rates, math.nan)
    sample = valid[step % len(valid)]
    log.info(f"  {sample.id}  reference: {sample.text}\n  {' ' * len(sample.id)} hypothesis: {hypotheses[sample.id]}")
    return {
        **rates,
        "empty": sum(not text for text in hypotheses.values()) / len(hypotheses),
        "commonest": [commonest(hypotheses.values()), commonest(u.text for u in valid)],
        "sample": {"id": sample.id, "hypothesis": hypotheses[sample.id]},
    }


def commonest(texts: Iterable[str], number: int = 3) -> float:
    """Share of the `number` commonest letters among all letters of the texts; 0 where there are none."""
    counts = Counter(letter for text in texts for letter in text if not letter.isspace())
    return sum(count for _, count in counts.most_common(number)) / max(counts.total(), 1)
