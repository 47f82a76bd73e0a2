"""What a training run is made of: every field of `config.yaml`, with the papers' values as defaults.

A recipe (`sewcli/recipes/*.yaml`, `egs/*/conf/*.yaml`) holds only what differs. Sources: SEW section 4.1 and appendix B,
wav2vec 2.0 appendix B, and the authors' configs where paper and code disagree.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from sewcli.base.config import Config
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.augmentation_config import AugmentationConfig
from sewcli.nn.masking import Shape


def _names(value: Any) -> Any:
    """`"10h,1h"` -> `["10h", "1h"]`, so that `--set data.train=10h` needs no brackets."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class ReadingConfig(Config):
    """How data are read."""

    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """Threads that read ahead."""


class DataConfig(ReadingConfig):
    """Which cuts, and how they are cut."""

    dir: str = "data/librispeech"
    """Folder that `sew prep` wrote, or one with lhotse cuts, or a manifest."""
    train: Names | None = None
    """Splits to train on, e.g. `10h` or `train-clean-100,train-clean-360`; all `train*` when not given. `FOLDER/SPLIT` is one
    of another prepared folder, and `SPLIT*4` one that is taken four times an epoch."""
    hours: Positive | None = None
    """Hours of labels that a recipe means by its `train`: less than half of them, or more than twice as many, are refused. It
    goes with the recipe's own `train` and not with another that is given in its place."""
    other_hours: Positive | None = None
    """The recipe's hours where another `train` is given: labels that differ so much are only warned of."""
    valid: Names | None = None
    """Splits to validate on. Not given: dev-other in fine-tuning where it is prepared, or else all `dev*`. `hold-out`: 1 % of
    the training cuts, 10 h at most (pre-training), as also where there is no `dev*`."""
    min_seconds: Positive = 0.1
    """Shorter utterances are left out."""
    max_seconds: Positive = 40.0
    """Longer utterances are left out (fine-tuning) or cropped (pre-training)."""
    max_rejected: Share = 0.01
    """Share of the utterances that may be left out because their audio cannot be read, or because the vocabulary lacks a symbol
    of their transcript; they are listed in `rejected.jsonl`."""


class UpdateConfig(Config):
    """How much goes into an update and into a forward pass; an update's passes are dealt out over the ranks."""

    unit: ClassVar[str]
    """Of the sizes: fields are named by it."""
    speed: ClassVar[tuple[str, str]]
    """What a speed is called in metrics.jsonl and to people."""
    samples: ClassVar[int]
    """What the plan counts, in one unit."""
    shorter: ClassVar[str]
    """How to make the longest passes smaller."""

    @property
    def size(self) -> float:
        """Units of an update."""
        return float(getattr(self, self.unit))

    @property
    def micro_size(self) -> float:
        """Units of a forward pass."""
        return float(getattr(self, f"micro_{self.unit}"))

    @property
    def micro_batches(self) -> int:
        """Micro-batches an update."""
        return max(1, round(self.size / self.micro_size))


class BatchConfig(UpdateConfig):
    """Audio per update. An update is round(seconds / micro_seconds) micro-batches, dealt out over the ranks."""

    unit = "seconds"
    speed = ("audio_per_second", "audio s/s")
    samples = SAMPLE_RATE
    shorter = "shorter audio (crop_seconds in pre-training, data.max_seconds in fine-tuning)"

    seconds: Positive
    """Audio seconds an update, over all GPUs and accumulation steps."""
    micro_seconds: Positive
    """Padded audio seconds a forward pass. BatchNorm in the predictor heads sees one micro-batch."""
    multiple: AtLeastOne = 1
    """A forward pass of more utterances than this has a multiple of it (8 in fairseq, as in the papers' recipes)."""
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Share of its length by which an utterance may be misplaced in the sort by length: new company every epoch, for 3 to
    4 % of the audio cropped away (pre-training) or padded (fine-tuning). 0 in fairseq, as in the papers' recipes."""


class OptimConfig(Config):
    """Adam with decoupled weight decay."""

    lr: Positive
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    eps: Positive
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    """Largest gradient norm; 0 leaves gradients as they are."""


class PolynomialSchedule(Config):
    """Linear warm-up, then linear to zero at `decay_updates` (which may lie beyond the end of the run)."""

    warmup_updates: Count = 32_000
    decay_updates: AtLeastOne = 400_000


class TriStageSchedule(Config):
    """Linear warm-up, constant, exponential decay, as shares of the run."""

    warmup: Share = 0.1
    hold: Share = 0.4
    start_scale: Positive = 0.01
    end_scale: Positive = 0.05

    @model_validator(mode="after")
    def _fit_into_the_run(self) -> TriStageSchedule:
        if self.warmup + self.hold > 1:
            raise ValueError(f"warmup {self.warmup} and hold {self.hold} are more than the whole run")
        return self


