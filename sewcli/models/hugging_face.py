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
WRITTEN = {
    "wav2vec2": ("hidden_act", "feat_extract_activation", "add_adapter"),
    "sew": ("hidden_act", "feat_extract_activation"),
    "sew-d": ("hidden_act", "feat_extract_activation", "share_att_key", "relative_attention", "norm_rel_ebd"),
}


def to_hugging_face(config: ModelConfig, head: str, vocabulary_size: int | None) -> dict[str, Any]:
    """The contents of `config.json`.

    Args:
        config: the model's.
        head: "ForCTC" or "ForPreTraining".
        vocabulary_size: outputs of the CTC layer, if there is one.
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
    if vocabulary_size is not None:
        result["vocab_size"] = vocabulary_size
    result |= {"apply_spec_augment": True, "mask_time_prob": 0.65, "mask_time_length": 10}
    result |= {"mask_feature_prob": 0.0, "mask_feature_length": 64}
    result |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "ctc_zero_infinity": True}
    result[OWN_KEY] = {field: value for field, value in values.items() if field not in keys and field != "family"}
    return result


def from_hugging_face(content: Mapping[str, Any], where: Path) -> ModelConfig:
    """The config in a `config.json`, written by `sew` or by `transformers`.

    Raises:
        DataError: another kind of model, an option that we do not have, or sizes that do not fit together.
    """
    family = str(content.get("model_type")).removeprefix(BEYOND)
    if family not in KEYS:
        raise DataError(f"a model of type {family!r}", where=where, mend=f"sew reads {', '.join(KEYS)}")
    for key, allowed in FIXED.items():
        if key in content and content[key] not in allowed:
            raise DataError(f"{key} = {content[key]!r} is not supported", where=where)
    if sorted(content.get("pos_att_type", ("c2p", "p2c"))) != ["c2p", "p2c"]:
        raise DataError(f"pos_att_type = {content['pos_att_type']!r} is not supported", where=where)
    own = content.get(OWN_KEY, {})
    if not isinstance(own, dict):
        raise DataError(f"the key {OWN_KEY!r} is not a mapping", where=where)
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
        raise DataError(error.what, where=where) from None
