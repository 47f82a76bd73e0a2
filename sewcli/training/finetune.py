"""Fine-tuning: CTC on letters (wav2vec 2.0 section 3.3 and appendix B, SEW appendix B).

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
from sewcli.base.device import choose_device
from sewcli.base.errors import DataError, UsageError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import numpy_rng, seed_torch
from sewcli.data.augmentation import Augmentation
from sewcli.data.loading import LabelledBatch, labelled_batch, to_device
from sewcli.data.mixing import Part, parts, read_parts
from sewcli.data.plan import MicroBatch
from sewcli.data.reader import LeftOut, Reader
from sewcli.data.utterances import Utterance, check_rate
from sewcli.data.utterances import splits as find_splits
from sewcli.decoding.emissions import dealt_out, emissions
from sewcli.decoding.greedy import greedy
from sewcli.models.ctc import CTCModel, CTCOutput
from sewcli.models.folder import load_ctc, load_encoder, open_source, save_ctc
from sewcli.models.source import is_model
from sewcli.models.sparsity import hold_zeros, zero_facts
from sewcli.models.zoo import lookup
from sewcli.nn.masking import span_mask
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.text.agreement import case_note
from sewcli.text.tokenizer_files import SYMBOLS
from sewcli.text.tokens import Vocabulary, frames_needed
from sewcli.training.amounts import require_hours, training_splits
from sewcli.training.batch_stream import plan_batches
from sewcli.training.config import FinetuneConfig, RecogniserConfig, RunConfig
from sewcli.training.experiment import (
    training_facts,
)
from sewcli.training.health import (
    Finding,
    Row,
    crowding,
    finetuning_findings,
    finetuning_panel,
    frozen_at_random,
    guessing_loss,
    warn_of,
)
from sewcli.training.recipes import overridden
from sewcli.training.run import run_experiment
from sewcli.training.schedule import tri_stage
from sewcli.training.selection import NAMES, chosen_rate, error_rates
from sewcli.training.stop import StopFlag
from sewcli.training.task import StepResult

PREFERRED = "dev-other"  # the papers choose the best model on it


@dataclass(frozen=True)
class AugmentedBatch(LabelledBatch):
    """Labelled waves with SpecAugment-like masks: time_mask (B, T) bool, channel_mask (B, E) bool."""

    time_mask: np.ndarray
    channel_mask: np.ndarray


class Finetuning:
    """The CTC task of the loop."""

    lower_is_better = True

    def __init__(
        self,
        config: FinetuneConfig,
        model: CTCModel,
        vocabulary: Vocabulary,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
    ) -> None:
        self.config, self.model, self.vocabulary = config, model, vocabulary
        self.train, self.valid = list(train), list(valid)
        self.reader = reader or Reader(train)
        if config.keep_zeros:
            hold_zeros(model)
        self.facts: dict[str, str] = {}
        self.rate = chosen_rate(config.select, vocabulary, [u.text for u in self.valid])
        self.labels = [vocabulary.encode(u.text) for u in self.train]
        self.guess = guessing_loss(self.labels)
        self.augmentation = Augmentation(config.augmentation, config.seed) if config.augmentation.changes else None
        self.plan = plan_batches([u.samples for u in self.train], config.batch, config.seed)

    def learning_rate(self, done: int) -> float:
        """Up, constant, down."""
        return tri_stage(done, self.config.optim.lr, self.config.schedule, self.config.updates)

    def load(self, micro_batch: MicroBatch, step: int, number: int) -> AugmentedBatch:
        """Whole utterances with their labels and masks."""
        numbers, waves = zip(*self.reader.read(micro_batch), strict=True)
        labels = [self.labels[n] for n in numbers]
        if self.augmentation:
            waves = self.augmentation(
                waves, step, number, lambda place, samples: fits(labels[place], samples, self.model)
            )
        batch = labelled_batch([self.train[n] for n in numbers], waves, labels)
        return augmented(batch, self.config, self.model, step, number)

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

    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """Greedy error rates on the validation cuts, and one sentence of it to look at."""
        row = greedy_errors(self.model, self.vocabulary, self.valid, step, device, stop)
        if row is None:
            return None
        self.facts = training_facts(self.config, self.train, step)
        self.facts |= {f"{NAMES[self.rate]} (greedy, validation)": f"{100 * row[self.rate]:.2f} %"}
        if self.config.keep_zeros:
            self.facts |= zero_facts(self.model)
        return row[self.rate], row

    def save_model(self, folder: Path) -> None:
        """Write the CTC model folder."""
        save_ctc(self.model, self.vocabulary, folder, facts=self.facts)

    def panel(self, row: Row) -> str:
        """The loss a sentence, the gradient and the learning rate."""
        return finetuning_panel(row)

    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """Whether the model still writes nothing, or nothing but the commonest letters."""
        return finetuning_findings(train, valid, window, self.guess)


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


def run(config: FinetuneConfig, exp: Path, device_name: str, *, dry: bool = False) -> None:
    """Everything behind `sew finetune`: data, model, loop; `dry`: one update of the largest batches, nothing written.

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
    run_experiment(task, exp, device, size, dry=dry)
    dist.stop()


def chosen_vocabulary(config: FinetuneConfig) -> Vocabulary:
    """The symbols to write: of the config's file, else those that the model writes already (and shall keep), else those beside
    the data, else the English letters.
    """
    if config.vocabulary:
        return Vocabulary.read(config.vocabulary)
    own = open_source(config.model).vocabulary if is_model(config.model) and not config.new_head else None
    return own or beside_data(config.data.dir) or Vocabulary.letters()


def beside_data(data: str | Path) -> Vocabulary | None:
    """The alphabet that `sew prep` wrote beside the cuts of a corpus of one's own."""
    file = Path(data) / SYMBOLS
    return Vocabulary.read(file) if file.is_file() else None


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
