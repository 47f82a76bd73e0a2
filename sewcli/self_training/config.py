"""What self-training is made of: rounds of labelling and fine-tuning, each with settings of its own verb.

Sources: Xu et al. 2021 (one round, the pre-trained model fine-tuned again on true and made labels; the final model may be
another one), Xu et al. 2020 (Iterative pseudo-labelling: the model goes on from round to round).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sewcli.base.config import Config
from sewcli.self_training.label_config import LabelConfig
from sewcli.training.config import Names

AtLeastOne = Annotated[int, Field(ge=1)]


class SelfTrainingConfig(Config):
    """Rounds of self-training."""

    model: str
    """A recogniser, or a pre-trained model, which the true labels alone then make a recogniser of (round 0)."""
    data: str = "data/librispeech"
    """Folder that `sew prep` wrote."""
    untranscribed: Names = ()
    """Splits to label; cuts that also stand in a labelled split are passed over."""
    labelled: Names | None = None
    """Splits with true labels; all other train* when not given."""
    test: Names | None = None
    """Splits to tell word error rates of; all dev* and test* when not given."""
    rounds: AtLeastOne = 1
    """How often audio is labelled and a model fine-tuned on it (more are not always better: see the table)."""
    begin: Literal["start", "last"] = "start"
    """What a round fine-tunes: the model that self-training started from, or that of the round before."""
    labelled_times: AtLeastOne = 1
    """How often an epoch takes the true labels; few true labels are soon outnumbered."""
    final: str | None = None
    """Another model, fine-tuned at the end on labels of the last round's: a pre-trained folder, or a name of the zoo whose
    pre-training is in exp/NAME."""
    label: LabelConfig = LabelConfig()
    """The search and the filters."""
    recipe: str | None = None
    """Recipe of each fine-tuning: a name of `sew recipes`, or a YAML file."""
    supervised_recipe: str | None = None
    """That of round 0, which has the true labels alone; `recipe` when not given."""
    finetune: dict[str, Any] = {}
    """What differs from it, e.g. `{updates: 5000}`."""
    supervised: dict[str, Any] = {}
    """What differs from that in round 0."""
    final_finetune: dict[str, Any] = {}
    """What differs from that for the final model."""