class LinearSchedule(Config):
    """Linear warm-up, then linear to zero at the end, as shares of the run."""

    start: Share = 0.0
    """Share of the rate at which the warm-up begins."""
    warmup: Share = 0.1


class TemperatureConfig(Config):
    """Gumbel temperature max(start * decay^n, end)."""

    start: Positive = 2.0
    end: Positive = 0.5
    decay: Positive = 0.999995


class SpanConfig(Config):
    """Masked spans: `probability` * T / `length` spans are drawn (a budget: where they overlap they cover less)."""

    probability: Annotated[float, Field(ge=0)]
    length: AtLeastOne
    """Frames (or channels) a span, on average."""
    min_spans: Count = 0
    """At least so many in each utterance; none all the same where the probability is 0."""
    shape: Shape = "static"
    """How lengths are distributed around `length`."""
    spread: Annotated[float, Field(ge=0)] = 0.0
    """uniform: at most so much shorter or longer; normal: the standard deviation."""
    overlap: bool = True
    """Whether spans may overlap; if not, those that find no room are left out."""

    @model_validator(mode="after")
    def _spread_is_used(self) -> SpanConfig:
        if bool(self.spread) != (self.shape in ("uniform", "normal")):
            raise ValueError(f"spread = {self.spread} does not go with shape {self.shape}")
        if self.shape == "uniform" and self.spread >= self.length:
            raise ValueError(f"uniform spans of {self.length} frames, {self.spread} more or less: some have none")
        return self


class CheckpointConfig(Config):
    """When to save, and how many to keep (at least two: the newest may be the one that was being written)."""

    every: AtLeastOne = 1000
    keep: Annotated[int, Field(ge=2)] = 2


class HealthConfig(Config):
    """Early warnings from the run's own metrics."""

    stop: bool = False
    """End the run (exit 3, the checkpoint kept) when it has collapsed; otherwise it is only said."""
    window: AtLeastOne | None = None
    """Updates that are judged together; a hundredth of the run, 50 to 1000, when not given."""


class LoopConfig(Config):
    """What the training loop reads, whatever it trains."""

    seed: int = 1
    updates: AtLeastOne
    data: ReadingConfig
    batch: UpdateConfig
    optim: OptimConfig
    checkpoint: CheckpointConfig = CheckpointConfig()
    average: Count = 0
    """At the end the mean of so many checkpoints' weights goes to `model-average/`; 0: none does."""
    health: HealthConfig = HealthConfig()
    valid_every: AtLeastOne = 1000
    valid_from: Count = 0
    """First update at which to validate (fine-tuning of few labels validates after the encoder is unfrozen)."""
    log_every: AtLeastOne = 50
    """Updates between two looks at the losses (each update still has its row in metrics.jsonl)."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on a GPU that computes in it (A100 and newer), fp16 on an older one, fp32 on a CPU. Norms, softmax and
    losses are fp32 in every case."""
    tensorboard: bool = True

    @model_validator(mode="after")
    def _keeps_what_it_averages(self) -> LoopConfig:
        if self.average > self.checkpoint.keep:
            raise ValueError(
                f"average = {self.average} checkpoints, and checkpoint.keep = {self.checkpoint.keep} are kept"
            )
        return self


class RunConfig(LoopConfig):
    """What pre-training and fine-tuning share."""

    model: str
    """A name from the zoo (new weights) or a model folder."""
    overrides: dict[str, Any] = {}
    """Fields of the model's config to change, e.g. its dropouts."""
    data: DataConfig = DataConfig()
    batch: BatchConfig
    attention: Literal["auto", "plain", "fused"] = "auto"
    """Of SEW-D: auto takes the fused kernels on a GPU in half precision if they agree with the plain path in a small case;
    plain never takes them, fused takes them unchecked."""


class PretrainConfig(RunConfig):
    """SEW section 4.1: 100,000 updates of 5600 s, learning rate 5e-4, masks of 10 frames."""

    model: str = "sew-tiny"
    updates: AtLeastOne = 100_000
    data: DataConfig = DataConfig(min_seconds=2.0)
    crop_seconds: Positive = 15.625
    """Longest piece of an utterance (250,000 samples at 16 kHz)."""
    batch: BatchConfig = BatchConfig(seconds=5600, micro_seconds=87.5)
    optim: OptimConfig = OptimConfig(lr=5e-4, eps=1e-6, weight_decay=0.01)
    schedule: PolynomialSchedule = PolynomialSchedule()
    time_mask: SpanConfig = SpanConfig(probability=0.65, length=10, min_spans=2)
    predict_edges: AtLeastOne | None = None
    """Predict only masked frames so near to one that is not masked; all of them when not given."""
    temperature: TemperatureConfig = TemperatureConfig()

    @model_validator(mode="after")
    def _masks_something(self) -> PretrainConfig:
        if not self.time_mask.probability:
            raise ValueError("time_mask.probability = 0: nothing is masked, so there is nothing to predict")
        return self


