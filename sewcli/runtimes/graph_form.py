"""What every graph of a recogniser has: names of inputs and outputs, its shortest wave, and packages that make it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sewcli.base.errors import UsageError
from sewcli.models.config import ModelConfig

INPUTS, OUTPUTS = ("waves", "lengths"), ("logits", "frames")


def shortest(config: ModelConfig) -> int:
    """Samples that the longest wave of a batch must have: one frame inside the context network."""
    samples = config.squeeze
    for kernel, stride in zip(reversed(config.extractor_kernels), reversed(config.extractor_strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def needed(package: str, extra: str = "export") -> Any:
    """A package of an extra.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return __import__(package)
    except ImportError:
        raise UsageError(
            "package-missing", f"the package {package} is not installed", hint=f"pip install 'sewcli[{extra}]'"
        ) from None


def openvino_core() -> Any:
    """OpenVINO's core, one for the life of the process.

    On Linux its CPU plugin gives the thread an alternate stack for signals and frees that stack when the plugin goes.
    With two cores whose lives overlap, the thread is left with a freed one, and the next signal (Ctrl-C) is a crash.

    Raises:
        UsageError: the extra `export` is not installed.
    """
    return _core(needed("openvino"))


@cache
def _core(openvino: Any) -> Any:
    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin, before another's core does
    return core
