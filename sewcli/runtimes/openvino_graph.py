"""A recogniser's OpenVINO graph, of its config and its weights alone: no PyTorch, no tracing.

The graph takes right-padded waves (B, S) and their true lengths (B,), both of any size, and gives logits (B, T, V) and true
frames (B,). Every mask is always applied, so an utterance has the same logits alone and in any batch.
Shapes: B batch, S samples, T frames, U squeezed frames, E width, V symbols.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as op

from sewcli.base.errors import UsageError
from sewcli.models.config import ModelConfig
from sewcli.runtimes.openvino_attention import DisentangledAttention, SelfAttention
from sewcli.runtimes.openvino_extractor import features, frames_of
from sewcli.runtimes.openvino_layers import (
    Node,
    Weights,
    cut,
    gelu_linear,
    inside,
    integer,
    integers,
    layer_norm,
    linear,
    moved,
    numbers,
    ones_of,
    pad_end,
    reshaped,
    size,
)

CONTEXT = "encoder.context"


def build(config: ModelConfig, weights: Weights) -> Any:
    """The graph as an `openvino.Model`, which shares the memory of fp32 weights.

    Args:
        config: of the model.
        weights: of all its parameters, by our names, in fp32.

    Raises:
        UsageError: the model has no graph form.
    """
    if config.compat != "none":
        raise UsageError(
            "no-graph-form", f"compat = {config.compat} is not for graphs", hint="export the model without it"
        )
    waves = op.parameter([-1, -1], np.float32, name="waves")
    lengths = op.parameter([-1], np.int64, name="lengths")
    x = layer_norm(features(config, weights, waves, lengths), weights, "encoder.feature_norm", config.feature_norm_eps)
    if config.quantize_inputs:
        x = codes(x, config, weights)
    if config.projects:
        x = linear(x, weights, "encoder.projection")
    frames = frames_of(lengths, config)
    x = context(x, frames, config, weights)
    if config.output_upsample > 1:
        x = reshaped(gelu_linear(x, weights, "upsample.projection"), 0, -1, config.width)
        frames = op.multiply(frames, integer(config.output_upsample))
    logits = linear(x, weights, "head")
    results = [op.result(logits, name="logits"), op.result(frames, name="frames")]
    for node, name in ((waves, "waves"), (lengths, "lengths"), (logits, "logits"), (frames, "frames")):
        node.output(0).get_tensor().set_names({name})
    return openvino.Model(results, [waves, lengths], config.name)


def codes(x: Node, config: ModelConfig, weights: Weights) -> Node:
    """Features (B, T, C) to the most probable entries of the codebooks, joined."""
    groups, entries = config.codebook_groups, config.codebook_entries
    scores = reshaped(linear(x, weights, "encoder.quantizer.choice"), 0, 0, groups, entries)
    best = op.topk(scores, integer(1), 3, "max", "index", "i64").output(1)  # (B, T, G, 1)
    rows = op.add(best, op.unsqueeze(integers(*(entries * group for group in range(groups))), integer(1)))
    return reshaped(op.gather(numbers(weights["encoder.quantizer.codebook"][0]), rows, integer(0)), 0, 0, -1)


def context(x: Node, frames: Node, config: ModelConfig, weights: Weights) -> Node:
    """(B, T, E) and (B,) true frames -> (B, T, E), zero behind the last whole squeezed frame."""
    longest, factor = size(x, 1), config.squeeze
    x = moved(op.multiply(x, ones_of(inside(frames, longest), 2)), 0, 2, 1)
    pooled = x if factor == 1 else op.avg_pool(x, [factor], [0], [0], [factor], True, "floor")
    squeezed = size(pooled, 2)
    y = moved(op.add(pooled, cut(positions(x, config, weights), 2, squeezed)), 0, 2, 1)
    whole = op.divide(frames, integer(factor))
    valid = inside(op.maximum(whole, integer(1)), squeezed)
    kind = DisentangledAttention if config.family == "sew-d" else SelfAttention
    attention = kind(config, weights, valid)
    if config.family != "sew-d" and not config.norm_first:
        y = layer_norm(y, weights, f"{CONTEXT}.norm", config.norm_eps)
    for number in range(config.layers):
        y = layer(y, attention, f"{CONTEXT}.layers.{number}", config, weights)
    if config.norm_first:
        y = layer_norm(y, weights, f"{CONTEXT}.norm", config.norm_eps)
    if config.family != "wav2vec2":  # padded by more than can be missing, then cut: no question about the size
        y = reshaped(gelu_linear(y, weights, f"{CONTEXT}.upsample.projection"), 0, -1, config.width)
        y = cut(pad_end(y, 1, factor), 1, longest)
    return op.multiply(y, ones_of(inside(op.multiply(whole, integer(factor)), longest), 2))


def positions(x: Node, config: ModelConfig, weights: Weights) -> Node:
    """The position convolution: (B, E, T) -> (B, E, U or one more)."""
    name, kernel, groups = f"{CONTEXT}.position", config.position_kernel, config.position_groups
    direction = weights[f"{name}.direction"].astype(np.float64)
    normed = direction * (weights[f"{name}.gain"] / np.linalg.norm(direction, axis=(0, 1), keepdims=True))
    normed = normed.reshape(groups, config.width // groups, config.width // groups, kernel)
    y = op.group_convolution(x, numbers(normed), [config.squeeze], [kernel // 2], [kernel // 2], [1])
    return op.gelu(op.add(y, numbers(weights[f"{name}.bias"][:, None])), "erf")


def layer(x: Node, attention: SelfAttention, name: str, config: ModelConfig, weights: Weights) -> Node:
    """A transformer layer, (B, U, E) -> (B, U, E)."""

    def normed(y: Node, part: str) -> Node:
        return layer_norm(y, weights, f"{name}.{part}", config.norm_eps)

    def feedforward(y: Node) -> Node:
        return linear(gelu_linear(y, weights, f"{name}.expand"), weights, f"{name}.contract")

    if config.norm_first:
        x = op.add(x, attention(normed(x, "attention_norm"), f"{name}.attention"))
        return op.add(x, feedforward(normed(x, "output_norm")))
    x = normed(op.add(x, attention(x, f"{name}.attention")), "attention_norm")
    return normed(op.add(x, feedforward(x)), "output_norm")
