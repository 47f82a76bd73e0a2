"""A model part by part: output shape, parameters and multiply-accumulates, counted as it runs (SEW table 2).

Runs on the meta device, where tensors have shapes and no values. Counted are the products that are really made by the
recogniser as `sew decode` runs it; the paper's own count of an extractor, about half, is `paper_flops`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.nn.blank import without_weights

SECONDS = 10
GELU_COST = 8  # operations that the authors count for each value of an activation

PARTS = re.compile(  # modules that get a line each; what is left over is shown as "other"
    r"encoder\.(extractor\.(convolutions|norms)\.\d+|extractor\.output|feature_norm|projection"
    r"|context\.(position|norm|positions|layers\.\d+|upsample))|upsample|head"
)


@dataclass(frozen=True)
class Part:
    """A line of the account. shape: of the output for one utterance; macs: multiply-accumulates for it."""

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int


def anatomy(config: ModelConfig, vocabulary_size: int, seconds: float = SECONDS) -> list[Part]:
    """The parts of a recogniser in the order in which they run, for one utterance of `seconds`.

    Their parameters and multiply-accumulates add up to the whole model's.
    """
    samples = round(seconds * SAMPLE_RATE)
    with without_weights():
        model = hold_constants(CTCModel(config, vocabulary_size))
        wave = torch.zeros(1, samples)
    modules = {name: module for name, module in model.named_modules() if PARTS.fullmatch(name)}
    modules = {name: module for name, module in modules.items() if not isinstance(module, nn.Identity)}
    shapes: dict[str, tuple[int, ...]] = {}
    hooks = [module.register_forward_hook(partial(_note, shapes, name)) for name, module in modules.items()]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(wave, torch.tensor([samples], device="cpu"))
    for hook in hooks:
        hook.remove()
    counts: dict[str, dict[Any, int]] = counter.get_flop_counts()
    spent = {name: sum(counts.get(f"{type(model).__name__}.{name}", {}).values()) // 2 for name in modules}
    order = [name for name in shapes if name in modules] + [name for name in modules if name not in shapes]
    parts = [
        Part(name, _kind(modules[name]), shapes.get(name), _parameters(modules[name]), spent[name]) for name in order
    ]
    rest = Part(
        "other",
        "mask vector" if config.front_end == "wave" else "mel energies, mask vector",
        None,
        _parameters(model) - sum(part.parameters for part in parts),
        counter.get_total_flops() // 2 - sum(part.macs for part in parts),
    )
    return [*parts, rest]


def paper_flops(config: ModelConfig, seconds: float = SECONDS) -> int | None:
    """Operations of a wave feature extractor as the authors counted them for table 2; None for other front ends.

    They took each convolution's number of outputs from its already strided output, which makes most of them about half
    of what they are, and added 8 for each GELU.
    """
    if config.front_end != "wave":
        return None
    total, frames, inputs = 0, round(seconds * SAMPLE_RATE), 1
    chain = (config.extractor_channels, config.extractor_kernels, config.extractor_strides)
    for channels, kernel, stride in zip(*chain, strict=True):
        frames = (frames - kernel) // stride + 1
        strided_again = (frames - kernel) // stride + 1
        total += kernel * inputs * channels * strided_again + GELU_COST * channels * frames
        inputs = channels
    return total


def folded(parts: list[Part]) -> list[tuple[Part, int]]:
    """Runs of equal layers as one of them and their number."""
    runs: list[tuple[Part, int]] = []
    for part in parts:
        if runs and ".layers." in part.name and _looks(part) == _looks(runs[-1][0]):
            first, number = runs[-1]
            runs[-1] = (first, number + 1)
        else:
            runs.append((part, 1))
    return runs


def _looks(part: Part) -> tuple[Any, ...]:
    return part.kind, part.shape, part.parameters, part.macs


def _note(shapes: dict[str, tuple[int, ...]], name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    shapes[name] = tuple(output.shape[1:])


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        return f"convolution {module.kernel_size[0]}/{module.stride[0]}"
    if hasattr(module, "kernel") and hasattr(module, "groups"):
        return f"grouped convolution {module.kernel}/{module.stride}"
    names = {
        "TimeNorm": "norm over time",
        "LayerNorm": "LayerNorm",
        "Linear": "linear",
        "TransformerLayer": "transformer layer",
        "Upsample": "linear, frames doubled",
        "Embedding": "relative positions",
    }
    return names.get(type(module).__name__, type(module).__name__)
