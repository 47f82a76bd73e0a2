"""What pseudo-labelling is made of: the search that transcribes, and the filters that choose among its texts.

Sources: Kahn et al. 2020 (Self-training for end-to-end speech recognition, section 3.2: n-grams that repeat, scores by
length, a share kept); Xu et al. 2021 (Self-training and pre-training are complementary: beam search with a language model,
rescored by a Transformer, and no filter). The n-grams' length and number are Kahn et al.'s, from the paper's text, not held
against their code; the share kept and the least and most of each rate are ours, without a source.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sewcli.base.config import Config
from sewcli.decoding.best_path import BEST_PATHS

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Measure = Literal["confidence", "margin", "agreement", "score"]


class SearchConfig(Config):
    """How audio that nobody transcribed is decoded."""

    beam: AtLeastOne = 50
    """Hypotheses kept at each frame."""
    weights: str = "paper"
    """Weights of the search: a name, or what `sew tune` wrote."""
    nbest: AtLeastOne = 100
    """Texts that a rescoring chooses from."""
    rescore_weights: str | None = None
    """The weights.json of `sew rescore --tune`, or its folder; without it the neural model's weight is a guess."""
    jobs: Annotated[int, Field(ge=0)] | None = None
    """Decoder processes; a few when not given."""
    save_hours: Positive = 10.0
    """Audio between two saves: what a kill can cost (more where a split would be cut into more than 64 pieces)."""


class FilterConfig(Config):
    """Which texts become labels. A text must pass all of these; `keep` then takes the best of those that do."""

    keep: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the texts that pass the other filters, the best by `rank`."""
    rank: Measure = "confidence"
    """confidence: exp(acoustic score / letters); margin: the same of what the text costs against the greedy path;
    agreement: 1 - the letter error rate of greedy decoding against the text; score: of the whole search, by letters."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    """A text of a lower confidence is rejected, whatever the share."""
    min_agreement: float | None = None
    """A text of a lower agreement is rejected; all pass when not given."""
    letters_per_second: tuple[NotNegative, Positive] = (0.5, 30.0)
    """Least and most of the text by the length of its audio; a single short word may take a few seconds of a phone call."""
    words_per_second: tuple[NotNegative, Positive] = (0.3, 8.0)
    """Least and most, as with letters."""
    repeat_length: AtLeastOne = 4
    """Words of the n-grams that may not repeat."""
    max_repeats: AtLeastOne = 2
    """How often one of them may stand in a text."""
    min_seconds: Positive = 0.1
    """Shorter cuts are not decoded."""
    max_seconds: Positive = 40.0
    """Longer cuts are not decoded: fine-tuning would leave them out."""

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> FilterConfig:
        for name in ("letters_per_second", "words_per_second"):
            least, most = getattr(self, name)
            if least >= most:
                raise ValueError(f"{name}: nothing lies between {least} and {most}")
        if self.min_seconds >= self.max_seconds:
            raise ValueError(f"no cut is longer than {self.min_seconds} and shorter than {self.max_seconds} s")
        return self


class LabelConfig(Config):
    """Pseudo-labelling."""

    lm: str = "4gram"
    """Language model of the search: a name in the data folder's lm/, or a file; none is greedy decoding."""
    rescore: str | None = None
    """A neural language model (`sew lm train`), which rescores the search's best texts."""
    search: SearchConfig = SearchConfig()
    filter: FilterConfig = FilterConfig()

    @model_validator(mode="after")
    def _rescores_a_search(self) -> LabelConfig:
        if self.rescore and self.lm in BEST_PATHS:
            raise ValueError(f"lm {self.lm} finds one text only: rescore has nothing to choose from")
        if self.search.rescore_weights and not self.rescore:
            raise ValueError("search.rescore_weights has no effect without rescore")
        return self
