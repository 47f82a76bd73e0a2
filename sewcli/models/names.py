"""Tensor names: ours and those that `transformers` gives SEW, SEW-D and Wav2Vec2 models, as one table used both ways.

A row maps a module or a tensor; `{}` stands for a number, `~` for the encoder's prefix in a model with a head.
What pre-training adds has the names of `Wav2Vec2ForPreTraining`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PREFIXES = {"wav2vec2": "wav2vec2", "sew": "sew", "sew-d": "sew_d"}

COMMON = {
    "encoder.mask_vector": "~.masked_spec_embed",
    "encoder.extractor.convolutions.{}": "~.feature_extractor.conv_layers.{}.conv",
    "encoder.extractor.norms.{}": "~.feature_extractor.conv_layers.{}.layer_norm",
    "encoder.extractor.output": "~.feature_extractor.output",
    "encoder.context.position.bias": "~.encoder.pos_conv_embed.conv.bias",
    "encoder.context.position.gain": "~.encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.context.position.direction": "~.encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "encoder.context.upsample.projection": "~.encoder.upsample.projection",
    "head": "lm_head",
    "upsample": "output_upsample",
    "quantizer.codebook": "quantizer.codevectors",
    "quantizer.choice": "quantizer.weight_proj",
    "target_head": "project_q",
    "context_head": "project_hid",
}
PLAIN_LAYERS = {
    "encoder.context.norm": "~.encoder.layer_norm",
    "encoder.context.layers.{}.attention.query": "~.encoder.layers.{}.attention.q_proj",
    "encoder.context.layers.{}.attention.key": "~.encoder.layers.{}.attention.k_proj",
    "encoder.context.layers.{}.attention.value": "~.encoder.layers.{}.attention.v_proj",
    "encoder.context.layers.{}.attention.output": "~.encoder.layers.{}.attention.out_proj",
    "encoder.context.layers.{}.attention_norm": "~.encoder.layers.{}.layer_norm",
    "encoder.context.layers.{}.expand": "~.encoder.layers.{}.feed_forward.intermediate_dense",
    "encoder.context.layers.{}.contract": "~.encoder.layers.{}.feed_forward.output_dense",
    "encoder.context.layers.{}.output_norm": "~.encoder.layers.{}.final_layer_norm",
}
DISENTANGLED_LAYERS = {
    "encoder.context.norm": "~.encoder.encoder.LayerNorm",
    "encoder.context.positions": "~.encoder.encoder.rel_embeddings",
    "encoder.context.layers.{}.attention.query": "~.encoder.encoder.layer.{}.attention.self.query_proj",
    "encoder.context.layers.{}.attention.key": "~.encoder.encoder.layer.{}.attention.self.key_proj",
    "encoder.context.layers.{}.attention.value": "~.encoder.encoder.layer.{}.attention.self.value_proj",
    "encoder.context.layers.{}.attention.output": "~.encoder.encoder.layer.{}.attention.output.dense",
    "encoder.context.layers.{}.attention_norm": "~.encoder.encoder.layer.{}.attention.output.LayerNorm",
    "encoder.context.layers.{}.expand": "~.encoder.encoder.layer.{}.intermediate.dense",
    "encoder.context.layers.{}.contract": "~.encoder.encoder.layer.{}.output.dense",
    "encoder.context.layers.{}.output_norm": "~.encoder.encoder.layer.{}.output.LayerNorm",
}
SQUEEZED_FEATURES = {
    "encoder.feature_norm": "~.layer_norm",
    "encoder.projection": "~.feature_projection",
}
WAV2VEC2_FEATURES = {
    "encoder.feature_norm": "~.feature_projection.layer_norm",
    "encoder.projection": "~.feature_projection.projection",
}
TABLES = {
    "wav2vec2": COMMON | PLAIN_LAYERS | WAV2VEC2_FEATURES,
    "sew": COMMON | PLAIN_LAYERS | SQUEEZED_FEATURES,
    "sew-d": COMMON | DISENTANGLED_LAYERS | SQUEEZED_FEATURES,
}
OLDER = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


def hugging_face_names(family: str, names: Iterable[str]) -> dict[str, str]:
    """Our tensor names -> Hugging Face's, for a model of this family."""
    return {name: _translate(name, TABLES[family]).replace("~", PREFIXES[family]) for name in names}


def current_name(name: str) -> str:
    """The name that transformers 5 gives a tensor which older versions saved as `weight_g` or `weight_v`."""
    for old, new in OLDER.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _translate(name: str, table: dict[str, str]) -> str:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):  # the longest row that fits; what follows it is the same on both sides
        start = ".".join(parts[:end])
        numbers = re.findall(r"(?<=\.)\d+(?=\.|$)", start)
        row = table.get(re.sub(r"(?<=\.)\d+(?=\.|$)", "{}", start))
        if row is not None:
            return ".".join([row.format(*numbers), *parts[end:]])
    raise KeyError(f"no Hugging Face name for {name}")
