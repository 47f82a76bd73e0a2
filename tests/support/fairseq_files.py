"""Checkpoints in fairseq's format, made from `transformers` models by a key table of the tests' own (not the package's).

The rows are those of the SEW authors' and fairseq's modules: left the official name, right the one in transformers.
"""

import re
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import torch
from transformers import SEWConfig, SEWDConfig, SEWDForCTC, SEWForCTC, Wav2Vec2Config, Wav2Vec2ForCTC

ROWS = [
    (r"mask_emb", r"masked_spec_embed"),
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.1\.(\w+)", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"feature_extractor\.conv_layers\.0\.2\.(\w+)", r"feature_extractor.conv_layers.0.layer_norm.\1"),
    (r"layer_norm\.(\w+)", r"{features}layer_norm.\1"),
    (r"post_extract_proj\.(\w+)", r"{projection}.\1"),
    (r"encoder\.pos_conv\.0\.bias", r"encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.(\w+)\.(\w+)", r"encoder.layers.\1.attention.\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(\w+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(\w+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(\w+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.(\w+)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"encoder\.layer_norm\.(\w+)", r"encoder.layer_norm.\1"),
    (r"(encoder\.encoder\..*)", r"\1"),
    (r"encoder\.upsample\.0\.(\w+)", r"encoder.upsample.projection.\1"),
    (r"quantizer\.vars", r"quantizer.codevectors"),
    (r"quantizer\.weight_proj\.(\w+)", r"quantizer.weight_proj.\1"),
    (r"project_q\.(.*)", r"project_q.\1"),
    (r"final_proj\.(.*)", r"project_hid.\1"),
]
PLAIN = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "self_attn_layer_norm")
PLAIN = (*PLAIN, "fc1", "fc2", "final_layer_norm")
DEBERTA = ("attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj")
DEBERTA = (*DEBERTA, "attention.output.dense", "attention.output.LayerNorm")
DEBERTA = (*DEBERTA, "intermediate.dense", "output.dense", "output.LayerNorm")

SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 32,
}
NARROW = {"conv_dim": (16, 32, 64), "conv_kernel": (10, 3, 2), "conv_stride": (5, 2, 2)}
THEIRS = {
    "sew": lambda: SEWForCTC(SEWConfig(**SIZES, num_conv_pos_embeddings=31)),
    "sew-d": lambda: SEWDForCTC(SEWDConfig(**SIZES, num_conv_pos_embeddings=31)),
    "wav2vec2": lambda: Wav2Vec2ForCTC(Wav2Vec2Config(**SIZES, **NARROW)),
    "wav2vec2-layer-norm": lambda: Wav2Vec2ForCTC(
        Wav2Vec2Config(**SIZES, **NARROW, feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True)
    ),
}


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def their_name(official: str, wav2vec2: bool) -> str:
    for pattern, replacement in ROWS:
        row = replacement.replace("{features}", "feature_projection." if wav2vec2 else "")
        row = row.replace("{projection}", "feature_projection.projection" if wav2vec2 else "feature_projection")
        if re.fullmatch(pattern, official):
            return re.sub(pattern, row, official)
    raise KeyError(official)


def official_names(config) -> list[str]:
    """Every tensor of the official encoder of these sizes, spelled out."""
    pairs = ("weight", "bias")
    names = ["mask_emb", *(f"layer_norm.{p}" for p in pairs)]
    for i in range(len(config.conv_dim)):
        names += [f"feature_extractor.conv_layers.{i}.0.{p}" for p in pairs[: 1 + config.conv_bias]]
        if config.feat_extract_norm == "layer":
            names += [f"feature_extractor.conv_layers.{i}.2.1.{p}" for p in pairs]
    if config.feat_extract_norm == "group":
        names += [f"feature_extractor.conv_layers.0.2.{p}" for p in pairs]
    if config.conv_dim[-1] != config.hidden_size:
        names += [f"post_extract_proj.{p}" for p in pairs]
    names += [f"encoder.pos_conv.0.{p}" for p in ("bias", "weight_g", "weight_v")]
    deberta = config.model_type == "sew-d"
    modules = DEBERTA if deberta else PLAIN
    if deberta:
        names += ["encoder.encoder.rel_embeddings.weight", *(f"encoder.encoder.LayerNorm.{p}" for p in pairs)]
    else:
        names += [f"encoder.layer_norm.{p}" for p in pairs]
    stem = "encoder.encoder.layer" if deberta else "encoder.layers"
    names += [f"{stem}.{i}.{m}.{p}" for i in range(config.num_hidden_layers) for m in modules for p in pairs]
    if config.model_type != "wav2vec2":
        names += [f"encoder.upsample.0.{p}" for p in pairs]
    return names


