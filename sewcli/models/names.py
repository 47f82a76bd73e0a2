"""Tensor names: ours, those of `transformers` and those of fairseq, as one table a format and family, used both ways.

A row maps a module or a tensor; `{}` stands for a number, `~` for the encoder's prefix in a model with a head.
What pre-training adds has the names of `Wav2Vec2ForPreTraining` in `transformers`, which knows no SEW pre-training.
fairseq's rows hold for its wav2vec 2.0 and for the SEW authors' models, which are built on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sewcli.models.config import ModelConfig

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
    "encoder.quantizer.codebook": "~.input_quantizer.codevectors",
    "encoder.quantizer.choice": "~.input_quantizer.weight_proj",
    "quantizer.codebook": "quantizer.codevectors",
    "quantizer.choice": "quantizer.weight_proj",
    "target_extractor.convolutions.{}": "target_extractor.conv_layers.{}.conv",
    "target_extractor.norms.{}": "target_extractor.conv_layers.{}.layer_norm",
    "target_extractor.output": "target_extractor.output",
    "target_norm": "target_layer_norm",
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
FAIRSEQ_FEATURES = {
    "encoder.mask_vector": "~.mask_emb",
    "encoder.extractor.convolutions.{}": "~.feature_extractor.conv_layers.{}.0",
    "encoder.feature_norm": "~.layer_norm",
    "encoder.projection": "~.post_extract_proj",
    "encoder.context.position.bias": "~.encoder.pos_conv.0.bias",
    "encoder.context.position.gain": "~.encoder.pos_conv.0.weight_g",
    "encoder.context.position.direction": "~.encoder.pos_conv.0.weight_v",
    "encoder.context.upsample.projection": "~.encoder.upsample.0",
    "head": "w2v_encoder.proj",
    "upsample.projection": "w2v_encoder.upsample.0",
    "quantizer.codebook": "quantizer.vars",
    "quantizer.choice": "quantizer.weight_proj",
}
FAIRSEQ_LAYERS = {
    "encoder.context.norm": "~.encoder.layer_norm",
    "encoder.context.layers.{}.attention.query": "~.encoder.layers.{}.self_attn.q_proj",
    "encoder.context.layers.{}.attention.key": "~.encoder.layers.{}.self_attn.k_proj",
    "encoder.context.layers.{}.attention.value": "~.encoder.layers.{}.self_attn.v_proj",
    "encoder.context.layers.{}.attention.output": "~.encoder.layers.{}.self_attn.out_proj",
    "encoder.context.layers.{}.attention_norm": "~.encoder.layers.{}.self_attn_layer_norm",
    "encoder.context.layers.{}.expand": "~.encoder.layers.{}.fc1",
    "encoder.context.layers.{}.contract": "~.encoder.layers.{}.fc2",
    "encoder.context.layers.{}.output_norm": "~.encoder.layers.{}.final_layer_norm",
}
FAIRSEQ_NORMS = {
    "group": {"encoder.extractor.norms.{}": "~.feature_extractor.conv_layers.{}.2"},
    "layer": {"encoder.extractor.norms.{}": "~.feature_extractor.conv_layers.{}.2.1"},
}
FAIRSEQ_HEADS = {
    "linear": {"target_head": "project_q", "context_head": "final_proj"},
    "mlp": {  # an empty place where the norm would be
        "target_head.0": "project_q.net.0",
        "target_head.2": "project_q.net.3",
        "context_head.0": "final_proj.net.0",
        "context_head.2": "final_proj.net.3",
    },
    "mlp-norm": {"target_head.{}": "project_q.net.{}", "context_head.{}": "final_proj.net.{}"},
    "mlp3-norm": {"target_head.{}": "project_q.net.{}", "context_head.{}": "final_proj.net.{}"},
}
FAIRSEQ_PREFIX = "w2v_encoder.w2v_model"
"""Of the encoder in a fine-tuned model; a pre-trained one has none."""
OLDER = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}

KIN = {"hubert.": "wav2vec2."}
"""Prefixes of models that are the same network under another name."""


def hugging_face_names(family: str, names: Iterable[str]) -> dict[str, str]:
    """Our tensor names -> Hugging Face's, for a model of this family."""
    return {name: _translate(name, TABLES[family]).replace("~", PREFIXES[family]) for name in names}


def encoder_names(family: str, names: Iterable[str]) -> dict[str, str]:
    """Our names -> Hugging Face's, for a folder that holds an encoder only (SEWModel, not SEWForCTC)."""
    return {name: _translate(name, TABLES[family]).removeprefix("~.") for name in names}


def fairseq_names(config: ModelConfig, names: Iterable[str], *, finetuned: bool) -> dict[str, str]:
    """Our tensor names -> fairseq's."""
    layers = DISENTANGLED_LAYERS if config.family == "sew-d" else FAIRSEQ_LAYERS
    table = FAIRSEQ_FEATURES | layers | FAIRSEQ_NORMS[config.extractor_norm] | FAIRSEQ_HEADS[config.predictor]
    prefix = f"{FAIRSEQ_PREFIX}." if finetuned else ""
    return {name: _translate(name, table).replace("~.", prefix) for name in names}


def current_name(name: str) -> str:
    """The name that transformers 5 gives a tensor in `weight_g`, `weight_v` of older versions or in HuBERT."""
    for kin, own in KIN.items():
        name = own + name.removeprefix(kin) if name.startswith(kin) else name
    for old, new in OLDER.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _translate(name: str, table: dict[str, str]) -> str:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):  # the longest row that fits; what follows it is the same on both sides
        start = ".".join(parts[:end])
        numbers = re.findall(r"(?<=\.)\d+(?=\.|$)", start)
        row = table.get(start) or table.get(re.sub(r"(?<=\.)\d+(?=\.|$)", "{}", start))
        if row is not None:
            return ".".join([row.format(*numbers), *parts[end:]])
    raise KeyError(f"no foreign name for {name}")