class RecogniserConfig(RunConfig):
    """What trainings of a recogniser share."""

    overrides: dict[str, Any] = {
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.1,
        "input_dropout": 0.0,
        "final_dropout": 0.0,
        "layer_drop": 0.1,
    }
    extractor_gradient: Annotated[float, Field(ge=0)] = 0.0
    """Scale of the gradient into the wave feature extractor; 0 leaves it as pre-trained."""
    select: Literal["auto", "wer", "cer"] = "auto"
    """Error rate on the validation cuts that chooses the best model; auto: cer where blanks separate no words, wer elsewhere.
    Of a vocabulary of phones it is their error rate."""
    keep_zeros: bool = False
    """Weights of the transformer layers' matrices that are exactly zero stay zero (after `sew prune --magnitude`)."""
    time_mask: SpanConfig = SpanConfig(probability=0.65, length=10, min_spans=2)
    channel_mask: SpanConfig = SpanConfig(probability=0.5, length=64)


class FinetuneConfig(RecogniserConfig):
    """CTC on letters; rates, lengths and dropouts are by default those of the authors' config for 100 hours."""

    updates: AtLeastOne = 80_000
    batch: BatchConfig = BatchConfig(seconds=1600, micro_seconds=200)
    optim: OptimConfig = OptimConfig(lr=3e-5, eps=1e-8)
    schedule: TriStageSchedule = TriStageSchedule()
    vocabulary: str | None = None
    """File of the symbols to write (vocab.json, or a text file with one a line); the 32 of English when not given."""
    new_head: bool = False
    """Take the encoder alone of a model that is a recogniser already, for other symbols: a published CTC model for a language
    of one's own."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Changes of the waves: speed, rooms, noise."""
    freeze_updates: Count = 0
    """Updates in which only the CTC layer learns."""


class TextsConfig(ReadingConfig):
    """Texts of a language model, a sentence a line (.gz too)."""

    dir: str = "data/librispeech"
    """Folder that `sew prep` wrote, or one with lhotse cuts, or a manifest."""
    train: Names = ()
    """Files to train on; the training transcripts `text_train*.txt` and `lm/text.txt.gz` when none is given."""
    valid: Names = ()
    """Files to validate on; `text_dev*.txt` when none is given."""


class TokensConfig(UpdateConfig):
    """Tokens per update. An update is round(tokens / micro_tokens) micro-batches, dealt out over the ranks."""

    unit = "tokens"
    speed = ("tokens_per_second", "tokens/s")
    samples = 1
    shorter = "a shorter transformer.context"

    tokens: AtLeastOne = 8192
    """Tokens an update, over all GPUs and accumulation steps."""
    micro_tokens: AtLeastOne = 8192
    """Padded tokens a forward pass."""


class TokenizerConfig(Config):
    """What a language model's tokens are."""

    kind: Literal["bpe", "unigram", "word"] = "bpe"
    """bpe and unigram: pieces of words, which spell any word; word: whole words, of which rare ones are <unk>."""
    size: Annotated[int, Field(ge=8)] = 2000
    """Tokens at most."""


class TransformerConfig(Config):
    """A Transformer that predicts the next token: GPT-2's, small."""

    layers: AtLeastOne = 4
    heads: AtLeastOne = 4
    width: AtLeastOne = 256
    context: Annotated[int, Field(ge=8)] = 256
    """Tokens that a prediction may look back on; longer sentences are cut into pieces."""
    dropout: Share = 0.1

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class LanguageModelConfig(LoopConfig):
    """A small Transformer language model; sizes for transcripts of some hours to some million words of text."""

    updates: AtLeastOne = 10_000
    data: TextsConfig = TextsConfig()
    batch: TokensConfig = TokensConfig()
    optim: OptimConfig = OptimConfig(lr=1e-3, eps=1e-8, weight_decay=0.01, clip_norm=1.0)
    schedule: TriStageSchedule = TriStageSchedule(warmup=0.05, hold=0.45)
    tokenizer: TokenizerConfig = TokenizerConfig()
    transformer: TransformerConfig = TransformerConfig()
    valid_every: AtLeastOne = 500
