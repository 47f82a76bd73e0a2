"""Which search a `sew decode` makes: its name for folders, what decides its result, and how to build it in a process.

Without a language model it is greedy or Viterbi, in the process of the model; with one, or without a lexicon, flashlight's
beam search.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base.errors import UsageError
from sewcli.base.files import sha256
from sewcli.decoding.beam import EXHAUSTIVE, BeamDecoder, BeamOptions, Search
from sewcli.decoding.best_path import GREEDY, VITERBI
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.lm.bias import NO_BIAS, Bias
from sewcli.lm.files import find_model, model_name, resolve
from sewcli.text.tokens import Vocabulary

HASHED_UP_TO = 1 << 30  # bytes of a language model; a larger one is known by its size and time


@dataclass(frozen=True)
class DecoderPlan:
    """A search.

    name: of the decode folder. options: of a beam search; None for the best path. lm, lexicon: its files, where it has them.
    bias: words and phrases beside them. build: makes its decoder, in any process.
    """

    name: str
    options: BeamOptions | None = None
    lm: Path | None = None
    lexicon: Path | None = None
    bias: Bias = NO_BIAS
    build: Callable[[], Search] | None = None

    def marks(self) -> list[str]:
        """What decides the result, beside the emissions."""
        if self.options is None:
            return [self.name]
        marks = [repr(sorted(self.options.model_dump().items()))]
        if self.lexicon:
            marks.append(f"{self.lexicon.name} {sha256(self.lexicon)}")
        if self.lm:
            facts = self.lm.stat()
            mark = sha256(self.lm) if facts.st_size < HASHED_UP_TO else f"{facts.st_size} {facts.st_mtime_ns}"
            marks.append(f"{self.lm.name} {mark}")
        return marks + self.bias.marks()

    def settings(self) -> dict[str, Any]:
        """Facts for decode.json."""
        return {
            "decoder": self.name,
            "lm": str(self.lm) if self.lm else None,
            "lexicon": str(self.lexicon) if self.lexicon else None,
            **self.bias.settings(),
            **(self.options.settings() if self.options else {"beam": None}),
        }


def plan_decoder(
    lm: str | None, data: Path, vocabulary: Vocabulary, options: BeamOptions, bias: Bias = NO_BIAS
) -> DecoderPlan:
    """Choose the search, and check its files.

    Args:
        lm: None is greedy (without a lexicon: a beam search without a model), `viterbi` the best path by dynamic programming;
            otherwise a name in `data/lm/` or a path.
        data: folder of the prepared corpus.
        vocabulary: of the recogniser.
        options: of the beam search.
        bias: words and phrases beside its files.

    Raises:
        SewError: the model or its lexicon is missing or does not fit, or the search has no use for the words or phrases.
    """
    require_use(bias, beam=options.lexicon_free or lm not in (None, VITERBI), lexicon=not options.lexicon_free)
    if options.lexicon_free:
        if lm == VITERBI:
            raise UsageError(
                "options-conflict", "--lm viterbi has no lexicon to be free of", hint="leave out --lexicon-free"
            )
        model = find_model(lm, data, vocabulary) if lm else None
        name = _name(model_name(model) if model else "no-lm", options, bias)
        search = functools.partial(LexiconFreeDecoder, model, vocabulary, options, bias.boost)
        return DecoderPlan(name, options, model, bias=bias, build=search)
    if lm is None or lm == VITERBI:
        return DecoderPlan(VITERBI if lm else GREEDY)
    files = resolve(lm, data, vocabulary)
    build = functools.partial(BeamDecoder, files, vocabulary, options, bias)
    return DecoderPlan(_name(files.name, options, bias), options, files.model, files.lexicon, bias, build)


def require_use(bias: Bias, *, beam: bool, lexicon: bool = True) -> None:
    """Refuse words and phrases that a search would not look at.

    Raises:
        UsageError: it has no beam, or words where it has no lexicon.
    """
    option = "--words" if bias.words else "--boost"
    if bias and not beam:
        raise UsageError(
            "bias-without-beam", f"{option} needs a beam search; this search takes the best path", hint="add --lm 4gram"
        )
    if bias.words and not lexicon:
        raise UsageError(
            "words-without-lexicon",
            "--words adds to a lexicon, and a search without one may write any word",
            hint="leave out --words, or make the words likelier: --boost",
        )


def _name(model: str, options: BeamOptions, bias: Bias) -> str:
    """`4gram-beam50` with whatever else is not the default: `4gram-beam50-lm_weight1.5`, `6gram-letter-free-beam50`,
    `4gram-beam50-exhaustive`, `4gram-beam50-wav2letter`, `4gram-beam50-words3fa201`.
    """
    told = {"beam", "lexicon_free", "search", *(EXHAUSTIVE if options.exhaustive else ())}
    changed = [
        f"{name}{value}"
        for name, value in options.model_dump(exclude_defaults=True).items()
        if name not in told and not (options.lexicon_free and name == "word_score")
    ]
    papers = options.search == "wav2letter"
    free, wide = ["free"] * options.lexicon_free, ["wav2letter" if papers else "exhaustive"] * options.exhaustive
    return "-".join([model, *free, f"beam{options.beam}", *wide, *changed, *bias.name()])
