"""Front ends in OpenVINO's operations: waves to features, whatever padding is behind them.

Shapes: B batch, S samples, T frames, C channels, K samples of a window.
"""

from __future__ import annotations

import numpy as np
from openvino import opset13 as op

from sewcli.models.config import ModelConfig
from sewcli.nn.mel import FLOOR, TRANSFORM, mel_filters
from sewcli.runtimes.openvino_layers import (
    Node,
    Weights,
    inside,
    integer,
    integers,
    layer_norm,
    linear,
    mean_of,
    moved,
    numbers,
    ones_of,
    reshaped,
    size,
)

NAME = "encoder.extractor"
NORM_EPS = 1e-5  # of the extractor's norms


def features(config: ModelConfig, weights: Weights, waves: Node, lengths: Node) -> Node:
    """Waves (B, S) with (B,) true samples to features (B, T, C)."""
    if config.normalize_waves:
        waves = unit_variance(waves, lengths)
    x = op.unsqueeze(waves, integer(1))
    if config.front_end == "log-mel":
        return log_mel_features(config, weights, x)
    for index, stride in enumerate(config.extractor_strides):
        before, x = x, convolution(x, weights, f"{NAME}.convolutions.{index}", stride)
        if config.extractor_norm == "layer":
            x = moved(layer_norm(moved(x, 0, 2, 1), weights, f"{NAME}.norms.{index}", NORM_EPS), 0, 2, 1)
        elif index == 0:
            x = normed_over_time(x, before, frames_of(lengths, config, 1), config, weights)
        x = op.gelu(x, "erf")
    return moved(x, 0, 2, 1)


def frames_of(lengths: Node, config: ModelConfig, stages: int | None = None) -> Node:
    """True frames (B,) of true samples (B,), behind the first stages or all."""
    for kernel, stride in list(zip(config.extractor_kernels, config.extractor_strides, strict=True))[:stages]:
        lengths = op.add(op.divide(op.subtract(lengths, integer(kernel)), integer(stride)), integer(1))
    return lengths


def convolution(x: Node, weights: Weights, name: str, stride: int) -> Node:
    """Without padding, over one axis or two; with a bias where there is one."""
    kernel = weights[f"{name}.weight"]
    axes = kernel.ndim - 2
    y = op.convolution(x, numbers(kernel), [stride] * axes, [0] * axes, [0] * axes, [1] * axes)
    bias = weights.get(f"{name}.bias")
    return y if bias is None else op.add(y, numbers(bias.reshape(-1, *[1] * axes)))


def unit_variance(waves: Node, lengths: Node) -> Node:
    """Waves (B, S), each to zero mean and unit variance over its true length; zeros behind it."""
    there = op.convert(inside(lengths, size(waves, 1)), "f32")
    count = op.unsqueeze(op.convert(lengths, "f32"), integer(1))
    centred = op.multiply(op.subtract(waves, mean_of(op.multiply(waves, there), count, 1)), there)
    return op.divide(centred, op.sqrt(op.add(mean_of(op.multiply(centred, centred), count, 1), numbers(1e-7))))


def normed_over_time(x: Node, waves: Node, frames: Node, config: ModelConfig, weights: Weights) -> Node:
    """The norm over time of the first convolution's output `x` (B, C, T), at the cost of one pass over its channels.

    Mean and variance of a channel follow from those of the windows of samples under the convolution, as in
    `onednn_extractor`, and from no sums over 512 channels of 3,200 frames a second. Windows are taken by their cosines
    (DCT), which hardly correlate in sound, so that a variance in bf16 is no small difference of large numbers. What the norm
    multiplies with goes through a convolution that changes nothing: OpenVINO then keeps all frames with the channels last.
    """
    kernel = weights[f"{NAME}.convolutions.0.weight"]
    cosines = _cosines(kernel.shape[2])
    mix = numbers(kernel[:, 0].astype(np.float64) @ cosines.T)  # (C, K)
    windows = op.convolution(
        waves, numbers(cosines[:, None]), [config.extractor_strides[0]], [0], [0], [1]
    )  # (B, K, T)
    there = ones_of(inside(frames, size(windows, 2)), 1)
    count = op.convert(reshaped(op.maximum(frames, integer(1)), -1, 1, 1), "f32")
    mean = mean_of(op.multiply(windows, there), count, 2)
    centred = op.multiply(op.subtract(windows, mean), there)
    covariance = op.divide(op.matmul(centred, centred, False, True), count)
    variance = op.reduce_sum(op.multiply(op.matmul(mix, covariance, False, False), mix), integers(2), True)
    if (bias := weights.get(f"{NAME}.convolutions.0.bias")) is not None:
        x = op.subtract(x, numbers(bias[:, None]))  # which the mean would take away
    deviation = op.sqrt(op.add(op.maximum(variance, numbers(0.0)), numbers(NORM_EPS)))
    scale = op.divide(numbers(weights[f"{NAME}.norms.0.weight"][:, None]), deviation)
    shift = op.subtract(
        numbers(weights[f"{NAME}.norms.0.bias"][:, None]), op.multiply(op.matmul(mix, mean, False, False), scale)
    )
    same = numbers(np.eye(len(kernel))[:, :, None])
    scale, shift = (op.convolution(value, same, [1], [0], [0], [1]) for value in (scale, shift))
    return op.add(op.multiply(x, scale), shift)


def _cosines(size: int) -> np.ndarray:
    """The orthonormal basis of the DCT (II), a row each, in float64."""
    rows = np.cos(np.pi / size * np.arange(size)[:, None] * (np.arange(size) + 0.5))
    basis: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return basis


def log_mel_features(config: ModelConfig, weights: Weights, x: Node) -> Node:
    """Log mel energies of waves (B, 1, S), two convolutions over time and bands, and a linear layer: (B, T, C)."""
    basis = _fourier(config.extractor_kernels[0])
    spectrum = op.convolution(x, numbers(basis), [config.extractor_strides[0]], [0], [0], [1])  # (B, 2 frequencies, W)
    power = op.multiply(spectrum, spectrum)
    filters = np.tile(mel_filters(config.extractor_channels[0]), (2, 1))  # of real and of imaginary parts
    energies = op.matmul(moved(power, 0, 2, 1), numbers(filters), False, False)
    x = op.unsqueeze(op.log(op.maximum(energies, numbers(FLOOR))), integer(1))  # (B, 1, W, bands)
    for index, stride in enumerate(config.extractor_strides[1:-1]):
        x = op.relu(convolution(x, weights, f"{NAME}.convolutions.{index}", stride))
    width = weights[f"{NAME}.output.weight"].shape[1]
    return linear(reshaped(moved(x, 0, 2, 1, 3), 0, 0, width), weights, f"{NAME}.output")


def _fourier(window: int) -> np.ndarray:
    """Real and imaginary parts of the spectrum of a window without its mean, as weights (2 frequencies, 1, window)."""
    angles = 2 * np.pi / TRANSFORM * np.arange(TRANSFORM // 2 + 1)[:, None] * np.arange(window)
    parts = np.concatenate([np.cos(angles), np.sin(angles)]) * np.hanning(window)
    weights: np.ndarray = (parts - parts.mean(1, keepdims=True))[:, None]
    return weights
