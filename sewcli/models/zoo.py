"""The models of the papers by name, as data (SEW tables 5, 6, 10 and 13; wav2vec 2.0 section 4).

Where table 5 and the authors' code or parameter counts disagree, the row holds what was trained: SEW-D-base and base+
are 768 wide, kernels are 31 unless the name ends in -k127, and 24-layer models drop a layer with probability 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sewcli.base.config import build, merge
from sewcli.base.errors import UsageError, nearest
from sewcli.models.config import ModelConfig
from sewcli.models.variants import vary, wave_features


@dataclass(frozen=True)
class Row:
    """One model of the table; everything else follows from the family."""

    family: Literal["wav2vec2", "sew", "sew-d"]
    channels: int
    """c of the extractor."""
    width: int
    layers: int
    kernel: int
    layer_drop: float = 0.05
    description: str = ""
    changes: tuple[tuple[str, Any], ...] = ()


OURS = "ours, not the papers': small enough to train on one CPU core"
MICRO: tuple[tuple[str, Any], ...] = (("predictor_hidden", 512), ("codebook_entries", 32), ("prediction_width", 128))

TABLE: dict[str, Row] = {
    "w2v2-tiny": Row("wav2vec2", 256, 256, 12, 128),
    "w2v2-small": Row("wav2vec2", 384, 384, 12, 128),
    "w2v2-mid": Row("wav2vec2", 512, 512, 12, 128),
    "w2v2-base": Row("wav2vec2", 512, 768, 12, 128),
    "w2v2-large": Row("wav2vec2", 512, 1024, 24, 128, 0.2, changes=(("code_width", 768), ("prediction_width", 768))),
    "w2v2-large-lv60k": Row(
        "wav2vec2",
        512,
        1024,
        24,
        128,
        0.0,
        "W2V2-large as table 5 describes it: LayerNorm in the extractor, as trained on 60k hours",
        (
            ("code_width", 768),
            ("prediction_width", 768),
            ("extractor_norm", "layer"),
            ("extractor_bias", True),
            ("norm_first", True),
            ("penalty_weight", 0.0),
        ),
    ),
    "sew-tiny": Row("sew", 64, 512, 12, 31),
    "sew-small": Row("sew", 64, 768, 12, 31),
    "sew-mid": Row("sew", 64, 768, 24, 31, 0.2),
    "sew-small-k127": Row("sew", 64, 768, 12, 127),
    "sew-mid-k127": Row("sew", 64, 768, 24, 127, 0.2),
    "sew-d-tiny": Row("sew-d", 64, 384, 12, 31),
    "sew-d-small": Row("sew-d", 64, 512, 12, 31),
    "sew-d-mid": Row("sew-d", 64, 512, 24, 31, 0.2),
    "sew-d-base": Row("sew-d", 64, 768, 24, 31, 0.2),
    "sew-d-base-plus": Row("sew-d", 96, 768, 24, 31, 0.2),
    "sew-d-tiny-k127": Row("sew-d", 64, 384, 12, 127),
    "sew-d-small-k127": Row("sew-d", 64, 512, 12, 127),
    "sew-d-mid-k127": Row("sew-d", 64, 512, 24, 127, 0.2),
    "w2v2-micro": Row("wav2vec2", 28, 64, 4, 31, 0.0, f"{OURS}, as fast there as sew-micro", MICRO),
    "sew-micro": Row("sew", 16, 128, 4, 31, 0.0, OURS, (("layer_by_layer", False), *MICRO)),
    "sew-d-micro": Row("sew-d", 16, 128, 4, 31, 0.0, OURS, (("layer_by_layer", False), *MICRO)),
}
ALIASES = {"sew-d-base+": "sew-d-base-plus"}


def lookup(name: str) -> ModelConfig:
    """The config of a model of the zoo, or of a variant of one such as `sew-tiny+wfe-c-c48-l1+k127`.

    Raises:
        UsageError: no such name, or parts that do not fit together.
    """
    if name in ALIASES:
        return lookup(ALIASES[name])
    base, *parts = name.split("+")
    if base not in TABLE:
        raise UsageError(
            "no-such-model",
            f"no model {base!r}{nearest(base, [*TABLE, *ALIASES])}",
            hint="`sew models` lists them; or give a folder",
        )
    config = _config(base, TABLE[base])
    for part in parts:
        config = build(ModelConfig, merge(config.model_dump(), {**vary(config, part), "name": name}), where=name)
    return config


def names() -> list[str]:
    """Every name, without aliases and variants."""
    return list(TABLE)


def overridden(config: ModelConfig, overrides: dict[str, Any]) -> ModelConfig:
    """A model's config with some fields changed, checked again.

    Raises:
        UsageError: no such field, or out of range.
    """
    return build(ModelConfig, merge(config.model_dump(), overrides)) if overrides else config


def describe(name: str) -> str:
    """What is to be said about a model beside its sizes; empty for most."""
    row = TABLE.get(ALIASES.get(name, name))
    return row.description if row else ""


def _config(name: str, row: Row) -> ModelConfig:
    squeezed = row.family != "wav2vec2"
    changes = dict(row.changes)
    layers_between = changes.pop("layer_by_layer", squeezed)
    fields: dict[str, Any] = {
        **wave_features(row.channels, widening=squeezed, layers_between=layers_between),
        "name": name,
        "family": row.family,
        "width": row.width,
        "layers": row.layers,
        "heads": row.width // 64,
        "feedforward": 4 * row.width,
        "position_kernel": row.kernel,
        "squeeze": 2 if squeezed else 1,
        "norm_eps": 1e-7 if row.family == "sew-d" else 1e-5,
        "layer_drop": row.layer_drop,
        "predictor": "mlp-norm" if squeezed else "linear",
    }
    return ModelConfig(**{**fields, **changes})
