"""Any Hugging Face causal language model, by its folder: the log-probability of whole sentences, begin and end included.

log p(text) = sum of log p(token | <s> and the tokens before), the end among the tokens; natural logarithms, nothing divided
by the length. That is what `transformers` calls the loss of the same tokens, times their number.
Legend: B texts of a batch, L tokens with <s> and </s>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from sewcli.base import log
from sewcli.base.errors import DataError, UsageError, quoted
from sewcli.base.files import is_there, read_object
from sewcli.lm.counts import SPECIAL
from sewcli.lm.foreign import (
    CLOSED,
    CONFIG,
    architectures,
    check_causal,
    check_folder,
    check_loaded,
    is_causal,
    not_a_model,
)
from sewcli.lm.tokenizer import require_transformers
from sewcli.text.form import case_of

LOGITS = 1 << 26  # of a batch: 256 MB
MANY_UNKNOWN, MOST_UNKNOWN = 0.05, 0.5  # shares of the tokens


@dataclass(frozen=True)
class Scores:
    """Of each text its log-probability, and of all together how many tokens (the ends included) and unknown ones."""

    log_probs: list[float]
    tokens: int
    unknown: int


class NeuralLanguageModel:
    """A causal language model with its tokenizer.

    Args:
        folder: of the model, or of the experiment that `sew lm train` made.
        device: where it runs.

    Raises:
        UsageError: no such folder, or `transformers` is not installed.
        DataError: not a causal language model, or one without a token to begin with.
    """

    def __init__(self, folder: str | Path, device: torch.device) -> None:
        self.folder = model_folder(folder)
        require_transformers()
        from transformers import AutoModelForCausalLM, AutoTokenizer

        check_folder(self.folder)
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(str(self.folder), **CLOSED)
            self._encoded(["a"])
            found: Any = AutoModelForCausalLM.from_pretrained(
                str(self.folder), use_safetensors=True, dtype=torch.float32, output_loading_info=True, **CLOSED
            )
        except BaseException as error:  # of foreign files anything can be wrong, and each reader has errors of its own
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # that of Rust's readers
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise not_a_model(reason, self.folder) from None
        model, loaded = found
        check_loaded(loaded, self.folder)
        self.model = model.to(device).eval()
        check_causal(self.model, self.folder)
        self.device, config = device, model.config
        self.end = _first(self.tokenizer.eos_token_id, config.eos_token_id)
        self.begin = _first(self.tokenizer.bos_token_id, config.bos_token_id, self.end)
        if self.begin is None:
            raise DataError(
                "tokenizer-misfit", "it has no token to begin a sentence with (bos_token, eos_token)", where=self.folder
            )
        rows = int(config.get_text_config().vocab_size)
        if any(
            type(token) is not int or not 0 <= token < rows for token in (self.begin, self.end) if token is not None
        ):
            raise DataError(
                "tokenizer-misfit",
                f"its first and last tokens are {quoted((self.begin, self.end))}, and it has {rows:,}",
                where=self.folder,
            )
        self.context = int(getattr(config, "max_position_embeddings", None) or 1 << 30)
        vocabulary = self.tokenizer.get_vocab()
        self.case = case_of([token for token in vocabulary if token not in SPECIAL])
        """In which case its tokens are: upper, lower, mixed or none."""

    @property
    def name(self) -> str:
        """Short, for folders and tables."""
        return short_name(self.folder)

    def adapted(self, texts: Sequence[str]) -> list[str]:
        """The texts in the case of the model; of a model with both cases, in lower case."""
        given = case_of([word for text in texts for word in text.split()])
        if given in ("mixed", "none", self.case) or self.case == "none":
            return list(texts)
        if self.case == "mixed":
            log.info(f"{self.folder} knows both cases: it is given the texts in lower case")
        return [text.upper() if self.case == "upper" else text.lower() for text in texts]

    @torch.inference_mode()
    def score(self, texts: Sequence[str], title: str = "neural language model") -> Scores:
        """Log-probabilities, in the order of the texts; equal texts are scored once.

        Raises:
            DataError: most of the texts' tokens are unknown to it.
        """
        distinct = list(dict.fromkeys(texts))
        sequences = [self._sequence(ids) for ids in self._encoded(distinct)]
        width = int(self.model.config.get_text_config().vocab_size)
        if any(ids and not 0 <= min(ids) <= max(ids) < width for ids in sequences):
            raise DataError(
                "tokenizer-misfit",
                f"its tokenizer has other tokens than its {width:,}",
                where=self.folder,
                hint="tokenizer and model are of two models: copy the folder again",
            )
        pieces = [piece for number, ids in enumerate(sequences) for piece in self._pieces(number, ids)]
        pieces.sort(key=lambda piece: -len(piece.ids))
        totals = [0.0] * len(distinct)
        with log.progress(title, len(pieces)) as bar:
            while pieces:
                number = max(1, LOGITS // (width * len(pieces[0].ids)))
                batch, pieces = pieces[:number], pieces[number:]
                for piece, value in zip(batch, self._forward(batch), strict=True):
                    totals[piece.number] += value
                bar.advance(len(batch))
        found = dict(zip(distinct, totals, strict=True))
        return Scores(
            [found[text] for text in texts], *self._counted(dict(zip(distinct, sequences, strict=True)), texts)
        )

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return [[int(token) for token in each] for each in ids]

    def _sequence(self, ids: list[int]) -> list[int]:
        assert self.begin is not None
        return [self.begin, *ids] if self.end is None else [self.begin, *ids, self.end]

    def _counted(self, sequences: dict[str, list[int]], texts: Sequence[str]) -> tuple[int, int]:
        mark = self.tokenizer.unk_token_id
        mark = mark if type(mark) is int else None
        mark = None if mark in (self.begin, self.end) else mark  # GPT-2 has one token for all three
        tokens = sum(len(sequences[text]) - 1 for text in texts)
        unknown = sum(sequences[text].count(mark) for text in texts) if mark is not None else 0
        if unknown > MOST_UNKNOWN * tokens:
            raise DataError(
                "tokenizer-unknown-tokens",
                f"{unknown} of the {tokens} tokens of these texts are unknown to it (e.g. in {texts[0]!r})",
                where=self.folder,
                hint="use a model of text in the same language, case and form",
            )
        if unknown > MANY_UNKNOWN * tokens:
            log.warn(f"{self.folder} does not know {unknown} of {tokens} tokens")
        return tokens, unknown

    def _pieces(self, number: int, ids: list[int]) -> list[_Piece]:
        """The whole sequence; a longer one than the context in pieces that overlap by half, each token scored once."""
        pieces, begin, done = [], 0, 1
        while done < len(ids):
            window = ids[begin : begin + self.context]
            pieces.append(_Piece(number, window, done - begin))
            done = begin + len(window)
            begin += self.context // 2
        return pieces

    def _forward(self, batch: list[_Piece]) -> list[float]:
        longest = max(len(piece.ids) for piece in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)  # (B, L)
        mask, wanted = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, piece in enumerate(batch):
            ids[row, : len(piece.ids)] = torch.tensor(piece.ids)
            mask[row, : len(piece.ids)] = 1
            wanted[row, piece.first : len(piece.ids)] = 1
        ids, mask, wanted = ids.to(self.device), mask.to(self.device), wanted.to(self.device)
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
        nats = functional.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")  # (B, L-1)
        found: list[float] = (-(nats * wanted[:, 1:]).double().sum(dim=1)).tolist()
        return found


@dataclass(frozen=True)
class _Piece:
    """Tokens of text `number`, of which those from `first` on are scored."""

    number: int
    ids: list[int]
    first: int


def model_folder(given: str | Path) -> Path:
    """`exp/NAME/model` of `exp/NAME`.

    Raises:
        UsageError: there is no model.
    """
    folder = Path(given)
    for place in (folder, folder / "model"):
        if is_there(place / CONFIG):
            return place
    raise UsageError(
        "lm-not-found",
        "no neural language model here",
        where=folder,
        hint="first run: sew lm train, or give a Hugging Face folder",
    )


def short_name(folder: Path) -> str:
    """What a model is called: its experiment, or its folder."""
    return folder.parent.name if folder.name == "model" else folder.name


def is_neural(given: str | Path) -> bool:
    """Whether it is a folder with a causal language model, by its config."""
    for place in (Path(given), Path(given) / "model"):
        try:
            return any(map(is_causal, architectures(read_object(place / CONFIG))))
        except DataError:
            continue
    return False


def _first(*ids: int | list[int] | None) -> int | None:
    """The first that is given; some models list several ends."""
    for found in ids:
        if isinstance(found, list):
            return found[0]
        if found is not None:
            return found
    return None
