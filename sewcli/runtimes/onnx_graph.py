"""Recognisers as ONNX graphs for other runtimes, traced by PyTorch.

The graph takes right-padded waves (B, S) and their true lengths (B,), both of any size, and gives logits (B, T, V) and
true frames (B,). It is the encoder's computation with every mask always applied and no decision that depends on a value
or a size: the same weights through other code, held against the model itself before the file is kept.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sewcli.base.errors import UsageError
from sewcli.base.files import atomic_folder
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.nn.attention import SelfAttention, join_heads, split_heads
from sewcli.nn.buckets import rows_of_offsets
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.nn.extractor import Extractor, WaveExtractor
from sewcli.nn.norms import TimeNorm, frame_mask, unit_variance
from sewcli.runtimes.graph_form import INPUTS, OUTPUTS, needed, shortest
from sewcli.text.tokens import Vocabulary

CLOSE = 1e-4  # of the largest logit: how far another runtime may be from the model
OPSET = 18
STRIP = 64  # frames of a strip of attention: whole ones, so few more than there are


def save_onnx(model: CTCModel, vocabulary: Vocabulary, folder: Path) -> float:
    """Write `model.onnx` and its symbols, once onnxruntime gives the model's own logits.

    Returns:
        The largest difference of logits, relative to the largest logit.

    Raises:
        UsageError: the extra `export` is not installed, or the logits differ.
    """
    onnxruntime = needed("onnxruntime")
    with atomic_folder(folder) as temporary:
        path = temporary / "model.onnx"
        write_onnx(model, vocabulary, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def run(waves: Tensor, lengths: Tensor) -> list[Any]:
            return list(session.run(list(OUTPUTS), {"waves": waves.numpy(), "lengths": lengths.numpy()}))

        apart = compare(model, run, "onnxruntime")
        vocabulary.save(temporary)
    return apart


class PortableModel(nn.Module):
    """A recogniser whose graph is the same for every batch."""

    def __init__(self, model: CTCModel) -> None:
        super().__init__()
        self.config = model.config
        model = hold_constants(copy.deepcopy(model))
        self.encoder, self.head = model.encoder, model.head
        self.upsample = model.upsample if model.config.output_upsample > 1 else None
        context, extractor = self.encoder.context, self.encoder.extractor
        by_time = isinstance(extractor, WaveExtractor) and not extractor.by_layer
        self.extractor = PortableExtractor(extractor) if by_time else extractor
        if self.config.family == "sew-d":
            positions = context.norm(context.positions.weight)
            for layer in context.layers:
                assert isinstance(layer.attention, DisentangledAttention)
                layer.attention = PortableDisentangled(layer.attention, positions)
        else:
            for layer in context.layers:
                assert isinstance(layer.attention, SelfAttention)
                layer.attention = PortableAttention(layer.attention)

    def forward(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S), (B,) -> logits (B, T, V), zero states in the padding, and true frames (B,)."""
        config, encoder, context, factor = self.config, self.encoder, self.encoder.context, self.config.squeeze
        if config.normalize_waves:
            waves = unit_variance(waves, lengths)
        x = encoder.projection(encoder.feature_norm(self.extractor(waves, lengths)))
        frames, longest = encoder.frames(lengths), x.shape[1]
        x = x.masked_fill(~frame_mask(frames, longest).unsqueeze(2), 0.0).transpose(1, 2)
        pooled = x if factor == 1 else functional.avg_pool1d(x, factor, factor)
        y = (pooled + context.position(x)[:, :, : pooled.shape[2]]).transpose(1, 2)
        whole = frames // factor
        valid = frame_mask(whole.clamp(min=1), y.shape[1])
        if config.family != "sew-d" and not config.norm_first:
            y = context.norm(y)
        for layer in context.layers:
            y = layer(y, valid)
        if config.norm_first:
            y = context.norm(y)
        if config.family != "wav2vec2":  # padded by more than can be missing, then cut: no question about the size
            y = context.upsample.projection(y).reshape(y.shape[0], -1, config.width)
            y = functional.pad(y, (0, 0, 0, factor)).index_select(1, torch.arange(longest, device=y.device))
        y = y.masked_fill(~frame_mask(whole * factor, longest).unsqueeze(2), 0.0)
        if self.upsample is not None:
            y = self.upsample.projection(y).reshape(y.shape[0], -1, config.width)
        return self.head(y), frames * config.output_upsample


