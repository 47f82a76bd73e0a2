"""A feature extractor layer by layer, as table 2 of the SEW paper has it, with the time that each layer takes here.

Convolutions and norms are timed by hooks; what is between them (activations, transposed views) is the line "activations".
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sewcli.base import log
from sewcli.base.memory import keep_freed_memory
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.bench.speech import LEVEL
from sewcli.models.constants import hold_constants
from sewcli.models.ctc import CTCModel
from sewcli.models.flops import SECONDS, anatomy, paper_flops
from sewcli.models.sizes import VOCABULARY
from sewcli.models.zoo import lookup

EXTRACTOR = "encoder.extractor."
REST = "activations"


def measure_layers(name: str, device: torch.device, trials: int) -> dict[str, Any]:
    """The layers of a model of the zoo for one utterance of 10 s in fp32: sizes, operations, mean wall seconds and deviation.

    Raises:
        UsageError: no such model.
    """
    keep_freed_memory()
    config = lookup(name)
    torch.manual_seed(0)
    model = hold_constants(CTCModel(config, VOCABULARY).to(device))
    parts = [part for part in anatomy(config, VOCABULARY) if part.name.startswith(EXTRACTOR)]
    modules = {part.name: model.get_submodule(part.name) for part in parts}
    wave = LEVEL * torch.randn(1, SECONDS * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    wave = wave.to(device)
    times: dict[str, list[float]] = {key: [] for key in (*modules, REST)}
    for trial in log.track(range(trials + 1), f"layers of {name}"):
        taken = _timed(model.encoder.extractor, modules, wave, device)
        for key, seconds in taken.items() if trial else ():  # the first warms up
            times[key].append(seconds)
    rows = [
        {"layer": part.name.removeprefix(EXTRACTOR), "kind": part.kind, "shape": part.shape, "macs": part.macs}
        | _spread(times[part.name])
        for part in parts
    ]
    total = [sum(each) for each in zip(*times.values(), strict=True)]
    return {
        "model": name,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "audio_seconds": SECONDS,
        "trials": trials,
        "layers": [*rows, {"layer": REST, "kind": "GELU", "shape": None, "macs": 0, **_spread(times[REST])}],
        "macs": sum(part.macs for part in parts),
        "flops_as_in_table_2": paper_flops(config),
        **_spread(total),
    }


def _timed(
    extractor: nn.Module, modules: dict[str, nn.Module], wave: torch.Tensor, device: torch.device
) -> dict[str, float]:
    """Seconds in each module of one pass, and in none of them."""
    taken, began = dict.fromkeys((*modules, REST), 0.0), {}
    clock = _clock(device)

    def enter(key: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            began[key] = clock()

        return note

    def leave(key: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            taken[key] += clock() - began[key]

        return note

    hooks = [module.register_forward_pre_hook(enter(key)) for key, module in modules.items()]
    hooks += [module.register_forward_hook(leave(key)) for key, module in modules.items()]
    with torch.inference_mode():
        start = clock()
        extractor(wave, None)
        taken[REST] = clock() - start - sum(taken.values())
    for hook in hooks:
        hook.remove()
    return taken


def _clock(device: torch.device) -> Callable[[], float]:
    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"seconds": statistics.mean(seconds), "deviation": statistics.stdev(seconds) if len(seconds) > 1 else 0.0}