def encoder_state(theirs: torch.nn.Module) -> OrderedDict:
    """The official names with the values of a `transformers` encoder (SEWModel, SEWDModel, Wav2Vec2Model)."""
    state, wav2vec2 = theirs.state_dict(), theirs.config.model_type == "wav2vec2"
    return OrderedDict((name, state[their_name(name, wav2vec2)]) for name in official_names(theirs.config))


def model_cfg(config) -> dict:
    layers = list(zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True))
    head, rest = layers[0], layers[1:]
    cfg = {
        "_name": {"sew": "squeeze_wav2vec2", "sew-d": "squeeze_wav2vec2_deberta", "wav2vec2": "wav2vec2"}[
            config.model_type
        ],
        "extractor_mode": "layer_norm" if config.feat_extract_norm == "layer" else "default",
        "encoder_layers": config.num_hidden_layers,
        "encoder_embed_dim": config.hidden_size,
        "encoder_ffn_embed_dim": config.intermediate_size,
        "encoder_attention_heads": config.num_attention_heads,
        "activation_fn": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.0,
        "encoder_layerdrop": 0.2,
        "dropout_input": 0.1,
        "dropout_features": 0.1,
        "final_dim": 256,
        "layer_norm_first": bool(getattr(config, "do_stable_layer_norm", False)),
        "conv_feature_layers": f"[{head}] * 1 + {rest}",
        "conv_bias": config.conv_bias,
        "logit_temp": 0.1,
        "quantize_targets": True,
        "quantize_input": False,
        "feature_grad_mult": 0.1,
        "latent_vars": 320,
        "latent_groups": 2,
        "latent_dim": 0,
        "conv_pos": config.num_conv_pos_embeddings,
        "conv_pos_groups": config.num_conv_pos_embedding_groups,
        "num_negatives": 100,
    }
    if config.model_type != "wav2vec2":
        cfg |= {"squeeze_factor": config.squeeze_factor, "squeeze_method": "default", "use_mlp": True}
    if config.model_type == "sew-d":
        cfg |= {
            "position_buckets": config.position_buckets,
            "max_position_embeddings": 512,
            "max_relative_positions": -1,
        }
        cfg |= {"pos_att_type": "p2c|c2p", "share_att_key": True, "norm_rel_ebd": "layer_norm"}
    return cfg


def finetuned(theirs, path: Path, *, style: str = "cfg", normalize: bool = False, legacy: bool = False) -> Path:
    """A fine-tuned checkpoint of a `...ForCTC` model.

    style: "cfg" nested plain dicts, as fairseq of 2021 writes; "args" flat namespaces, as in 2020; "none" without.
    """
    base = getattr(theirs, theirs.base_model_prefix)
    state = OrderedDict((f"w2v_encoder.w2v_model.{k}", v) for k, v in encoder_state(base).items())
    state |= {f"w2v_encoder.proj.{p}": theirs.state_dict()[f"lm_head.{p}"] for p in ("weight", "bias")}
    inner = model_cfg(theirs.config)
    outer = {
        "dropout": 0.0,
        "activation_dropout": 0.1,
        "layerdrop": 0.05,
        "final_dropout": 0.0,
        "attention_dropout": 0.0,
    }
    outer |= {"dropout_input": 0.0, "feature_grad_mult": 0.0, "apply_mask": True}
    content: dict = {"model": state, "extra_state": {"epoch": 3}, "last_optimizer_state": {"state": {0: torch.ones(7)}}}
    if style == "cfg":
        task = {"_name": "audio_pretraining", "normalize": normalize}
        outer |= {"_name": "wav2vec_ctc_v2", "w2v_path": "pt.pt", "w2v_args": {"model": inner, "task": task}}
        content |= {"args": None, "cfg": {"model": outer, "task": {**task, "labels": "ltr"}}}
    elif style == "args":
        content["args"] = Namespace(**outer, normalize=normalize, w2v_args=Namespace(**inner, normalize=normalize))
    return write(content, path, legacy)


def write(content: dict, path: Path, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
