"""`config.json`: our config as the keys that `transformers` reads, and back.

What `transformers` has no key for (predictor heads, loss weights, our name) stands under one key, "sew". Keys that
would change the computation in a way we do not have are refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sewcli.base.config import build
from sewcli.base.errors import DataError, SewError
from sewcli.models.config import ModelConfig
from sewcli.text.tokens import Vocabulary

OWN_KEY = "sew"
BEYOND = "sewcli-"  # before the model type of what transformers has no class for, so that it refuses the folder
CLASSES = {"wav2vec2": "Wav2Vec2", "sew": "SEW", "sew-d": "SEWD"}

COMMON = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feedforward": "intermediate_size",
    "extractor_channels": "conv_dim",
    "extractor_kernels": "conv_kernel",
    "extractor_strides": "conv_stride",
    "extractor_norm": "feat_extract_norm",
    "extractor_bias": "conv_bias",
    "position_kernel": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
    "norm_eps": "layer_norm_eps",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "input_dropout": "feat_proj_dropout",
    "final_dropout": "final_dropout",
    "layer_drop": "layerdrop",
}
KEYS = {
    "wav2vec2": COMMON
    | {
        "norm_first": "do_stable_layer_norm",
        "feature_dropout": "feat_quantizer_dropout",
        "codebook_groups": "num_codevector_groups",
        "codebook_entries": "num_codevectors_per_group",
        "code_width": "codevector_dim",
        "prediction_width": "proj_codevector_dim",
        "negatives": "num_negatives",
        "logit_temperature": "contrastive_logits_temperature",
        "diversity_weight": "diversity_loss_weight",
    },
    "sew": COMMON | {"squeeze": "squeeze_factor"},
    "sew-d": COMMON
    | {
        "squeeze": "squeeze_factor",
        "position_buckets": "position_buckets",
        "max_positions": "max_position_embeddings",
        "feature_norm_eps": "feature_layer_norm_eps",
    },
}
DEFAULTS: dict[str, Any] = {  # of transformers, where they differ from ours: its files may leave defaults out
    "conv_dim": (64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512),
    "conv_kernel": (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
    "conv_stride": (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "num_conv_pos_embeddings": 128,
}
WAV2VEC2_DEFAULTS = {
    "conv_dim": (512,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
}
FIXED: dict[str, tuple[Any, ...]] = {  # key -> what it may say; the first is written
    "hidden_act": ("gelu", "gelu_python"),
    "feat_extract_activation": ("gelu",),
    "add_adapter": (False,),
    "adapter_attn_dim": (None,),
    "position_embeddings_type": (None,),
    "share_att_key": (True,),
    "relative_attention": (True,),
    "norm_rel_ebd": ("layer_norm",),
    "max_relative_positions": (-1,),
}
NEEDED = {
    "adapter_attn_dim": "it has an adapter of its language in each layer, as MMS models have, and sew has none: "
    "take a model without adapters",
    "add_adapter": "it has convolutions behind its encoder, which sew has not: take a model without add_adapter",
}
WRITTEN = {
    "wav2vec2": ("hidden_act", "feat_extract_activation", "add_adapter"),
    "sew": ("hidden_act", "feat_extract_activation"),
    "sew-d": ("hidden_act", "feat_extract_activation", "share_att_key", "relative_attention", "norm_rel_ebd"),
}


ALIASES = {"hubert": "wav2vec2"}
"""Model types of the same network as one of ours, and its name here."""
ALIKE: dict[str, tuple[Any, ...]] = {"feat_proj_layer_norm": (True,), "conv_pos_batch_norm": (False,)}
"""Options of these that we do not have otherwise."""
LACKING = {
    "wavlm": "gated relative position biases in its attention",
    "data2vec-audio": "several position convolutions, each with a norm",
    "wav2vec2-conformer": "conformer layers: convolutions, and rotary or relative positions",
    "wav2vec2-bert": "conformer layers over mel features",
    "unispeech": "heads of its own pre-training",
    "unispeech-sat": "heads of its own pre-training",
    "mctct": "conformer-like layers over mel features",
    "parakeet_ctc": "conformer layers over mel features",
    "whisper": "a decoder that writes text, not CTC",
}
"""Related model types, and what reading one would need that is not here."""


def class_of(content: Mapping[str, Any], where: Path) -> str:
    """The beginning of the names of a folder's classes in `transformers`, e.g. SEWD.

    Raises:
        DataError: another kind of model.
    """
    return CLASSES[_family(content, where)]


def _family(content: Mapping[str, Any], where: Path) -> str:
    stated = content.get("model_type")
    named = str(stated).removeprefix(BEYOND)
    family = ALIASES.get(named, named)
    if family in KEYS:
        return family
    known = f"sew reads {', '.join([*KEYS, *ALIASES])}"
    if stated is None:
        raise DataError(
            "invalid-model-config", "no model_type", where=where, hint=f"write the model's type into it; {known}"
        )
    lacks = f" (it has {LACKING[named]})" if named in LACKING else ""
    raise DataError("model-type-unsupported", f"a model of type {named!r}{lacks}", where=where, hint=known)


def to_hugging_face(config: ModelConfig, head: str, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """The contents of `config.json`.

    Args:
        config: the model's.
        head: "ForCTC" or "ForPreTraining".
        vocabulary: the symbols of the CTC layer, if there is one.
    """
    values = config.model_dump(mode="json")
    keys = KEYS[config.family]
    beyond = not config.standard_encoder or (head == "ForPreTraining" and not config.standard_targets)
    result: dict[str, Any] = {
        "architectures": [("Sewcli" if beyond else "") + CLASSES[config.family] + head],
        "model_type": (BEYOND if beyond else "") + config.family,
    }
    result |= {keys[field]: value for field, value in values.items() if field in keys}
    result |= {key: FIXED[key][0] for key in WRITTEN[config.family]}
    if config.family == "sew-d":
        result["pos_att_type"] = ["p2c", "c2p"]
    ends: dict[str, int | None] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if vocabulary is not None:
        result["vocab_size"] = len(vocabulary)
        tokens, roles = vocabulary.tokens, vocabulary.roles.names
        ends = {
            f"{role}_id": tokens.index(roles[role]) if role in roles else None for role in ("bos_token", "eos_token")
        }
        ends["pad_token_id"] = vocabulary.blank
    result |= {"apply_spec_augment": True, "mask_time_prob": 0.65, "mask_time_length": 10}
    result |= {"mask_feature_prob": 0.0, "mask_feature_length": 64}
    result |= {**ends, "ctc_zero_infinity": True}
    result[OWN_KEY] = {field: value for field, value in values.items() if field not in keys and field != "family"}
    return result


def from_hugging_face(content: Mapping[str, Any], where: Path) -> ModelConfig:
    """The config in a `config.json`, written by `sew` or by `transformers`.

    Raises:
        DataError: another kind of model, an option that we do not have, or sizes that do not fit together.
    """
    family = _family(content, where)
    for key, allowed in (FIXED | ALIKE).items():
        if key in content and content[key] not in allowed:
            raise DataError(
                "model-option-unsupported",
                f"{key} = {content[key]!r} is not supported",
                where=where,
                hint=NEEDED.get(key),
            )
    if sorted(content.get("pos_att_type", ("c2p", "p2c"))) != ["c2p", "p2c"]:
        raise DataError(
            "model-option-unsupported", f"pos_att_type = {content['pos_att_type']!r} is not supported", where=where
        )
    own = content.get(OWN_KEY, {})
    if not isinstance(own, dict):
        raise DataError("invalid-model-config", f"the key {OWN_KEY!r} is not a mapping", where=where)
    given = {**DEFAULTS, **(WAV2VEC2_DEFAULTS if family == "wav2vec2" else {}), **content}
    values = {field: given[key] for field, key in KEYS[family].items() if key in given}
    if family == "sew-d":
        values.setdefault("norm_eps", 1e-7)
    else:
        values["feature_norm_eps"] = values.get("norm_eps", 1e-5)
    if family != "wav2vec2":
        values.setdefault("squeeze", 2)
    own = {"name": str(content.get("_name_or_path") or where.parent.name), "predictor": "linear", **own}
    try:
        return build(ModelConfig, {**own, **values, "family": family})
    except SewError as error:
        raise DataError(error.code, error.what, where=where) from None
