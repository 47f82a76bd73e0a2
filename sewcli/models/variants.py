"""Changes to a model by name, for the rows of SEW's ablations (tables 1, 3, 4 and 10) and any like them.

`sew-tiny+wfe-c-c48-l1+k127` is sew-tiny with another wave feature extractor and a longer position kernel. Each part
changes a few fields of the config; the parts are applied from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sewcli.base.errors import UsageError
from sewcli.models.config import ModelConfig

KERNELS = (10, 3, 3, 3, 3, 2, 2)
STRIDES = (5, 2, 2, 2, 2, 2, 2)
WIDENING = (1, 2, 2, 4, 4, 8, 8)  # WFE-C, in units of c
HEAD_WIDTH = 64

Change = Callable[[ModelConfig, re.Match[str]], dict[str, Any]]


def vary(config: ModelConfig, part: str) -> dict[str, Any]:
    """The fields that a part of a name changes.

    Raises:
        UsageError: no such part.
    """
    for pattern, (_, change) in PARTS.items():
        if found := re.fullmatch(pattern, part):
            return change(config, found)
    known = ", ".join(example for example, _ in PARTS.values())
    raise UsageError("no-such-variant", f"no variant {part!r} of a model", hint=f"what may follow a +: {known}")


def wave_features(channels: int, *, widening: bool, layers_between: bool) -> dict[str, Any]:
    """WFE-O (one width) or WFE-C (from c to 8 c); l1 puts a 1x1 convolution after every one but the first."""
    widths = [channels * factor for factor in WIDENING] if widening else [channels] * len(KERNELS)
    kernels, strides = list(KERNELS), list(STRIDES)
    if layers_between:
        widths = [widths[0], *(c for c in widths[1:] for _ in range(2))]
        kernels = [kernels[0], *(k for kernel in kernels[1:] for k in (kernel, 1))]
        strides = [strides[0], *(s for stride in strides[1:] for s in (stride, 1))]
    return {
        "front_end": "wave",
        "extractor_channels": tuple(widths),
        "extractor_kernels": tuple(kernels),
        "extractor_strides": tuple(strides),
    }


def _width(config: ModelConfig, found: re.Match[str]) -> dict[str, Any]:
    width = int(found[1])
    return {"width": width, "heads": max(width // HEAD_WIDTH, 1), "feedforward": 4 * width}


def _slower(config: ModelConfig, found: re.Match[str]) -> dict[str, Any]:
    added = {"channels": config.feature_width, "kernels": 2, "strides": 2}
    return {f"extractor_{name}": (*getattr(config, f"extractor_{name}"), value) for name, value in added.items()}


def _log_mel(config: ModelConfig, found: re.Match[str]) -> dict[str, Any]:
    return {
        "front_end": "log-mel",
        "extractor_channels": (80, 160, 160, 512),  # mel bands, two convolutions, features
        "extractor_kernels": (400, 3, 3, 1),  # 25 ms
        "extractor_strides": (160, 2, 1, 1),  # 10 ms
    }


PARTS: dict[str, tuple[str, Change]] = {  # pattern: (an example for messages, what it changes)
    r"k(\d+)": ("k127 (position kernel)", lambda c, m: {"position_kernel": int(m[1])}),
    r"e(\d+)": ("e384 (width)", _width),
    r"s(\d+)": ("s4 (squeeze)", lambda c, m: {"squeeze": int(m[1])}),
    r"wfe-o-c(\d+)(-l[01])?": (
        "wfe-o-c512",
        lambda c, m: wave_features(int(m[1]), widening=False, layers_between=m[2] == "-l1"),
    ),
    r"wfe-c-c(\d+)-l([01])": (
        "wfe-c-c64-l1",
        lambda c, m: wave_features(int(m[1]), widening=True, layers_between=m[2] == "1"),
    ),
    "fbfe": ("fbfe (filter banks)", _log_mel),
    "25hz": ("25hz (one more convolution)", _slower),
    "upsample": ("upsample (before the CTC layer)", lambda c, m: {"output_upsample": 2}),
    r"heads-(linear|mlp|mlp-norm|mlp3-norm)": ("heads-mlp", lambda c, m: {"predictor": m[1]}),
}
