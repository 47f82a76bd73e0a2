"""What is wrong with a run, told from its own metrics: pure functions of the rows that `metrics.jsonl` holds.

Pre-training of wav2vec 2.0 and SEW fails in a few known ways: the loss lies flat at chance, log2(K + 1) bits; all frames
get one code (code perplexity near G); or every distractor equals the target (loss 0 with accuracy 1). Fine-tuning stays
at empty hypotheses, or at the commonest letters. Each finding says what people do about it. A row's losses are nats a
frame; None is not finite.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Any

from sewcli.base import log
from sewcli.models.config import ModelConfig
from sewcli.training.config import HealthConfig

Row = Mapping[str, Any]

AT_CHANCE = 0.02  # bits around chance, and standard deviation within which the loss is flat
FEW_CODES = 0.0125  # share of the unused part of the codebooks: 10 of 2 x 320
NO_LOSS, ALL_RIGHT = 0.01, 0.99
NOT_FINITE = 0.1  # share of updates
EMPTY = 0.95  # share of hypotheses
COMMON, MORE_COMMON = (
    0.8,
    0.3,
)  # share of the three commonest letters among those written, and how far above the true one
PLATEAU_VALIDATIONS, PLATEAU_WINDOWS = 3, 4  # that runs which learn well have been seen to rest there
BETTER = 0.01  # of the character error rate, from validations to the next ones
NEAR_GUESS = 0.25  # of the loss of guessing
SHOWN = 40  # characters of a hypothesis
STILL_FALLING = 0.05  # of the training loss from one window to the next
CROWDED = 0.01  # share of utterances with more labels than frames

LOWER_RATE = "lower the learning rate (--set optim.lr=1e-4 has saved others)"
WHOLE_BATCH = "keep 5600 s an update (batch.seconds), reached by accumulation if need be"
SMALL_CODEBOOKS = "smaller codebooks train more calmly (--config ablation/codebook-8x8)"
OFF_BLANKS = (
    "raise the learning rate (--set optim.lr=...), unfreeze earlier (freeze_updates), mask less "
    "(time_mask.probability), train longer, and look at the transcripts (sew check)"
)
OFF_LETTERS = (
    "lower the learning rate (--set optim.lr=...) or lengthen its warm-up (schedule.warmup), begin without masks and dropouts "
    "(time_mask.probability=0, channel_mask.probability=0, overrides.layer_drop=0), see that the model is a pre-trained one "
    "and that its encoder learns (freeze_updates), and look at the transcripts (sew check)"
)
ANEW = "start again with another --exp: a collapsed run does not come back"


@dataclass(frozen=True)
class Finding:
    """Something that people would want to know. fatal: going on makes no sense, and `health.stop` ends the run."""

    kind: str
    what: str
    hint: str
    fatal: bool = True


@dataclass
class History:
    """The rows that judgements are made from: the last two windows of updates, and all validations."""

    window: int
    train: deque[Row] = field(default_factory=deque)
    valid: list[Row] = field(default_factory=list)

    def add(self, rows: Sequence[Row]) -> None:
        """Take in rows in the order in which they were logged."""
        for row in rows:
            if "kind" not in row:
                self.train.append(row)
            elif row["kind"] == "valid":
                self.valid.append(row)
        while len(self.train) > 2 * self.window:
            self.train.popleft()


class Watch:
    """Looks at a run's rows as they are logged, and says each finding once.

    Args:
        findings: a task's judgement of the newest rows of updates and of all validations, for a window.
        window: updates that are judged together.
    """

    def __init__(self, findings: Callable[[Sequence[Row], Sequence[Row], int], list[Finding]], window: int) -> None:
        self.findings, self.history = findings, History(window)
        self.said: set[str] = set()

    def judge(self, step: int) -> Finding | None:
        """Warn of what is new, and return a finding that makes going on senseless, if there is one."""
        found = self.findings(list(self.history.train), self.history.valid, self.history.window)
        for finding in found:
            if finding.kind not in self.said:
                log.warn(f"update {step}: {finding.what}\n  hint: {finding.hint}")
                self.said.add(finding.kind)
        return next((finding for finding in found if finding.fatal), None)


def window_of(config: HealthConfig, updates: int) -> int:
    """Updates that are judged together: a hundredth of the run, but 50 to 1000."""
    return config.window or min(1000, max(50, updates // 100))


def pretraining_findings(
    train: Sequence[Row], model: ModelConfig, window: int, patience: int, valid: Sequence[Row] = ()
) -> list[Finding]:
    """What the newest `window` updates show (nothing before there are so many), and the newest validation.

    Every run passes chance on its way down, and may rest there for a while: only twice the window tells.

    Args:
        train: rows of updates, in order, with contrastive, accuracy and the perplexities.
        model: how many distractors and codes there are.
        window: updates that are judged together.
        patience: updates from the start in which a loss at chance is not held against a run.
        valid: rows of validations, in order, with loss_bits, accuracy and the perplexities.
    """
    newest = train[-window:]
    if len(newest) < window:
        return []
    found, chance = _not_finite(newest), chance_bits(model)
    bits = [value / math.log(2) for value in _series(newest, "contrastive")]
    means = [fmean(s) if s else None for s in (bits, _series(newest, "accuracy"), _series(newest, "code_perplexity"))]
    found += _collapse(model, f"over the last {window} updates", *means)
    if found or not bits:
        return found
    if train[-1]["step"] >= patience and _is_flat(train[-2 * window :], window, chance):
        what = f"the loss lies flat at {fmean(bits):.3f} bits over the last {2 * window} updates; guessing gives {chance:.3f}"
        hint = "a longer warm-up (schedule.warmup_updates); 24 layers need overrides.layer_drop=0.2"
        return [Finding("at-chance", what, f"{ANEW}; {LOWER_RATE}; {WHOLE_BATCH}; {hint}")]
    if valid:
        values = (valid[-1].get(name) for name in ("loss_bits", "accuracy", "code_perplexity"))
        return _collapse(model, f"in the validation of update {valid[-1]['step']}", *values)
    return []


def _collapse(
    model: ModelConfig, where: str, bits: float | None, accuracy: float | None, codes: float | None
) -> list[Finding]:
    """All frames with one code, and what follows from it: every distractor equals the target."""
    found = []
    most, least = model.codebook_groups * model.codebook_entries, model.codebook_groups
    hint = f"{ANEW}; {LOWER_RATE}; {WHOLE_BATCH}; {SMALL_CODEBOOKS}"
    if bits is not None and accuracy is not None and bits < NO_LOSS * chance_bits(model) and accuracy > ALL_RIGHT:
        what = f"loss {bits:.3f} bits and accuracy {accuracy:.2f} {where}: every distractor equals the target"
        found.append(Finding("all-equal", what, f"{hint}; is most of the audio silent?"))
    if codes is not None and codes < least + FEW_CODES * (most - least):
        what = f"code perplexity {codes:.1f} of {most} {where}: nearly all frames get the same codes"
        found.append(Finding("few-codes", what, f"{hint}; overrides.diversity_weight above 0.1"))
    return found


def finetuning_findings(
    train: Sequence[Row], valid: Sequence[Row], window: int, guess: float | None = None
) -> list[Finding]:
    """Losses that are not finite, and a model that writes nothing, or nothing but the commonest letters.

    Both are known plateaus of CTC: what is written does not depend on the audio. A run may rest on one for a while, so only
    several validations in a row tell; and only a loss that lies flat tells that it stays there.

    Args:
        train: rows of updates with their loss, in order.
        valid: rows of validations with `empty`, the share of hypotheses without a word, and `commonest`, the share of the
            three commonest letters in hypotheses and in references.
        window: updates that are judged together.
        guess: see `guessing_loss`; None where the loss is not CTC's alone.
    """
    found = loss_findings(train, window)
    plateaus = [plateau_of(row) for row in valid]
    resting = len(plateaus) - max((n + 1 for n, plateau in enumerate(plateaus) if plateau is None), default=0)
    if resting < PLATEAU_VALIDATIONS:
        return found
    rest = valid[-resting:]
    before, after = _series(train[-2 * window : -window], "loss"), _series(train[-window:], "loss")
    falling = not before or not after or fmean(after) < (1 - STILL_FALLING) * fmean(before)
    if plateaus[-1] == "blanks":
        kind, learning, hint = "blanks", falling, OFF_BLANKS
        what = f"{resting} validations in a row without a word: the model gives blanks alone"
    else:
        short = rest[-1]["step"] - rest[0]["step"] < PLATEAU_WINDOWS * window
        kind, learning, hint = "letters", falling or short or _improves(rest), OFF_LETTERS
        text = str((rest[-1].get("sample") or {}).get("hypothesis", ""))[:SHOWN]
        what = f"{resting} validations in a row with little but the commonest letters{f' ({text})' if text else ''}"
    if guess and after and abs(fmean(after) / guess - 1) < NEAR_GUESS:
        what += f"; the loss, {fmean(after):.1f} a sentence, is near that of guessing letters by their frequency, {guess:.1f}"
    if learning:
        wait = "the loss or the error rate still falls: the first thousands of updates often look so; wait"
        return [*found, Finding(f"only-{kind}", what, wait, fatal=False)]
    return [*found, Finding(f"stuck-at-{kind}", f"{what}, and the loss does not fall", hint)]


def _improves(rest: Sequence[Row]) -> bool:
    """Whether the best of the newest validations writes more characters right than the best before them."""
    rates = [row.get("cer", row.get("per")) for row in rest]
    known = [rate for rate in rates if rate is not None]
    earlier = known[:-PLATEAU_VALIDATIONS] or known[:1]
    return bool(known) and min(known[-PLATEAU_VALIDATIONS:]) <= (1 - BETTER) * min(earlier)


def plateau_of(row: Row) -> str | None:
    """What a validation's hypotheses are: `blanks`, `letters` (the commonest alone), or None, texts of some kind."""
    if row["empty"] >= EMPTY:
        return "blanks"
    written, true = row.get("commonest") or (0.0, 0.0)
    return "letters" if written >= COMMON and written - true >= MORE_COMMON else None


