"""Tokens of a neural language model: pieces of words (byte-pair encoding or unigram) or whole words, by `tokenizers`.

What comes out is a Hugging Face tokenizer with <unk>, <s> and </s> as ids 0 to 2. Pieces begin a word with `▁`, as in
SentencePiece, and have every letter of the text among them, so that any word of these letters can be spelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from sewcli.base.errors import UsageError
from sewcli.lm.counts import BEGIN, END, SPECIAL, UNKNOWN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Kind = Literal["bpe", "unigram", "word"]


def train_tokenizer(sentences: Iterable[str], kind: Kind, size: int, context: int) -> PreTrainedTokenizerFast:
    """Find the tokens of a text.

    Args:
        sentences: of the text.
        kind: bpe, unigram, or word, where words beyond the `size` most frequent are <unk>.
        size: tokens at most, the three special ones among them.
        context: tokens that the model can look at, for the tokenizer's record.

    Raises:
        UsageError: `transformers` is not installed.
    """
    require_transformers()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    common: dict[str, Any] = {"vocab_size": size, "special_tokens": list(SPECIAL), "show_progress": False}
    model: Any
    trainer: Any
    if kind == "word":
        model, trainer = models.WordLevel(unk_token=UNKNOWN), trainers.WordLevelTrainer(**common)
    elif kind == "bpe":
        model, trainer = models.BPE(unk_token=UNKNOWN), trainers.BpeTrainer(**common)
    else:
        model, trainer = models.Unigram(), trainers.UnigramTrainer(**common, unk_token=UNKNOWN)
    tokenizer: Any = Tokenizer(model)
    if kind == "word":
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(sentences, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, bos_token=BEGIN, eos_token=END, model_max_length=context
    )


def require_transformers() -> None:
    """Import Hugging Face's libraries, which are an extra, and keep them from drawing bars and telling news.

    Raises:
        UsageError: they are not installed.
    """
    try:
        import tokenizers
        from transformers import logging
    except ImportError as error:
        raise UsageError(
            "package-missing",
            f"neural language models need Hugging Face's libraries ({error.name} is missing)",
            hint="pip install 'sewcli[hub]'",
        ) from None
    del tokenizers
    logging.set_verbosity_error()
    logging.disable_progress_bar()
