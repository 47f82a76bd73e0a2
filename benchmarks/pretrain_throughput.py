"""Audio seconds a second of a whole pre-training update (forward, loss, backward, optimizer): ours beside `transformers`.

    python benchmarks/pretrain_throughput.py                                            # small batches, on the CPU
    python benchmarks/pretrain_throughput.py --device cuda --dtype bf16 --rows 8 --seconds 10.9 --trials 20

Ours and `Wav2Vec2ForPreTraining` (sdpa attention) begin with the same W2V2-base weights, and get the same waves, the same
masks, 100 negatives, the same dropouts, no layer drop, and fused AdamW. Masks are drawn before the clock starts for both;
the other's negatives too (its example draws them in the loader's workers), ours are drawn within the update, where the
training loop draws them. SEW models have no pre-training class there; they stand beside our W2V2-base, and the paper's
hours for 100,000 updates on 8 V100 beside them. Trials alternate; the first of each is a warm-up. On a CPU the seconds are
those of the process, so that other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import command_line, today, versions

from sewcli.base.files import write_json
from sewcli.base.machine import processor
from sewcli.base.memory import keep_freed_memory
from sewcli.base.rng import numpy_rng
from sewcli.models.folder import save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.published import figures
from sewcli.models.zoo import lookup
from sewcli.nn.masking import frame_indices, span_mask

RATE = 16_000
PEER, BASE = "transformers w2v2-base", "w2v2-base"
PAPER_HOURS = {  # on 8 V100
    f.model: f.number for f in figures(paper="SEW", table="6", quantity="pre-training hours")
}
TEMPERATURE = 2.0
Update = Callable[[], float]


def main() -> None:
    given = arguments()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    device, dtype = torch.device(given.device), {"fp32": torch.float32, "bf16": torch.bfloat16}[given.dtype]
    rng = numpy_rng(1, "waves")
    waves = torch.from_numpy(rng.normal(0, 0.1, (given.rows, int(given.seconds * RATE))).astype(np.float32)).to(device)
    updates: dict[str, Update] = {}
    for name in given.models:
        torch.manual_seed(1)
        model = PretrainingModel(lookup(name).model_copy(update={"layer_drop": 0.0}))
        mask = drawn_mask(model, waves)
        updates[name] = ours(model.to(device).train(), waves, mask, dtype)
        if name == BASE:
            updates[PEER] = theirs(model, waves, mask, dtype)
    seconds = measure(updates, device, given.trials)
    audio = waves.numel() / RATE
    rows = [row(name, times, audio, seconds.get(BASE)) for name, times in seconds.items()]
    for each in rows:
        print(json.dumps(each), flush=True)
    write_json(
        given.out,
        {
            "command": command_line(),
            "date": today(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
            "threads": torch.get_num_threads(),
            "dtype": given.dtype,
            "batch": f"{given.rows} x {given.seconds:g} s",
            "trials": given.trials,
            "clock": "wall" if device.type == "cuda" else "process",
            "versions": versions(("sew", "torch", "transformers")),
            "results": rows,
        },
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--rows", type=int, default=4, help="utterances in the batch")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=[BASE, "sew-mid", "sew-d-mid"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/pretrain_throughput.json"))
    return parser.parse_args()


def drawn_mask(model: PretrainingModel, waves: torch.Tensor) -> np.ndarray:
    """(B, T) bool, as many frames in each row; the same for models with the same frame rate."""
    frames = int(model.encoder.frames(waves.shape[1]))
    return span_mask(numpy_rng(1, "mask"), len(waves), frames, probability=0.65, length=10, min_spans=2)


def ours(model: PretrainingModel, waves: torch.Tensor, mask: np.ndarray, dtype: torch.dtype) -> Update:
    device = waves.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    lengths = torch.full((len(waves),), waves.shape[1])
    masked, predicted = (torch.from_numpy(array).to(device) for array in (mask, frame_indices(mask)))

    def update() -> torch.Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            output = model(waves, lengths, masked, TEMPERATURE, predicted)
        (output.loss / output.frames).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return output.contrastive / output.frames  # nats a frame

    return lambda: float(update())


def theirs(model: PretrainingModel, waves: torch.Tensor, mask: np.ndarray, dtype: torch.dtype) -> Update:
    from transformers import Wav2Vec2ForPreTraining
    from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

    device = waves.device
    with tempfile.TemporaryDirectory() as folder:
        save_pretraining(model, Path(folder) / "model", facts={})
        peer = Wav2Vec2ForPreTraining.from_pretrained(Path(folder) / "model", attn_implementation="sdpa")
    config = model.config
    for own, name in (
        (config.dropout, "hidden_dropout"),
        (config.attention_dropout, "attention_dropout"),
        (config.activation_dropout, "activation_dropout"),
        (config.input_dropout, "feat_proj_dropout"),
        (config.feature_dropout, "feat_quantizer_dropout"),
        (config.layer_drop, "layerdrop"),
        (config.negatives, "num_negatives"),
    ):
        assert getattr(peer.config, name) == own, name
    peer.to(device).train()
    peer.set_gumbel_temperature(TEMPERATURE)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-5, fused=True)
    masked = torch.from_numpy(mask).to(device)
    negatives = torch.from_numpy(_sample_negative_indices(mask.shape, config.negatives, mask)).to(device)

    def update() -> torch.Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            output = peer(waves, mask_time_indices=masked, sampled_negative_indices=negatives)
        frames = int(mask.sum())
        (output.loss / frames).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return output.contrastive_loss.detach() / frames

    return lambda: float(update())


def measure(updates: dict[str, Update], device: torch.device, trials: int) -> dict[str, list[float]]:
    """Seconds of each trial by name. Fetching the loss waits for a GPU."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    for trial in range(trials + 1):
        for name, update in updates.items():
            began = clock()
            loss = update()
            if trial:
                seconds[name].append(clock() - began)
            else:
                print(f"{name}: first loss {loss:.3f} nats a frame", file=sys.stderr, flush=True)
    return seconds


def row(name: str, times: list[float], audio: float, base: list[float] | None) -> dict[str, object]:
    median = statistics.median(times)
    found: dict[str, object] = {
        "program": name,
        "audio_seconds_a_second": round(audio / median, 3),
        "seconds": {"median": round(median, 3), "min": round(min(times), 3), "max": round(max(times), 3)},
    }
    if base:
        found["times_w2v2_base"] = round(statistics.median(base) / median, 3)
    if name in PAPER_HOURS:
        found["times_w2v2_base_in_the_paper"] = round(PAPER_HOURS[BASE] / PAPER_HOURS[name], 3)
    return found


if __name__ == "__main__":
    main()
