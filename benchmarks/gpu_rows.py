"""The rows of `benchmarks/gpu.py`: what is measured on a GPU, at full size or (smoke) at toy size on any device.

Seconds are medians over trials that alternate between the programs, each waited for; memory is PyTorch's peak above what
was allocated before. Weights are random at the papers' sizes: speed does not depend on them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from peers import recogniser, with_their_layers
from pretrain_throughput import drawn_mask, ours
from pretrain_throughput import theirs as pretraining_class

from sewcli.base.rng import numpy_rng
from sewcli.decoding.greedy import collapse
from sewcli.models.ctc import CTCModel
from sewcli.models.flops import anatomy
from sewcli.models.paper import TIMES
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.runtimes import fused_attention as fused
from sewcli.runtimes.inference import for_inference

RATE = 16_000
VOCABULARY = 32
PEAKS = {"H200": 989.5, "H100": 989.5, "A100": 312.0}  # TFLOP/s of dense bf16 products, by NVIDIA's data sheets
PAPER_SECONDS = {  # SEW tables 6 and 8: forward and greedy decoding of dev-clean on one V100
    row.model: float(row.seconds) for row in TIMES if not row.model.endswith("-k127")
}
Step = Callable[[], Any]


@dataclass(frozen=True)
class Setting:
    """Where, and whether at toy sizes."""

    device: torch.device
    smoke: bool

    def model(self, name: str) -> str:
        """The model, or the smallest one of its family."""
        if not self.smoke:
            return name
        return f"{'sew-d' if name.startswith('sew-d') else name.partition('-')[0]}-micro"

    def size(self, full: float, toy: float) -> float:
        return toy if self.smoke else full

    @property
    def trials(self) -> int:
        return 1 if self.smoke else 10


def plain() -> Any:
    """SEW-D's attention without the kernels."""
    return patch.object(fused, "serves_here", lambda x, heads: False)