def guessing_loss(labels: Sequence[Sequence[int]]) -> float:
    """CTC's loss, nats a sentence, of a model that knows how often each label comes and how many come, but not which.

    The entropy of the labels times their number; that the places must be guessed too adds some per cent.
    """
    counts = Counter(label for sentence in labels for label in sentence)
    total = counts.total()
    entropy = -sum(count / total * math.log(count / total) for count in counts.values()) if total else 0.0
    return entropy * total / max(len(labels), 1)


def frozen_at_random(
    name: str, extractor_gradient: float, freeze_updates: int = 0, setting: str = "extractor_gradient=1"
) -> list[Finding]:
    """What a model with new weights can never learn.

    Args:
        name: of the model, whose weights are all new.
        extractor_gradient: scale of the gradient into the wave feature extractor.
        freeze_updates: updates in which only the output layer learns.
        setting: what lets the extractor learn.
    """
    found = []
    trained = "or --model FOLDER of a pre-trained model"
    if not extractor_gradient:
        what = f"the wave feature extractor of {name} has new, random weights and gets no gradient: it stays random"
        found.append(Finding("random-extractor", what, f"--set {setting}, {trained}", fatal=False))
    if freeze_updates:
        what = f"the encoder of {name} has new, random weights, and {freeze_updates} updates pass before it learns"
        found.append(Finding("random-encoder", what, f"--set freeze_updates=0, {trained}", fatal=False))
    return found


