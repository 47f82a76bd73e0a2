"""Fine-tuning: CTC on letters (wav2vec 2.0 section 3.3 and appendix B, SEW appendix B).

Shapes: waves (B, S), logits (B, T, V), masks in time (B, T) and over channels (B, E).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sewcli.base import dist, log
from sewcli.base.device import choose_device
from sewcli.base.errors import DataError, UsageError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import seed_torch
from sewcli.data.augmentation import Augmentation
from sewcli.data.loading import to_device
from sewcli.data.mixing import Part, parts, read_parts
from sewcli.data.reader import LeftOut, Reader
from sewcli.data.utterances import Utterance, check_rate
from sewcli.data.utterances import splits as find_splits
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, load_encoder
from sewcli.models.opening import open_source
from sewcli.models.source import is_model
from sewcli.models.zoo import lookup, overridden
from sewcli.text.agreement import case_note
from sewcli.text.tokens import Vocabulary, frames_needed
from sewcli.training.amounts import require_hours, training_splits
from sewcli.training.config import FinetuneConfig, RecogniserConfig, RunConfig
from sewcli.training.health import (
    Finding,
    Row,
    crowding,
    finetuning_findings,
    frozen_at_random,
    guessing_loss,
    warn_of,
)
from sewcli.training.recogniser_task import AugmentedBatch, RecogniserTask, ctc_loss
from sewcli.training.run import run_experiment
from sewcli.training.schedule import tri_stage
from sewcli.training.task import StepResult

PREFERRED = "dev-other"  # the papers choose the best model on it


class Finetuning(RecogniserTask):
    """The CTC task of the loop."""

    config: FinetuneConfig

    def __init__(
        self,
        config: FinetuneConfig,
        model: CTCModel,
        vocabulary: Vocabulary,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
    ) -> None:
        super().__init__(config, model, vocabulary, train, valid, reader)
        self.guess = guessing_loss(self.labels)
        self.augmentation = Augmentation(config.augmentation, config.seed) if config.augmentation.changes else None

    def learning_rate(self, done: int) -> float:
        """Up, constant, down."""
        return tri_stage(done, self.config.optim.lr, self.config.schedule, self.config.updates)

    def augment(
        self, waves: Sequence[np.ndarray], labels: Sequence[Sequence[int]], step: int, number: int
    ) -> Sequence[np.ndarray]:
        """Speeds, rooms and noise, where the config has some."""
        if self.augmentation is None:
            return waves
        return self.augmentation(waves, step, number, lambda place, samples: fits(labels[place], samples, self.model))

    def loss(self, batch: AugmentedBatch, step: int, number: int, device: torch.device) -> StepResult:
        """CTC, summed over the sentences."""
        waves, time_mask, channels = (
            to_device(array, device) for array in (batch.waves, batch.time_mask, batch.channel_mask)
        )
        lengths = torch.from_numpy(batch.lengths)  # stays here
        output = self.model(
            waves, lengths, time_mask=time_mask, channel_mask=channels, frozen=step < self.config.freeze_updates
        )
        loss = ctc_loss(output, batch, self.vocabulary.blank, device)
        return StepResult(loss=loss, size=torch.full((), float(len(batch.ids)), device=device), sums={}, means={})

    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """Whether the model still writes nothing, or nothing but the commonest letters."""
        return finetuning_findings(train, valid, window, self.guess)


def select(
    utterances: Sequence[Utterance],
    config: RunConfig,
    model: CTCModel,
    vocabulary: Vocabulary,
    left_out: LeftOut | None = None,
    *,
    validation: bool = False,
) -> list[Utterance]:
    """Those whose length is in range and whose labels fit their frames; what is left out is counted by reason.

    Args:
        utterances: of the splits.
        config: its data section says what is in range.
        model: makes the frames.
        vocabulary: makes the labels.
        left_out: gets those whose transcripts cannot be written, up to its share; None allows none.
        validation: they are to validate on.

    Raises:
        DataError: none is left, audio at another rate than the models', or too many with symbols outside the vocabulary.
    """
    for u in utterances:
        check_rate(u)
    kept, reasons = [], dict.fromkeys(("too short", "too long", "no transcript", "more labels than frames"), 0)
    unfit: list[tuple[Utterance, DataError]] = []
    for u in utterances:
        if u.seconds < config.data.min_seconds:
            reasons["too short"] += 1
        elif u.seconds > config.data.max_seconds:
            reasons["too long"] += 1
        elif not u.text.strip():
            reasons["no transcript"] += 1
        elif isinstance(labels := _encode(vocabulary, u), DataError):
            unfit.append((u, labels))
        elif not fits(labels, u.samples, model):
            reasons["more labels than frames"] += 1
        else:
            kept.append(u)
    (left_out or LeftOut()).take(unfit, len(utterances), validation=validation)
    dropped = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    if not kept:
        raise DataError(
            "no-usable-utterance",
            f"no utterance is left to train on ({dropped})",
            hint="look at the data section of the config",
        )
    if dropped:
        log.info(f"left out: {dropped}")
    crowded = reasons["more labels than frames"]
    if found := crowding(crowded, len(kept) + crowded):
        warn_of([found])
    return kept


def fits(labels: Sequence[int], samples: int, model: CTCModel) -> bool:
    """Whether CTC can write these labels in the frames of so many samples."""
    return frames_needed(labels) <= int(model.encoder.frames(samples)) * model.config.output_upsample


def _encode(vocabulary: Vocabulary, utterance: Utterance) -> list[int] | DataError:
    """The labels of an utterance, or why it has none."""
    if utterance.fault:
        return DataError("invalid-cut", utterance.fault, hint="CutSet.trim_to_supervisions before the audio is cut")
    try:
        return vocabulary.encode(utterance.text)
    except DataError as error:
        return error


def run(config: FinetuneConfig, exp: Path, device_name: str, *, dry: bool = False) -> str:
    """Everything behind `sew finetune`: data, model, loop; `dry`: one update of the largest batches, nothing written.

    Returns:
        Of a dry run what it took, and the config; else nothing.

    Raises:
        SewError: whatever is missing, with the command that comes first.
    """
    keep_freed_memory()
    device = choose_device(device_name)
    dist.start(device)
    vocabulary = chosen_vocabulary(config)
    seed_torch(config.seed, "initial-weights")
    model = new_or_pretrained(config, vocabulary, new_head=config.new_head)
    if not is_model(config.model):
        warn_of(frozen_at_random(config.model, config.extractor_gradient, config.freeze_updates))
    splits = training_splits(config.data)
    valid_splits = validation_splits(config)
    left_out = LeftOut(config.data.max_rejected)
    train = select(read_parts(splits), config, model, vocabulary, left_out)
    require_hours(config.data, train)
    if note := case_note((u.text for u in train), vocabulary):
        log.info(f"{config.data.dir}: {note}")
    valid = select(read_parts(valid_splits), config, model, vocabulary, left_out, validation=True)
    reader = Reader(train, None if dry else exp, config.data.max_rejected, left_out)
    task = Finetuning(config, model, vocabulary, train, valid, reader)
    size = f"{model.config.name}, {sum(p.numel() for p in model.parameters()):,} parameters on {device}"
    shown = run_experiment(task, exp, device, size, dry=dry)
    dist.stop()
    return shown


def chosen_vocabulary(config: FinetuneConfig) -> Vocabulary:
    """The symbols to write: of the config's file, else those that the model writes already (and shall keep), else those beside
    the data, else the English letters.
    """
    if config.vocabulary:
        return Vocabulary.read(config.vocabulary)
    own = open_source(config.model).vocabulary if is_model(config.model) and not config.new_head else None
    return own or Vocabulary.beside(config.data.dir) or Vocabulary.letters()


def validation_splits(config: RunConfig) -> list[Part]:
    """The splits to choose the best model with.

    Raises:
        UsageError: there are none, or one that is named is not there.
    """
    there = find_splits(config.data.dir)
    if there and not config.data.valid and not any(split.startswith("dev") for split in there):
        raise UsageError(
            "no-such-split",
            f"no split dev* to choose the best model with (there are: {', '.join(there)})",
            where=config.data.dir,
            hint="name one: --set data.valid=NAME; or set speakers aside: sew prep ... --hold-out dev=SPEAKER,...",
        )
    preferred = (PREFERRED,) if PREFERRED in there else None
    return parts(config.data.dir, config.data.valid or preferred, default_prefix="dev")


def new_or_pretrained(config: RecogniserConfig, vocabulary: Vocabulary, *, new_head: bool = False) -> CTCModel:
    """A pre-trained folder's encoder, or a zoo model with new weights, under a new CTC layer; a recogniser whole, or with
    `new_head` its encoder.
    """
    if "extractor_gradient" in config.overrides:
        raise UsageError(
            "not-an-override",
            "extractor_gradient is not an override",
            hint=f"--set extractor_gradient={config.overrides['extractor_gradient']}",
        )
    overrides = {**config.overrides, "extractor_gradient": config.extractor_gradient}
    if not is_model(config.model):
        if new_head:
            log.warn(f"new_head changes nothing: {config.model} is a model of the zoo, and all its weights are new")
        return CTCModel(overridden(lookup(config.model), overrides), len(vocabulary))
    if open_source(config.model).kind == "ctc" and not new_head:
        model, own = load_ctc(config.model, overrides=overrides)
        if own != vocabulary:
            raise DataError(
                "vocabularies-differ",
                "this model has another vocabulary",
                where=config.model,
                hint=f"to go on with its own: --set vocabulary={config.model}; its encoder for other symbols: --new-head",
            )
        return model
    return CTCModel.from_encoder(load_encoder(config.model, overrides=overrides), len(vocabulary))
