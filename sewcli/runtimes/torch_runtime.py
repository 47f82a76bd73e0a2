"""PyTorch as the runtime: a CPU, or a GPU that computes a batch while the next is read and the last one searched.

On a GPU waves and emissions cross the bus by pinned memory and nobody waits before the result is wanted.
Shapes: B batch, S samples, T frames, V symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.loading import padded_waves
from sewcli.models.ctc import CTCModel
from sewcli.runtimes.acoustic_model import AcousticModel, Emissions, Precision
from sewcli.runtimes.inference import for_inference

CPU_SECONDS = 30.0  # more would push the attention scores out of the cache
GPU_SECONDS = 250.0  # the papers' 4 million samples, on each
GPU_MEMORY = 16 << 30  # bytes of memory of theirs
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchModel(AcousticModel):
    """A network as it is, in training too: its mode and its weights are whose it is.

    Args:
        network: on `device`.
        device: where it is.
        precision: as `prepare` made it.
    """

    def __init__(self, network: CTCModel, device: torch.device, precision: str = "fp32") -> None:
        self.network, self.device, self.precision = network, device, precision
        self.config, self.symbols = network.config, network.head.out_features
        self.waits = device.type != "cuda"
        self.batch_seconds = CPU_SECONDS if self.waits else GPU_SECONDS

    @classmethod
    def prepare(cls, network: CTCModel, device: torch.device, precision: Precision = "auto") -> TorchModel:
        """A network for inference only, in the precision that is asked for; auto is fp32, on a GPU by tf32 products.

        Raises:
            UsageError: a precision that the device has not.
        """
        chosen = choose_precision(precision, device)
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = chosen == "tf32"
        for_inference(network, device, TYPES[chosen])
        model = cls(network, device, chosen)
        if device.type == "cuda":
            memory = torch.cuda.get_device_properties(device).total_memory
            model.batch_seconds = GPU_SECONDS * max(1.0, memory / GPU_MEMORY)
        return model

    def start(self, waves: Sequence[np.ndarray]) -> Callable[[], Emissions]:
        """See `AcousticModel`; a batch too large for a GPU is halved."""
        padded, lengths = (torch.from_numpy(array) for array in padded_waves(waves))
        try:
            if not self.waits:
                padded = padded.pin_memory().to(self.device, non_blocking=True)
            with torch.inference_mode():
                output = self.network(padded, lengths)
                scores = torch.log_softmax(output.logits.float(), dim=-1)
            frames: list[int] = output.lengths.tolist()
            if self.waits:
                found = _cut(scores, frames)
                return lambda: found
            host = torch.empty(scores.shape, dtype=scores.dtype, pin_memory=True)
            host.copy_(scores, non_blocking=True)
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(self.device))
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(waves) == 1:
                raise UsageError(
                    "gpu-out-of-memory",
                    f"an utterance of {len(waves[0]) / SAMPLE_RATE:.0f} s does not fit into the GPU's memory",
                    hint="--device cpu, or cut the recording into segments",
                ) from None
        else:

            def result() -> Emissions:
                done.synchronize()
                return _cut(host, frames)

            return result
        log.warn(f"a batch of {len(waves)} does not fit into the GPU's memory: halving it")
        halves = [self.start(part) for part in (waves[: len(waves) // 2], waves[len(waves) // 2 :])]
        return lambda: [emission for half in halves for emission in half()]

    def facts(self) -> dict[str, Any]:
        """Device, precision and threads."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        return {"runtime": "torch", "device": name, "precision": self.precision, "threads": torch.get_num_threads()}


def choose_precision(wanted: Precision, device: torch.device) -> str:
    """What `auto` means on a device.

    Raises:
        UsageError: fp16 or tf32 on a CPU.
    """
    if wanted == "auto":
        return "tf32" if device.type == "cuda" else "fp32"
    if device.type == "cpu" and wanted in ("fp16", "tf32"):
        raise UsageError("precision-needs-gpu", f"{wanted} is for GPUs", hint="on a CPU: --precision fp32 or bf16")
    if device.type == "cpu" and wanted == "bf16" and not has_bf16():
        log.warn("this processor has no bf16 products: fp32 is several times faster here")
    return wanted


def has_bf16() -> bool:
    """Whether the CPU multiplies bf16 (AVX-512 BF16 or AMX) itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _cut(scores: torch.Tensor, frames: Sequence[int]) -> Emissions:
    rows = scores.numpy()
    return [np.ascontiguousarray(row[:count]) for row, count in zip(rows, frames, strict=True)]