class PortableExtractor(Extractor):
    """A wave extractor whose norm over time costs one pass over its channels.

    Mean and variance of a channel follow from those of the windows of samples under the first convolution, as in
    `onednn_extractor`, and from no sums over 512 channels of 3,200 frames a second. Windows are taken by their cosines
    (DCT), which hardly correlate in sound, so that a variance in bf16 is no small difference of large numbers. What the norm
    multiplies with goes through a convolution that changes nothing: OpenVINO then keeps all frames with the channels last.
    """

    cosines: Tensor
    mix: Tensor
    same: Tensor

    def __init__(self, of: Extractor) -> None:
        super().__init__(of.kernels, of.strides)
        assert isinstance(of, WaveExtractor)
        first, (norm,) = of.convolutions[0], of.norms
        assert isinstance(first, nn.Conv1d) and isinstance(norm, TimeNorm)
        self.convolutions, self.norm = of.convolutions, norm
        cosines = _cosines(of.kernels[0])
        self.register_buffer("cosines", cosines.float().unsqueeze(1))  # (K, 1, K)
        self.register_buffer("mix", (first.weight.detach()[:, 0].double() @ cosines.T).float())  # (C, K)
        self.register_buffer("same", torch.eye(first.out_channels).unsqueeze(2))

    def forward(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Waves (B, S) to features (B, T, C)."""
        first, *others = self.convolutions
        x = waves.unsqueeze(1)
        scale, shift = self._norm(x, (lengths - self.kernels[0]) // self.strides[0] + 1)
        x = functional.gelu(first(x) * functional.conv1d(scale, self.same) + functional.conv1d(shift, self.same))
        for convolution in others:
            x = functional.gelu(convolution(x))
        return x.transpose(1, 2)

    def _norm(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What the norm multiplies with and adds, (B, C, 1), for waves (B, 1, S) of so many true frames (B,)."""
        windows = functional.conv1d(x, self.cosines, stride=self.strides[0])  # (B, K, T)
        inside = frame_mask(frames, windows.shape[2]).unsqueeze(1)
        count = frames.clamp(min=1).view(-1, 1, 1).to(x.dtype)
        mean = windows.masked_fill(~inside, 0.0).sum(2, keepdim=True) / count
        centred = (windows - mean).masked_fill(~inside, 0.0)
        variance = ((self.mix @ (centred @ centred.transpose(1, 2) / count)) * self.mix).sum(2, keepdim=True)
        scale = self.norm.weight.unsqueeze(1) * torch.rsqrt(variance.clamp(min=0.0) + self.norm.eps)
        return scale, self.norm.bias.unsqueeze(1) - self.mix @ mean * scale


def _cosines(size: int) -> Tensor:
    """The orthonormal basis of the DCT (II), a row each, in float64."""
    place, frequency = torch.arange(size, dtype=torch.float64) + 0.5, torch.arange(size).unsqueeze(1)
    rows = torch.cos(torch.pi / size * frequency * place)
    basis: Tensor = rows / rows.square().sum(1, keepdim=True).sqrt()
    return basis


class PortableAttention(nn.Module):
    """Self-attention in so many words: that of PyTorch asks again whether a frame may look at none."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """(B, U, E) and (B, U) bool -> (B, U, E)."""
        query, key, value = self.attention.project(x)
        hidden = torch.zeros_like(valid, dtype=x.dtype).masked_fill(~valid, float("-inf"))[:, None, None, :]
        scores = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3) + hidden
        joined: Tensor = self.attention.output(join_heads(scores.softmax(3) @ value))
        return joined


class PortableDisentangled(nn.Module):
    """SEW-D's attention by strips, as in `strip_attention`, with the positions projected beforehand.

    A strip of n frames is multiplied with the positions of all its offsets and read along the diagonals: slices and views,
    where gathering scores one by one takes longer than the products. Frames are padded to whole strips, P of them.
    """

    rows: Tensor
    position_query: Tensor
    position_key: Tensor

    def __init__(self, attention: DisentangledAttention, positions: Tensor) -> None:
        super().__init__()
        self.heads, self.scale, self.farthest = attention.heads, attention.scale, attention.max_positions
        self.query, self.key, self.value = attention.query, attention.key, attention.value
        self.output = attention.output
        offsets = np.arange(-self.farthest, self.farthest + 1)  # beyond, all share the last bucket
        rows = rows_of_offsets(offsets, attention.buckets, attention.max_positions)
        with torch.no_grad():
            query, key = (
                split_heads(linear(positions.unsqueeze(0)), self.heads)[0] for linear in (self.query, self.key)
            )
        self.register_buffer("rows", torch.from_numpy(rows))
        self.register_buffer("position_query", (query * self.scale).contiguous())  # (H, N, D)
        self.register_buffer("position_key", key.contiguous())

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """(B, U, E) and (B, U) bool -> (B, U, E)."""
        frames, strips = x.shape[1], (x.shape[1] + STRIP - 1) // STRIP
        padded = torch.arange(strips * STRIP, device=x.device)
        x = functional.pad(x, (0, 0, 0, STRIP)).index_select(1, padded)
        valid = torch.cat([valid, valid.new_zeros(valid.shape[0], STRIP)], dim=1).index_select(1, padded)
        query, key, value = (split_heads(linear(x), self.heads) for linear in (self.query, self.key, self.value))
        query = query * self.scale
        ahead = torch.arange(1 - STRIP, strips * STRIP, device=x.device)  # of the strip's first frame, what it looks at
        ahead = ahead - STRIP * torch.arange(strips, device=x.device).unsqueeze(1)  # (strips, P + n - 1)
        scores = query @ key.transpose(2, 3)
        scores = scores + self._bias(query, self.position_key, -ahead)
        scores = scores + self._bias(key, self.position_query, ahead).transpose(2, 3)
        weights = scores.masked_fill(~valid[:, None, None, :], float("-inf")).softmax(3)
        mixed = join_heads(weights @ value).index_select(1, torch.arange(frames, device=x.device))
        joined: Tensor = self.output(mixed)
        return joined

    def _bias(self, own: Tensor, table: Tensor, offsets: Tensor) -> Tensor:
        """Products (B, H, P, P) of frames (B, H, P, D) with the positions of `offsets` (strips, P + n - 1)."""
        strips, wide = offsets.shape
        rows = self.rows[offsets.clamp(-self.farthest, self.farthest) + self.farthest]
        positions = table.index_select(1, rows.flatten()).view(self.heads, strips, wide, -1)
        products = own.reshape(own.shape[0], self.heads, strips, STRIP, -1) @ positions.transpose(2, 3)
        flat = products.flatten(3)[..., STRIP - 1 : STRIP - 1 + STRIP * (wide - 1)]
        diagonals = flat.reshape(own.shape[0], self.heads, strips, STRIP, wide - 1)[..., : wide - STRIP + 1]
        return diagonals.reshape(own.shape[0], self.heads, strips * STRIP, strips * STRIP)


def write_onnx(model: CTCModel, vocabulary: Vocabulary, path: Path) -> None:
    """Write the graph of a model as one ONNX file.

    Raises:
        UsageError: the extra `export` is not installed, or the model has no graph form.
    """
    onnx = needed("onnx")
    needed("onnxscript")
    if model.config.front_end != "wave":
        raise UsageError(
            "no-graph-form", f"a {model.config.front_end} front end has no graph form", hint="export a model of waves"
        )
    if model.config.quantize_inputs:
        raise UsageError("no-graph-form", "quantized inputs have no graph form", hint="export a model without them")
    if model.config.compat != "none":
        raise UsageError(
            "no-graph-form", f"compat = {model.config.compat} is not for graphs", hint="export the model without it"
        )
    portable = PortableModel(model.cpu()).eval()
    waves, lengths = _example(2, 64_000)  # more than a strip: a size of one would be taken for a constant
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=shortest(model.config))
    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            portable,
            (waves, lengths),
            dynamo=True,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes={"waves": {0: batch, 1: samples}, "lengths": {0: batch}},
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    about = {"model": model.config.name, "sample_rate": "16000", "vocabulary": json.dumps(list(vocabulary.tokens))}
    about["blank"] = str(vocabulary.blank)
    onnx.helper.set_model_props(graph, about)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def compare(model: CTCModel, run: Any, name: str) -> float:
    """The largest relative difference of logits over batches of several sizes, padded and not.

    Args:
        model: whose logits are right.
        run: the runtime: waves (B, S) and lengths (B,) to logits and frames.
        name: of the runtime.

    Raises:
        UsageError: sizes differ, or logits by more than `CLOSE`.
    """
    model, worst = model.eval(), 0.0
    for batch, samples in ((1, 16_000), (3, 24_333), (2, shortest(model.config))):
        waves, lengths = _example(batch, samples)
        with torch.inference_mode():
            ours = model(waves, lengths)
        logits, frames = (torch.as_tensor(value) for value in run(waves, lengths))
        if logits.shape != ours.logits.shape or not torch.equal(frames, ours.lengths):
            raise UsageError("graph-differs", f"{name} gives other sizes than the model itself; nothing was written")
        worst = max(worst, float((logits - ours.logits).abs().max() / ours.logits.abs().max()))
    if not worst <= CLOSE:
        raise UsageError(
            "graph-differs", f"{name} gives other logits than the model itself (by {worst:.1e}); nothing was written"
        )
    return worst


def _example(batch: int, samples: int) -> tuple[Tensor, Tensor]:
    """Noise of several lengths, the first of them full."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([max(samples - 1_777 * row, 400) for row in range(batch)]).clamp(max=samples)
    waves = torch.randn(batch, samples, generator=generator) * 0.1
    return waves.masked_fill(~frame_mask(lengths, samples), 0.0), lengths


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's notes to its developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
