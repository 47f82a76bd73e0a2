"""Names and shapes of all parameters of a recogniser, by arithmetic: what weights are held against where no module is made."""

from __future__ import annotations

from collections.abc import Iterator

from sewcli.models.config import ModelConfig

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def ctc_shapes(config: ModelConfig, symbols: int) -> dict[str, tuple[int, ...]]:
    """Of `CTCModel(config, symbols)`, by our names."""
    width = config.width
    shapes = {"encoder.mask_vector": (width,), **dict(_extractor(config)), **dict(_context(config))}
    shapes |= dict(_norm("encoder.feature_norm", config.feature_width))
    if config.quantize_inputs:
        entries = config.codebook_groups * config.codebook_entries
        shapes["encoder.quantizer.codebook"] = (1, entries, config.code_width // config.codebook_groups)
        shapes |= dict(_linear("encoder.quantizer.choice", config.feature_width, entries))
    if config.projects:
        inputs = config.code_width if config.quantize_inputs else config.feature_width
        shapes |= dict(_linear("encoder.projection", inputs, width))
    if config.output_upsample > 1:
        shapes |= dict(_linear("upsample.projection", width, config.output_upsample * width))
    return shapes | dict(_linear("head", width, symbols))


def _extractor(config: ModelConfig) -> Shapes:
    name, channels, kernels = "encoder.extractor", config.extractor_channels, config.extractor_kernels
    is_mel = config.front_end == "log-mel"
    outputs, sizes = (channels[1:-1], kernels[1:-1]) if is_mel else (channels, kernels)
    for index, (inner, outer, kernel) in enumerate(zip((1, *outputs), outputs, sizes, strict=False)):
        yield f"{name}.convolutions.{index}.weight", (outer, inner, *[kernel] * (2 if is_mel else 1))
        if is_mel or config.extractor_bias:
            yield f"{name}.convolutions.{index}.bias", (outer,)
    if is_mel:
        height = channels[0]
        for kernel, stride in zip(sizes, config.extractor_strides[1:-1], strict=True):
            height = (height - kernel) // stride + 1
        yield from _linear(f"{name}.output", outputs[-1] * height, channels[-1])
        return
    for index, size in enumerate(channels if config.extractor_norm == "layer" else channels[:1]):
        yield from _norm(f"{name}.norms.{index}", size)


def _context(config: ModelConfig) -> Shapes:
    name, width, kernel = "encoder.context", config.width, config.position_kernel
    inner = config.heads * (config.head_width or width // config.heads)
    yield f"{name}.position.direction", (width, width // config.position_groups, kernel)
    yield f"{name}.position.gain", (1, 1, kernel)
    yield f"{name}.position.bias", (width,)
    for number in range(config.layers):
        layer = f"{name}.layers.{number}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{layer}.attention.{part}", width, inner)
        yield from _linear(f"{layer}.attention.output", inner, width)
        yield from _norm(f"{layer}.attention_norm", width)
        yield from _linear(f"{layer}.expand", width, config.feedforward)
        yield from _linear(f"{layer}.contract", config.feedforward, width)
        yield from _norm(f"{layer}.output_norm", width)
    yield from _norm(f"{name}.norm", width)
    if config.family == "sew-d":
        yield f"{name}.positions.weight", (2 * config.position_buckets, width)
    if config.family != "wav2vec2":
        yield from _linear(f"{name}.upsample.projection", width, config.squeeze * width)


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, size: int) -> Shapes:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)