def warn_of(findings: Iterable[Finding]) -> None:
    """Say what was found before a run."""
    for finding in findings:
        log.warn(f"{finding.what}\n  hint: {finding.hint}")


def loss_findings(train: Sequence[Row], window: int) -> list[Finding]:
    """Whether losses are not finite, of a training that has no other way to fail."""
    return _not_finite(train[-window:]) if len(train) >= window else []


def crowding(crowded: int, utterances: int) -> Finding | None:
    """Labels that do not fit their frames: a few are bad cuts, many are the wrong labels or too slow a model.

    Args:
        crowded: utterances with more labels than frames (a frame for each, and a blank between equal neighbours).
        utterances: all that could be learned from otherwise.
    """
    if crowded <= CROWDED * utterances:
        return None
    return Finding(
        "more-labels-than-frames",
        f"{crowded} of {utterances} utterances ({100 * crowded / utterances:.1f} %) have more labels than frames",
        "look at the transcripts and cuts (sew check); a 25 Hz model needs --set overrides.output_upsample=2; "
        "longer symbols (--set vocabulary=FILE) are fewer",
        fatal=False,
    )


def pretraining_panel(row: Row, model: ModelConfig) -> str:
    """A row of an update in a line: loss in bits beside chance, accuracy, codes, temperature and gradient."""
    most = model.codebook_groups * model.codebook_entries
    parts = [
        f"{_number(row, 'loss_bits', 3)} bits of {chance_bits(model):.2f}",
        f"accuracy {_number(row, 'accuracy', 2)}",
    ]
    if "code_perplexity" in row:
        parts.append(f"codes {_number(row, 'code_perplexity', 0)}/{most}")
        parts.append(f"probabilities {_number(row, 'probability_perplexity', 0)}/{most}")
        parts.append(f"temperature {_number(row, 'temperature', 2)}")
    return ", ".join([*parts, f"gradient {_number(row, 'grad_norm', 2)}"])


def finetuning_panel(row: Row) -> str:
    """A row of an update in a line."""
    return f"loss {_number(row, 'loss', 2)} a sentence, gradient {_number(row, 'grad_norm', 2)}, lr {row['lr']:.2e}"


def chance_bits(model: ModelConfig) -> float:
    """The loss of a guess among the true target and K distractors."""
    return math.log2(model.negatives + model.batch_negatives + 1)


def _not_finite(rows: Sequence[Row]) -> list[Finding]:
    bad = sum(row.get("loss") is None or row.get("grad_norm") is None for row in rows)
    if bad <= NOT_FINITE * len(rows):
        return []
    return [
        Finding(
            "not-finite",
            f"{bad} of the last {len(rows)} updates were not finite and were skipped",
            f"{LOWER_RATE}; --precision bf16 or fp32 in place of fp16; optim.clip_norm=1",
            fatal=False,
        )
    ]


def _is_flat(rows: Sequence[Row], window: int, chance: float) -> bool:
    bits = [value / math.log(2) for value in _series(rows, "contrastive")]
    return len(rows) == 2 * window and abs(fmean(bits) - chance) < AT_CHANCE and pstdev(bits) < AT_CHANCE


def _series(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row.get(name) is not None]


def _number(row: Row, name: str, decimals: int) -> str:
    value = row.get(name)
    return "-" if value is None else f"{value:.{decimals}f}"
