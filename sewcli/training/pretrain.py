"""Pre-training: wav2vec 2.0's contrastive task over quantized features (wav2vec 2.0 section 3, SEW section 4.1).

Shapes: waves (B, S), masks (B, T). Each micro-batch is cropped to its shortest utterance, so nothing is ever padded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sewcli.base import dist, log
from sewcli.base.device import choose_device
from sewcli.base.errors import UsageError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import key, numpy_rng, seed_torch
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.loading import WaveBatch, cropped_batch, read_ahead, to_device
from sewcli.data.mixing import parts, read_parts
from sewcli.data.plan import MicroBatch
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance, check_rate
from sewcli.data.utterances import splits as find_splits
from sewcli.models.folder import load_pretraining, save_pretraining
from sewcli.models.paper import TIMES
from sewcli.models.pretraining import PretrainingModel, PretrainingOutput
from sewcli.models.source import is_model
from sewcli.models.zoo import lookup, overridden
from sewcli.nn.masking import equalise, frame_indices, near_edges, span_mask
from sewcli.training.config import PretrainConfig
from sewcli.training.cuts_task import CutsTask
from sewcli.training.experiment import (
    training_facts,
)
from sewcli.training.health import Finding, Row, frozen_at_random, pretraining_findings, pretraining_panel, warn_of
from sewcli.training.precision import autocast, precision
from sewcli.training.run import run_experiment
from sewcli.training.schedule import polynomial, temperature
from sewcli.training.stop import StopFlag
from sewcli.training.task import StepResult

PRINTED = {row.model for row in TIMES}  # the models of the SEW paper
HOLD_OUT = "hold-out"  # in place of the name of a split
HELD_OUT_SECONDS = 36_000.0  # LibriSpeech's 9.6 h; more would only make validations slow


@dataclass(frozen=True)
class MaskedBatch(WaveBatch):
    """Waves, masked frames (B, T) bool, and the frames to predict (B, M) int64."""

    mask: np.ndarray
    predicted: np.ndarray


class Pretraining(CutsTask):
    """The pre-training task of the loop."""

    lower_is_better = None  # a collapsed codebook has the lowest loss of all, so the newest model is the one to keep
    config: PretrainConfig
    model: PretrainingModel

    def __init__(
        self,
        config: PretrainConfig,
        model: PretrainingModel,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
    ) -> None:
        self.crop = int(config.crop_seconds * SAMPLE_RATE)
        super().__init__(config, model, train, valid, reader, longest=self.crop)
        self.valid_reader = Reader(valid)
        self.valid_plan = replace(self.planned(self.valid), micro_batches=1)

    def learning_rate(self, done: int) -> float:
        """Linear up, linear down."""
        return polynomial(done, self.config.optim.lr, self.config.schedule)

    def load(self, micro_batch: MicroBatch, step: int, number: int) -> MaskedBatch:
        """Cropped waves and their masks."""
        return self._batch(self.reader, micro_batch, self.config.seed, step, number)

    def loss(self, batch: MaskedBatch, step: int, number: int, device: torch.device) -> StepResult:
        """Contrastive, diversity and penalty terms, in the sum form."""
        output = self._forward(batch, step, device)
        means = _perplexities(output)
        means["temperature"] = torch.full((), temperature(step, self.config.temperature), device=device)
        return StepResult(
            loss=output.loss,
            size=output.frames,
            sums={
                "contrastive": output.contrastive,
                "loss_bits": output.contrastive / math.log(2),
                "diversity": output.diversity,
                "penalty": output.penalty,
                "accuracy": output.correct,
            },
            means=means,
        )

    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """Loss in bits, accuracy and code perplexity on held-out audio, with the same crops and masks every time.

        The ranks share the micro-batches, and each gets the whole result.
        """
        batches = list(enumerate(update[0] for update in self.valid_plan.epoch(0)))
        own, dtype = batches[dist.rank() :: dist.world_size()], precision(self.config, device)
        found: dict[str, dict[str, float]] = {}

        def load(item: tuple[int, MicroBatch]) -> MaskedBatch:
            return self._batch(self.valid_reader, item[1], key(self.config.seed, "valid"), 0, item[0])

        with torch.inference_mode(), log.progress("validation", len(own)) as bar:
            threads = self.config.data.threads
            for (number, _), batch in read_ahead(own, load, threads=threads, stop=lambda: bool(stop)):
                if stop:
                    break
                seed_torch(self.config.seed, "validate", number)
                with autocast(dtype, device):
                    output = self._forward(batch, step, device)
                values = {"contrastive": output.contrastive, "correct": output.correct, "frames": output.frames}
                found[str(number)] = {n: float(value) for n, value in (values | _perplexities(output)).items()}
                bar.advance()
        if dist.any_rank(bool(stop)):
            return None
        every = dist.merged(found)
        rows = [every[str(number)] for number, _ in batches]  # summed in this order, whoever computed them
        totals = {name: sum(row[name] for row in rows) for name in rows[0]}
        frames = max(totals.pop("frames"), 1.0)
        row = {
            "loss_bits": totals.pop("contrastive") / frames / math.log(2),
            "accuracy": totals.pop("correct") / frames,
            **{name: total / len(rows) for name, total in totals.items()},
        }
        self.facts = training_facts(self.config, self.train, step)
        return row["loss_bits"], row

    def save_model(self, folder: Path) -> None:
        """Write the pre-training model folder."""
        save_pretraining(self.model, folder, facts=self.facts)

    def panel(self, row: Row) -> str:
        """Loss in bits beside chance, accuracy, codes, temperature and gradient."""
        return pretraining_panel(row, self.model.config)

    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """Whether the run has collapsed."""
        patience = self.config.schedule.warmup_updates // 4
        return pretraining_findings(train, self.model.config, window, patience, valid)

    def _batch(self, reader: Reader, micro_batch: MicroBatch, seed: int, step: int, number: int) -> MaskedBatch:
        numbers, waves = zip(*reader.read(micro_batch), strict=True)
        cropped = cropped_batch([reader.utterances[n].id for n in numbers], waves, self.crop, seed, step, number)
        frames = int(self.model.encoder.frames(cropped.waves.shape[1]))
        rng, reach = numpy_rng(seed, "time-mask", step, number), self.config.predict_edges
        mask = span_mask(rng, len(waves), frames, **self.config.time_mask.model_dump(), equal=reach is None)
        predicted = frame_indices(mask if reach is None else equalise(rng, near_edges(mask, reach)))
        return MaskedBatch(cropped.ids, cropped.waves, cropped.lengths, mask, predicted)

    def _forward(self, batch: MaskedBatch, step: int, device: torch.device) -> PretrainingOutput:
        waves, mask, predicted = (to_device(array, device) for array in (batch.waves, batch.mask, batch.predicted))
        lengths = torch.from_numpy(
            batch.lengths
        )  # stay here: shapes follow from them, and a device would be waited for
        heat = temperature(step, self.config.temperature)
        output: PretrainingOutput = self.model(waves, lengths, mask, heat, predicted)
        return output


def _perplexities(output: PretrainingOutput) -> dict[str, torch.Tensor]:
    """Those of a model with a quantizer."""
    named = {"code_perplexity": output.code_perplexity, "probability_perplexity": output.probability_perplexity}
    return {name: value for name, value in named.items() if value is not None}


def select(utterances: Sequence[Utterance], config: PretrainConfig) -> list[Utterance]:
    """Those that are long enough; no label is needed.

    Raises:
        UsageError: none is.
        DataError: audio at another rate than the models'.
    """
    for u in utterances:
        check_rate(u)
    # a text that is not that of its audio does not matter here
    kept = [replace(u, fault="") if u.fault else u for u in utterances if u.seconds >= config.data.min_seconds]
    if not kept:
        longest = max(u.seconds for u in utterances)
        raise UsageError(
            "no-usable-utterance",
            f"every utterance is shorter than {config.data.min_seconds} s (the longest has {longest:.2f} s)",
            hint="--set data.min_seconds=...",
        )
    if len(kept) < len(utterances):
        log.info(f"left out: {len(utterances) - len(kept)} utterances shorter than {config.data.min_seconds} s")
    return kept


def hold_out(
    utterances: Sequence[Utterance], seed: int, share: float = 0.01
) -> tuple[list[Utterance], list[Utterance]]:
    """(train, valid): a random share, at least one utterance and at most ten hours, held out by seed."""
    order = numpy_rng(seed, "hold-out").permutation(len(utterances))[: max(1, round(share * len(utterances)))]
    seconds = np.cumsum([utterances[i].seconds for i in order])
    chosen = set(order[: max(1, int((seconds <= HELD_OUT_SECONDS).sum()))].tolist())
    train = [u for i, u in enumerate(utterances) if i not in chosen]
    return train or list(utterances), [u for i, u in enumerate(utterances) if i in chosen]


def run(config: PretrainConfig, exp: Path, device_name: str, *, dry: bool = False) -> str:
    """Everything behind `sew pretrain`: data, model, loop; `dry`: one update of the largest batches, nothing written.

    Returns:
        Of a dry run what it took, and the config; else nothing.

    Raises:
        SewError: whatever is missing, with the command that comes first.
    """
    keep_freed_memory()
    device = choose_device(device_name)
    dist.start(device)
    seed_torch(config.seed, "initial-weights")
    model = new_or_loaded(config)
    _warn_of_micro_batches(model.config.name, config)
    if not is_model(config.model):
        gradient = model.config.extractor_gradient
        warn_of(frozen_at_random(config.model, gradient, setting="overrides.extractor_gradient=0.1"))
    train, valid = _select_cuts(config)
    reader = Reader(train, None if dry else exp, config.data.max_rejected)
    task = Pretraining(config, model, train, valid, reader)
    size = f"{model.config.name}, {sum(p.numel() for p in model.parameters()):,} parameters on {device}"
    shown = run_experiment(task, exp, device, size, dry=dry)
    dist.stop()
    return shown


def _warn_of_micro_batches(name: str, config: PretrainConfig) -> None:
    """The papers' tiny models see twice the audio of the others in a forward pass, which BatchNorm normalises over."""
    usual = PretrainConfig.model_fields["batch"].default.micro_seconds
    tiny, base = 2 * usual, name.partition("+")[0]
    if "-tiny" in base and config.batch.micro_seconds == usual:
        log.warn(
            f"{name} in micro-batches of {usual:g} s; the paper's tiny models had 175 s: --config tiny-100k or tiny-400k"
        )
    if base in PRINTED and "-tiny" not in base and config.batch.micro_seconds == tiny:
        log.warn(
            f"{name} in micro-batches of {tiny:g} s, which the paper has for its tiny models alone: --config 100k or 400k"
        )


def _select_cuts(config: PretrainConfig) -> tuple[list[Utterance], list[Utterance]]:
    train = select(read_parts(parts(config.data.dir, config.data.train, default_prefix="train")), config)
    held_out = config.data.valid or [split for split in find_splits(config.data.dir) if split.startswith("dev")]
    if not held_out or tuple(held_out) == (HOLD_OUT,):
        return hold_out(train, config.seed)
    return train, select(read_parts(parts(config.data.dir, held_out, default_prefix="dev")), config)


def new_or_loaded(config: PretrainConfig) -> PretrainingModel:
    """A zoo model with new weights, or a pre-trained folder's, with the config's overrides."""
    if is_model(config.model):
        return load_pretraining(config.model, overrides=config.overrides)
    return PretrainingModel(overridden(lookup(config.model), config.overrides))
