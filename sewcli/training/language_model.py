"""Training of a small Transformer language model: GPT-2's architecture, the next token of each sentence as what is learned.

It is a `Task` of the one loop, so checkpoints, resuming, stop signals and several GPUs are those of every training here.
The result is a Hugging Face folder. Shapes: tokens (B, L) with <s> before and </s> behind, logits (B, L, V).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.artifacts.data_folder import text_name
from sewcli.base import dist, log
from sewcli.base.device import choose_device
from sewcli.base.errors import UsageError
from sewcli.base.files import atomic_folder, write_json
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import seed_torch
from sewcli.data.loading import to_device
from sewcli.data.plan import BatchPlan, MicroBatch
from sewcli.lm.counts import BEGIN_ID, END_ID
from sewcli.lm.texts import default_texts, lines_of
from sewcli.lm.tokenizer import require_transformers, train_tokenizer
from sewcli.training.average import average_run
from sewcli.training.config import LanguageModelConfig
from sewcli.training.experiment import keep_fingerprint, open_experiment
from sewcli.training.health import Finding, Row, loss_findings
from sewcli.training.loop import train as train_loop
from sewcli.training.schedule import tri_stage
from sewcli.training.stop import StopFlag
from sewcli.training.task import StepResult, Task

TOKENIZER = "tokenizer"  # folder of an experiment's
IGNORED = -100  # target of padding


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded sentences. Shapes: tokens (B, L) int64, lengths (B,) int64."""

    ids: tuple[str, ...]
    tokens: np.ndarray
    lengths: np.ndarray

    @property
    def samples(self) -> int:
        """Tokens to predict."""
        return int(self.lengths.sum()) - len(self.lengths)


@dataclass(frozen=True)
class Sentences:
    """Tokens of a text, cut into pieces that fit the context. Shapes: tokens (P,) int32, starts (n + 1,) int64.

    words: how many words and ends of sentences there are, which is what a perplexity a word divides by.
    """

    tokens: np.ndarray
    starts: np.ndarray
    words: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, numbers: Sequence[int]) -> TokenBatch:
        """Some of them, side by side."""
        rows = [self.tokens[self.starts[n] : self.starts[n + 1]] for n in numbers]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = np.full((len(rows), int(lengths.max())), END_ID, dtype=np.int64)
        for place, row in zip(tokens, rows, strict=True):
            place[: len(row)] = row
        return TokenBatch(tuple(f"sentence {n + 1}" for n in numbers), tokens, lengths)


