"""Distillation: a student learns its teacher's distribution over tokens, frame by frame ("Shrinking Bigfoot", section 4.1).

It is a `Task` of the one loop, so checkpoints, resuming and several GPUs are those of every training here. The teacher is no
part of the task's model: it runs in inference mode, no optimizer sees it, and it is in no checkpoint. It hears each batch
unmasked, and again each time (docs/compression.md says what keeping its outputs would cost).
Shapes: waves (B, S), logits (B, T, V), features (B, T, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sewcli.base import dist, log
from sewcli.base.errors import DataError
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import seed_torch
from sewcli.compression.config import DistillConfig
from sewcli.compression.losses import feature_penalty, token_divergence
from sewcli.compression.student import new_student, require_equal_rates
from sewcli.data.loading import to_device
from sewcli.data.mixing import read_parts
from sewcli.data.reader import LeftOut, Reader
from sewcli.data.utterances import Utterance, check_rate
from sewcli.decoding.emissions import dealt_out, emissions
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel, CTCOutput
from sewcli.models.folder import load_ctc
from sewcli.models.source import is_model
from sewcli.runtimes.fused_attention import use_kernels
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.text.tokens import Vocabulary
from sewcli.training.amounts import require_hours, training_splits
from sewcli.training.finetune import select, validation_splits
from sewcli.training.health import (
    Finding,
    Row,
    finetuning_findings,
    frozen_at_random,
    loss_findings,
    warn_of,
)
from sewcli.training.recogniser_task import AugmentedBatch, RecogniserTask, ctc_loss
from sewcli.training.run import run_experiment
from sewcli.training.schedule import linear
from sewcli.training.stop import StopFlag
from sewcli.training.task import StepResult


class Distillation(RecogniserTask):
    """The distillation task of the loop.

    Args:
        config: of the run.
        model: the student, which learns.
        teacher: where the student's targets come from; on the device on which the student is trained.
        vocabulary: of both.
        train, valid: utterances; texts serve CTC where that has a weight, and the validation if all of `valid` have one.
        reader: of `train`.
    """

    config: DistillConfig

    def __init__(
        self,
        config: DistillConfig,
        model: CTCModel,
        teacher: CTCModel,
        vocabulary: Vocabulary,
        train: Sequence[Utterance],
        valid: Sequence[Utterance],
        reader: Reader | None = None,
    ) -> None:
        require_equal_rates(model.config, teacher.config)
        super().__init__(config, model, vocabulary, train, valid, reader, labelled=bool(config.ctc_weight))
        self.teacher = hold_constants(teacher)
        use_kernels(teacher)
        self.transcribed = all(u.text.strip() for u in self.valid)

    def learning_rate(self, done: int) -> float:
        """Up, then down to zero."""
        return linear(done, self.config.optim.lr, self.config.schedule, self.config.updates)

    def loss(self, batch: AugmentedBatch, step: int, number: int, device: torch.device) -> StepResult:
        """Divergence, feature penalty and CTC, each with its weight, summed over the utterances."""
        config, waves, lengths = self.config, to_device(batch.waves, device), torch.from_numpy(batch.lengths)
        time_mask, channels = (to_device(mask, device) for mask in (batch.time_mask, batch.channel_mask))
        encoder = self.model.encoder
        features = encoder.extract(waves, lengths)
        frames = encoder.frames(lengths)
        encoded = encoder.contextualise(encoder.feature_norm(features), frames, time_mask, channels)
        output = self.model.classify(encoded)
        terms = {"penalty": (config.penalty_weight, feature_penalty(features, frames))}
        if config.divergence_weight:
            terms["divergence"] = (config.divergence_weight, self._divergence(output, waves, lengths))
        if config.ctc_weight:
            terms["ctc"] = (config.ctc_weight, ctc_loss(output, batch, self.vocabulary.blank, device))
        return StepResult(
            loss=torch.stack([weight * term for weight, term in terms.values()]).sum(),
            size=torch.full((), float(len(batch.ids)), device=device),
            sums={name: term.detach() for name, (_, term) in terms.items()},
            means={},
        )

    def _divergence(self, output: CTCOutput, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():  # not inference mode: the backward pass keeps the targets
            wanted = self.teacher(waves, lengths)
        frames = torch.minimum(output.lengths, wanted.lengths)  # of another front end, one may have a frame less
        length = min(output.logits.shape[1], wanted.logits.shape[1])
        return token_divergence(output.logits[:, :length], wanted.logits[:, :length], frames, self.config.temperature)

    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """Greedy error rates; where cuts have no transcripts, the divergence from the teacher, nats a frame."""
        if self.transcribed:
            return super().validate(step, device, stop)
        figure = divergence_on(self.model, self.teacher, self.valid, device, stop)
        if figure is None:
            return None
        self.facts = self.describe(step) | {"Divergence from its teacher (validation)": f"{figure:.4f} nats a frame"}
        return figure, {"divergence": figure}

    def describe(self, step: int) -> dict[str, str]:
        """What the model card says, but for validation figures."""
        teacher = f"{Path(self.config.teacher)} ({self.teacher.config.layers} layers)"
        return super().describe(step) | {"Distilled from": teacher}

    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """Whether losses are not finite, and whether the student still says nothing."""
        return finetuning_findings(train, valid, window) if self.transcribed else loss_findings(train, window)


def divergence_on(
    model: CTCModel, teacher: CTCModel, utterances: Sequence[Utterance], device: torch.device, stop: StopFlag
) -> float | None:
    """Mean divergence of a model's tokens from another's, nats a frame; None when `stop` came first.

    The ranks share the utterances, and each gets the whole result.
    """
    each: dict[str, tuple[float, int]] = {}
    networks = [TorchModel(network.eval(), device) for network in (model, teacher)]
    own = dealt_out(networks[0], utterances, dist.rank(), dist.world_size())
    ours_and_theirs = (emissions(network, own, stop=lambda: bool(stop)) for network in networks)
    for (u, ours), (_, theirs) in zip(*ours_and_theirs, strict=False):  # a stop ends one of them before the other
        length = min(len(ours), len(theirs))
        found, wanted = (torch.from_numpy(rows[:length]).unsqueeze(0) for rows in (ours, theirs))
        each[u.id] = float(token_divergence(found, wanted, torch.tensor([length]))), length
    if dist.any_rank(bool(stop)):
        return None
    every = dist.merged(each)
    nats, frames = (sum(every[u.id][part] for u in utterances) for part in (0, 1))
    return float(nats / max(frames, 1))


def usable(
    config: DistillConfig,
    utterances: Sequence[Utterance],
    model: CTCModel,
    words: Vocabulary | None,
    left_out: LeftOut | None = None,
    *,
    validation: bool = False,
) -> list[Utterance]:
    """Those whose length is in range; with a vocabulary, those whose labels fit too; without one, their texts are put away.

    Raises:
        DataError: none is left, audio at another rate than the models', or symbols outside the vocabulary.
    """
    if words:
        return select(utterances, config, model, words, left_out, validation=validation)
    for u in utterances:
        check_rate(u)
    shortest = max(config.data.min_seconds, 0.025)
    kept = [replace(u, text="", fault="") for u in utterances if shortest <= u.seconds <= config.data.max_seconds]
    if not kept:
        raise DataError(
            "no-usable-utterance", "no utterance is left to train on", hint="look at the data section of the config"
        )
    if dropped := len(utterances) - len(kept):
        log.info(f"left out: {dropped} too short or too long")
    return kept


def run(config: DistillConfig, exp: Path, device: torch.device, *, dry: bool = False) -> str:
    """One student: data, models, loop. `dry`: one update of the largest batches, nothing written.

    Returns:
        Of a dry run what it took, and the config; else nothing.

    Raises:
        SewError: whatever is missing, with the command that comes first.
    """
    keep_freed_memory()
    teacher, vocabulary = load_ctc(config.teacher)
    seed_torch(config.seed, "initial-weights")
    model = new_student(config, vocabulary)
    require_equal_rates(model.config, teacher.config)
    if config.init == "random" or not is_model(config.model):
        warn_of(frozen_at_random(config.model, model.config.extractor_gradient))
    teacher.to(device)
    train, valid = (read_parts(each) for each in (training_splits(config.data), validation_splits(config)))
    require_hours(config.data, train)
    left_out = LeftOut(config.data.max_rejected)
    train = usable(config, train, model, vocabulary if config.ctc_weight else None, left_out)
    words = vocabulary if all(u.text.strip() for u in valid) else None
    valid = usable(config, valid, model, words, left_out, validation=True)
    reader = Reader(train, None if dry else exp, config.data.max_rejected, left_out)
    task = Distillation(config, model, teacher, vocabulary, train, valid, reader)
    counts = [sum(p.numel() for p in each.parameters()) for each in (model, teacher)]
    depth = f"{model.config.layers} layers, {counts[0]:,} parameters"
    what = f"{model.config.name}, {depth}; its teacher {teacher.config.layers}, {counts[1]:,}; on {device}"
    return run_experiment(task, exp, device, what, dry=dry)