def by_kernels(layer: DisentangledAttention, *given: Any) -> torch.Tensor:
    """A layer by the kernels, wherever they serve."""
    return layer.output(fused.FusedMix(layer).by_kernels(*given))


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measured(steps: dict[str, Step], setting: Setting, trials: int | None = None) -> dict[str, dict[str, Any]]:
    """Seconds and peak memory of each step by name; one that fails is marked."""
    found: dict[str, dict[str, Any]] = {}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for name, step in steps.items():  # twice: caches, choices of algorithms, compilation
        try:
            step()
            wait(setting.device)
            found[name] = {"peak_mb": peak_of(step, setting.device)}
        except Exception as error:
            found[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
    for _ in range(trials or setting.trials):
        for name, step in steps.items():
            if "error" not in found[name]:
                began = time.perf_counter()
                step()
                wait(setting.device)
                times[name].append(time.perf_counter() - began)
    for name, each in times.items():
        if each:
            found[name] |= {"seconds": round(statistics.median(each), 6), "min": round(min(each), 6)}
    return found


def peers_of(builders: dict[str, Callable[[], Step]]) -> tuple[dict[str, Step], dict[str, Any]]:
    """(steps of the others, errors of those that cannot be had here): ours are measured all the same."""
    steps: dict[str, Step] = {}
    errors: dict[str, Any] = {}
    for name, build in builders.items():
        try:
            steps[name] = build()
        except Exception as error:
            errors[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
    return steps, errors


def peak_of(step: Step, device: torch.device) -> float | None:
    if device.type != "cuda":
        step()
        return None
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step()
    wait(device)
    return round((torch.cuda.max_memory_allocated(device) - before) / 2**20, 1)


def noise(setting: Setting, rows: int, samples: float) -> torch.Tensor:
    return 0.1 * torch.randn(rows, round(samples), device=setting.device)


# the attention alone ------------------------------------------------------------------------------------------------


def kernel(setting: Setting) -> dict[str, Any]:
    """The fused attention against the plain one in fp64 (values, gradients, twice the same bits), then its speed."""
    if not setting.smoke and not fused.serves("cuda", torch.bfloat16, 64, torch.cuda.get_device_capability(), True):
        raise RuntimeError("the kernels do not run on this GPU")
    lengths = ([9], [33, 20]) if setting.smoke else ([1], [64], [65, 3], [375, 374], [390, 200], [700, 513], [1500])
    cases = [
        exactness(setting, dtype, each) for each in lengths for dtype in (torch.float32, torch.float16, torch.bfloat16)
    ]
    wrong = [case for case in cases if case["fused"] > 2 * case["plain"] + 1e-5 or not case["same_bits_again"]]
    if wrong:
        raise RuntimeError(f"the kernels are wrong: {wrong}")
    sizes = [(1, 20)] if setting.smoke else [(16, 375), (16, 1500), (8, 390), (64, 125)]
    return {"exactness": cases, "speed": [attention_speed(setting, rows, frames) for rows, frames in sizes]}


def layer_of(setting: Setting, dtype: torch.dtype, heads: int, dropout: float = 0.0) -> DisentangledAttention:
    torch.manual_seed(1)
    layer = DisentangledAttention(
        64 * heads, heads, dropout=dropout, position_dropout=0.0, buckets=256, max_positions=512
    )
    return layer.to(setting.device, dtype)


def exactness(setting: Setting, dtype: torch.dtype, lengths: list[int], heads: int = 2) -> dict[str, Any]:
    """Largest difference from fp64 in values and gradients, in units of the largest value, of the kernels and of the plain
    path in the same precision; what is not padding.
    """
    frames = max(lengths)
    inside = torch.arange(frames, device=setting.device) < torch.tensor(lengths, device=setting.device).unsqueeze(1)
    layer = layer_of(setting, dtype, heads)
    exact = layer_of(setting, torch.float64, heads)
    exact.load_state_dict(layer.state_dict())
    torch.manual_seed(2)
    x, slope = (torch.randn(len(lengths), frames, 64 * heads, device=setting.device, dtype=dtype) for _ in range(2))
    table = torch.randn(512, 64 * heads, device=setting.device, dtype=dtype)
    slope = slope * inside.unsqueeze(2)
    results = []
    for each, kernels in ((exact, False), (layer, True), (layer, True), (layer, False)):
        kind = next(each.parameters()).dtype
        own, rows = (y.to(kind, copy=True).requires_grad_() for y in (x, table))
        each.zero_grad()
        with plain():
            mixed = by_kernels(each, own, inside, rows) if kernels else each(own, inside, rows)
        mixed.backward(slope.to(kind))
        assert own.grad is not None and rows.grad is not None
        grads = [p.grad.clone() for p in each.parameters() if p.grad is not None]
        results.append([mixed.detach() * inside.unsqueeze(2), own.grad, rows.grad, *grads])

    def apart(found: list[torch.Tensor]) -> float:
        pairs = zip(found, results[0], strict=True)
        return max(float((a.double() - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in pairs)

    same = all(torch.equal(a, b) for a, b in zip(results[1], results[2], strict=True))
    found = {"fused": apart(results[1]), "plain": apart(results[3]), "same_bits_again": same}
    return {"dtype": str(dtype), "lengths": lengths, **found}


def attention_speed(setting: Setting, rows: int, frames: int, heads: int = 8) -> dict[str, Any]:
    """One layer of SEW-D-mid in bf16, inference and training (dropout 0.1), tiles of several sizes for the kernels."""
    dtype = torch.bfloat16
    x = torch.randn(rows, frames, 64 * heads, device=setting.device, dtype=dtype)
    table = torch.randn(512, 64 * heads, device=setting.device, dtype=dtype)
    layer = layer_of(setting, dtype, heads, dropout=0.1)

    def run(kernels: bool, train: bool) -> Step:
        def step() -> None:
            own = x.detach().requires_grad_(train)
            layer.train(train)
            with torch.set_grad_enabled(train):
                y = by_kernels(layer, own, None, table) if kernels else layer(own, None, table)
            if train:
                y.backward(x)

        def without() -> None:
            with plain():
                step()

        return step if kernels else without

    steps = {
        f"{'fused' if k else 'plain'} {'training' if t else 'inference'}": run(k, t)
        for k in (True, False)
        for t in (False, True)
    }
    found: dict[str, Any] = {"batch": f"{rows} x {frames} frames, {heads} heads", **measured(steps, setting)}
    tiles = [(64, 64, 4), (128, 64, 8), (64, 32, 4), (64, 64, 8), (128, 128, 8), (32, 64, 4)]
    for m, n, warps in tiles[: 1 if setting.smoke else None]:
        tile = {"BLOCK_M": m, "BLOCK_N": n, "num_warps": warps, "num_stages": 2}
        with patch.object(fused, "FORWARD", tile), patch.object(fused, "BACKWARD", tile):
            fast = {name: step for name, step in steps.items() if name.startswith("fused")}
            for name, row in measured(fast, setting, trials=3).items():
                found[f"{name}, tile {m} x {n}, {warps} warps"] = row
    return found


# inference ----------------------------------------------------------------------------------------------------------


def ours_for(name: str, dtype: torch.dtype, device: torch.device) -> CTCModel:
    torch.manual_seed(1)
    return for_inference(CTCModel(lookup(name), VOCABULARY), device, dtype)


def inference(setting: Setting, seconds: float) -> dict[str, Any]:
    """Recognisers in bf16 beside `transformers`, eager and (where it has it) sdpa."""
    rows, seconds, dtype = int(setting.size(16, 2)), setting.size(seconds, 1.0), torch.bfloat16
    waves = noise(setting, rows, seconds * RATE).to(dtype)
    lengths = torch.full((rows,), waves.shape[1])
    results = []
    for full_name in ("sew-d-mid", "sew-mid", "w2v2-base"):
        name = setting.model(full_name)
        torch.manual_seed(1)
        fresh = CTCModel(lookup(name), VOCABULARY)
        kinds = ["eager"] if name.startswith("sew-d") else ["eager", "sdpa"]
        peers, errors = peers_of({f"transformers {kind}": partial(peer, fresh, kind, waves) for kind in kinds})
        steps: dict[str, Step] = {"sew": forward_of(for_inference(fresh, setting.device, dtype), waves, lengths)}
        if name.startswith("sew-d"):
            steps["sew without the kernels"] = without_kernels(steps["sew"])
        steps |= peers
        row: dict[str, Any] = {"model": name, "batch": f"{rows} x {seconds:g} s"}
        if "transformers eager" in peers:
            one, other = steps["sew"]().argmax(2), peers["transformers eager"]().argmax(2)
            row["best_symbols_that_agree"] = round(float((one == other).float().mean()), 4)
        results.append({**row, **measured(steps, setting), **errors})
    return {"results": results}


def forward_of(model: CTCModel, waves: torch.Tensor, lengths: torch.Tensor) -> Step:
    def step() -> torch.Tensor:
        with torch.inference_mode():
            return model(waves, lengths).logits

    return step


def peer(model: CTCModel, attention: str, waves: torch.Tensor) -> Step:
    """`transformers`' forward pass with the same weights."""
    theirs = recogniser(model, attention, waves.dtype).to(waves.device)

    def step() -> torch.Tensor:
        with torch.inference_mode():
            logits: torch.Tensor = theirs(waves).logits
            return logits

    return step


def without_kernels(step: Step) -> Step:
    def other() -> Any:
        with plain():
            return step()

    return other


def utilisation(setting: Setting) -> dict[str, Any]:
    """Share of the GPU's peak in the forward pass at full batches of 10 s in bf16 (operations counted by `anatomy`)."""
    results = []
    peak = peak_of_device(setting.device)
    for full_name in ("w2v2-base", "sew-mid"):
        name = setting.model(full_name)
        model = ours_for(name, torch.bfloat16, setting.device)
        each = 2 * sum(part.macs for part in anatomy(lookup(name), VOCABULARY))
        for rows in (2,) if setting.smoke else (25, 100, 200):
            waves = noise(setting, rows, RATE if setting.smoke else 10 * RATE).to(torch.bfloat16)
            row = measured({"sew": forward_of(model, waves, torch.full((rows,), waves.shape[1]))}, setting)["sew"]
            if "seconds" in row and not setting.smoke:
                speed = each * rows / row["seconds"] / 1e12
                row |= {"tflop_a_second": round(speed, 1), "share_of_peak": round(speed / peak, 4) if peak else None}
            results.append({"model": name, "batch": f"{rows} x 10 s", **row})
    return {"peak_tflop_a_second": peak, "results": results}


def peak_of_device(device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def dev_clean(setting: Setting) -> dict[str, Any]:
    """5.4 h of dev-clean's lengths, forward and greedy, every size: the papers' timer (no reading, no scoring)."""
    lengths = [length // int(setting.size(1, 8)) for length in utterance_lengths(int(setting.size(2703, 3)))]
    names = ["sew-d-mid", "w2v2-base"] if setting.smoke else list(PAPER_SECONDS)
    results = []
    for name in names:
        model = ours_for(setting.model(name), torch.bfloat16, setting.device)
        row: dict[str, Any] = {"model": setting.model(name), "paper_v100_seconds": PAPER_SECONDS[name]}
        for budget in (250.0, 2000.0):
            batches = batches_of(lengths, budget)
            row[f"seconds, {budget:g} s a batch"] = [
                round(timed_pass(model, batches, setting), 3) for _ in range(1 if setting.smoke else 2)
            ]
        results.append(row)
        del model
    return {"hours": round(sum(lengths) / RATE / 3600, 3), "utterances": len(lengths), "results": results}


def utterance_lengths(number: int) -> list[int]:
    """Samples: a gamma distribution of dev-clean's mean 7.2 s and deviation 4.7 s, from 1.4 to 32.6 s."""
    seconds = numpy_rng(1, "lengths").gamma((7.2 / 4.7) ** 2, 4.7**2 / 7.2, number).clip(1.4, 32.6)
    found: list[int] = (seconds * RATE).astype(np.int64).tolist()
    return found


def batches_of(lengths: list[int], budget: float) -> list[list[int]]:
    batches: list[list[int]] = []
    for length in sorted(lengths, reverse=True):
        if batches and batches[-1][0] * (len(batches[-1]) + 1) <= budget * RATE:
            batches[-1].append(length)
        else:
            batches.append([length])
    return batches


def timed_pass(model: CTCModel, batches: list[list[int]], setting: Setting) -> float:
    """Seconds of all forward passes and greedy searches; waves are made between them, off the clock."""
    spent = 0.0
    for batch in batches:
        waves, lengths = noise(setting, len(batch), batch[0]), torch.tensor(batch)
        for row, length in zip(waves, batch, strict=True):
            row[length:] = 0.0
        waves = waves.to(torch.bfloat16)
        wait(setting.device)
        began = time.perf_counter()
        with torch.inference_mode():
            output = model(waves, lengths)
            best = output.logits.argmax(2).cpu().numpy()
        for row, frames in zip(best, output.lengths.tolist(), strict=True):
            collapse(row[:frames], blank=0)
        spent += time.perf_counter() - began
    return spent


def compiled(setting: Setting) -> dict[str, Any]:
    """One short input (5 s) at a time: as it is, and by torch.compile with CUDA graphs (mode "reduce-overhead")."""
    results = []
    for full_name in ("sew-tiny", "sew-d-mid"):
        name, seconds = setting.model(full_name), setting.size(5.0, 1.0)
        model = ours_for(name, torch.bfloat16, setting.device)
        waves = noise(setting, 1, seconds * RATE).to(torch.bfloat16)
        how: dict[str, Any] = {"backend": "eager"} if setting.smoke else {"mode": "reduce-overhead"}
        fast = torch.compile(model, **how)
        lengths = torch.full((1,), waves.shape[1])
        began = time.perf_counter()
        steps = {"sew": forward_of(model, waves, lengths), "sew compiled": forward_of(fast, waves, lengths)}
        row = measured(steps, setting)
        results.append({"model": name, "seconds_with_compilation": round(time.perf_counter() - began, 1), **row})
    return {"results": results}


# training -----------------------------------------------------------------------------------------------------------


def pretrain(setting: Setting) -> dict[str, Any]:
    """Whole updates of pre-training in bf16 beside `transformers`: its pre-training class, or its layers and our loss."""
    results = []
    peak = peak_of_device(setting.device)
    for full_name, batches in (("w2v2-base", (6, 24)), ("sew-d-mid", (6, 24, 48))):
        name, seconds = setting.model(full_name), setting.size(15.625, 2.0)
        for rows in (2,) if setting.smoke else batches:
            results.append(pretrain_batch(setting, name, rows, seconds, peak))
    return {"peak_tflop_a_second": peak, "results": results}


def pretrain_batch(setting: Setting, name: str, rows: int, seconds: float, peak: float | None) -> dict[str, Any]:
    dtype, device = torch.bfloat16, setting.device
    waves = noise(setting, rows, seconds * RATE)
    torch.manual_seed(1)
    model = PretrainingModel(lookup(name).model_copy(update={"layer_drop": 0.0}))
    mask = drawn_mask(model, waves)

    def their_update() -> Step:
        if name.startswith("sew-d"):
            return ours(with_their_layers(model).to(device).train(), waves, mask, dtype)
        return pretraining_class(model, waves, mask, dtype)

    peers, errors = peers_of({"transformers": their_update})
    own = ours(model.to(device).train(), waves, mask, dtype)
    steps: dict[str, Step] = {"sew": own, **peers}
    losses = {each: round(step(), 3) for each, step in steps.items()}
    if name.startswith("sew-d"):
        steps["sew without the kernels"] = without_kernels(own)
    found = measured(steps, setting, trials=1 if setting.smoke else 5)
    work = 3 * 2 * sum(part.macs for part in anatomy(lookup(name), VOCABULARY, seconds)) * rows  # without the heads
    for row in found.values():
        if "seconds" in row:
            row["audio_seconds_a_second"] = round(rows * seconds / row["seconds"], 1)
            if peak and not name.startswith("sew-d"):  # whose operations are counted as the plain path makes them
                row["share_of_peak"] = round(work / row["seconds"] / 1e12 / peak, 4)
    return {"model": name, "batch": f"{rows} x {seconds:g} s", "first_losses": losses, **found, **errors}


def inference_15(setting: Setting) -> dict[str, Any]:
    """Recognisers at 16 x 15 s in bf16 beside `transformers`, eager and (where it has it) sdpa."""
    return inference(setting, 15.0)


def inference_60(setting: Setting) -> dict[str, Any]:
    """The same at 16 x 60 s."""
    return inference(setting, 60.0)


ROWS: dict[str, tuple[int, Callable[[Setting], dict[str, Any]]]] = {  # seconds at most, and what is measured
    "kernel": (120, kernel),
    "inference-15s": (60, inference_15),
    "inference-60s": (80, inference_60),
    "dev-clean": (100, dev_clean),
    "pretrain": (120, pretrain),
    "utilisation": (60, utilisation),
    "compile": (120, compiled),
}