class CausalTransformer(nn.Module):
    """GPT-2 whose output layer is its embedding."""

    def __init__(self, config: LanguageModelConfig, vocabulary: int) -> None:
        from transformers import GPT2Config, GPT2Model

        super().__init__()
        size = config.transformer
        self.config = GPT2Config(
            vocab_size=vocabulary,
            n_positions=size.context,
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            resid_pdrop=size.dropout,
            embd_pdrop=size.dropout,
            attn_pdrop=size.dropout,
            bos_token_id=BEGIN_ID,
            eos_token_id=END_ID,
            use_cache=False,
        )
        self.body = GPT2Model(self.config)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, L, V) of the token after each; padding on the right needs no mask."""
        hidden = self.body(input_ids=tokens).last_hidden_state
        logits: Tensor = functional.linear(hidden, self.body.wte.weight)
        return logits

    def save(self, folder: Path) -> None:
        """Write config and weights as `GPT2LMHeadModel` reads them."""
        from transformers import GPT2LMHeadModel

        with torch.random.fork_rng():  # its own weights are drawn and thrown away
            whole = GPT2LMHeadModel(self.config)
        whole.transformer.load_state_dict(self.body.state_dict())
        whole.tie_weights()
        whole.save_pretrained(folder)


class LanguageModelTraining(Task):
    """The task of the loop."""

    lower_is_better = True
    config: LanguageModelConfig
    model: CausalTransformer

    def __init__(
        self, config: LanguageModelConfig, model: CausalTransformer, tokenizer: Any, train: Sentences, valid: Sentences
    ) -> None:
        self.config, self.model, self.tokenizer = config, model, tokenizer
        self.train, self.valid = train, valid
        self.facts: dict[str, str] = {}
        sizes = np.diff(train.starts).tolist()
        self.plan = BatchPlan(sizes, config.batch.micro_tokens, config.batch.micro_batches, config.seed)

    def learning_rate(self, done: int) -> float:
        """Up, constant, down."""
        return tri_stage(done, self.config.optim.lr, self.config.schedule, self.config.updates)

    def load(self, micro_batch: MicroBatch, step: int, number: int) -> TokenBatch:
        """Whole sentences."""
        return self.train.batch(micro_batch)

    def loss(self, batch: TokenBatch, step: int, number: int, device: torch.device) -> StepResult:
        """Cross-entropy, summed over the tokens to predict."""
        return StepResult(
            loss=self._nats(batch, device),
            size=torch.full((), float(batch.samples), device=device),
            sums={},
            means={},
        )

    def _nats(self, batch: TokenBatch, device: torch.device) -> Tensor:
        tokens, lengths = to_device(batch.tokens, device), to_device(batch.lengths, device)
        padding = torch.arange(tokens.shape[1], device=device) >= lengths[:, None]
        logits = self.model(tokens)[:, :-1]
        targets = tokens.masked_fill(padding, IGNORED)[:, 1:]
        return functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(), targets.reshape(-1), ignore_index=IGNORED, reduction="sum"
        )

    @torch.inference_mode()
    def validate(self, step: int, device: torch.device, stop: StopFlag) -> tuple[float, dict[str, Any]] | None:
        """Perplexity a word (comparable with an n-gram model's) and a token, on the validation text."""
        sizes = np.diff(self.valid.starts).tolist()
        updates = BatchPlan(sizes, self.config.batch.micro_tokens, 1, seed=0).epoch(0)
        each: dict[str, tuple[float, int]] = {}
        for number in range(dist.rank(), len(updates), dist.world_size()):
            if stop:
                break
            batch = self.valid.batch(updates[number][0])
            each[str(number)] = float(self._nats(batch, device)), batch.samples
        if dist.any_rank(bool(stop)):
            return None
        every = dist.merged(each)
        nats, tokens = (sum(every[str(number)][part] for number in range(len(updates))) for part in (0, 1))
        figure = _perplexity(nats / self.valid.words)
        self.facts = {"Updates": f"{step:,}", "Perplexity a word (validation)": f"{figure:.1f}"}
        return figure, {"perplexity": figure, "token_perplexity": _perplexity(nats / tokens)}

    def save_model(self, folder: Path) -> None:
        """Write a Hugging Face folder."""
        with atomic_folder(folder) as temporary:
            self.model.save(temporary)
            self.tokenizer.save_pretrained(temporary)
            write_json(temporary / "training.json", self.facts)

    def panel(self, row: Row) -> str:
        """The loss a token, the gradient and the learning rate."""
        loss, gradient = (row.get(name) for name in ("loss", "grad_norm"))
        shown = ["-" if value is None else f"{value:.2f}" for value in (loss, gradient)]
        return f"loss {shown[0]} nats a token, gradient {shown[1]}, lr {row['lr']:.2e}"

    def findings(self, train: Sequence[Row], valid: Sequence[Row], window: int) -> list[Finding]:
        """Whether losses are not finite."""
        return loss_findings(train, window)


def run(config: LanguageModelConfig, exp: Path, device_name: str) -> None:
    """Everything behind `sew lm train`: texts, tokenizer, model, loop.

    Raises:
        SewError: whatever is missing, with the command that comes first.
    """
    require_transformers()
    keep_freed_memory()
    device = choose_device(device_name)
    dist.start(device)
    train, valid = texts_of(config)
    open_experiment(exp, config)
    tokenizer = _tokenizer(config, exp, train)
    seed_torch(config.seed, "initial-weights")
    model = CausalTransformer(config, len(tokenizer))
    texts = {
        name: encode(tokenizer, paths, config.transformer.context)
        for name, paths in (("train", train), ("valid", valid))
    }
    keep_fingerprint(exp, {name: _fingerprint(text) for name, text in texts.items()})
    for name, text in texts.items():
        log.info(f"{name}: {len(text):,} sentences, {text.words:,} words, {len(text.tokens):,} tokens")
    log.info(f"{exp}: {sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens, on {device}")
    task = LanguageModelTraining(config, model, tokenizer, texts["train"], texts["valid"])
    train_loop(task, exp, device)
    average_run(task, exp, device)
    dist.stop()


def texts_of(config: LanguageModelConfig) -> tuple[list[Path], list[Path]]:
    """Files to train and to validate on.

    Raises:
        UsageError: there are none.
    """
    folder = Path(config.data.dir)
    train = [Path(name) for name in config.data.train] or default_texts(folder)
    valid = [Path(name) for name in config.data.valid] or sorted(folder.glob(text_name("dev*")))
    valid = [path for path in valid if not path.is_file() or path.stat().st_size]
    if not train:
        raise UsageError(
            "no-text", "no training transcripts here", where=folder, hint="first run: sew prep, or name text files"
        )
    if not valid:
        raise UsageError(
            "no-text",
            "no text to validate on: no text_dev*.txt here",
            where=folder,
            hint="name one: --set data.valid=FILE",
        )
    if both := set(train) & set(valid):
        raise UsageError(
            "split-in-both", "a text to train and to validate on", where=both.pop(), hint="validate on another text"
        )
    return train, valid


def encode(tokenizer: Any, paths: Sequence[Path], context: int) -> Sentences:
    """A text as tokens; a sentence that is longer than the context is cut into pieces, each with its <s> and </s>.

    Raises:
        DataError: a text cannot be read.
        UsageError: there are no words.
    """
    tokens: list[np.ndarray] = []
    starts, words = [0], 0
    with log.progress("encoding (sentences)", None) as bar:
        for lines in lines_of(paths):
            for line, ids in zip(
                lines, tokenizer(lines, add_special_tokens=False, verbose=False)["input_ids"], strict=True
            ):
                words += len(line.split()) + 1
                for begin in range(0, len(ids), context - 2):
                    piece = [BEGIN_ID, *ids[begin : begin + context - 2], END_ID]
                    tokens.append(np.array(piece, dtype=np.int32))
                    starts.append(starts[-1] + len(piece))
            bar.advance(len(lines))
    if not tokens:
        raise UsageError(
            "no-text", "there are no words in the text", where=paths[0], hint="give text with a sentence a line"
        )
    return Sentences(np.concatenate(tokens), np.array(starts, dtype=np.int64), words)


def _tokenizer(config: LanguageModelConfig, exp: Path, train: Sequence[Path]) -> Any:
    """The tokenizer of the experiment: trained when the run begins, and kept beside its checkpoints."""
    from transformers import PreTrainedTokenizerFast

    folder = exp / TOKENIZER
    if dist.is_main() and not folder.is_dir():
        log.info(f"finding {config.tokenizer.size} tokens ({config.tokenizer.kind}) in {', '.join(map(str, train))}")
        lines = (line for some in lines_of(train) for line in some)
        found = train_tokenizer(lines, config.tokenizer.kind, config.tokenizer.size, config.transformer.context)
        with atomic_folder(folder) as temporary:
            found.save_pretrained(temporary)
    dist.barrier()
    return PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)


def _fingerprint(text: Sentences) -> dict[str, Any]:
    digest = hashlib.sha256(text.tokens.tobytes() + text.starts.tobytes()).hexdigest()
    return {"sentences": len(text), "words": text.words, "sha256": digest}


def _perplexity(nats: float) -> float:
    return math.exp(min(nats, 700.0)) if math.isfinite(nats) else math.inf
