"""Models side by side: layers, size on disk, time beside the first one's, and word error rates by the decode pipeline.

Times are medians of forward passes of the same noise through all models in turn, in this process; only their ratios mean
something. Any model folders will do: students, pruned models, models trained without a teacher.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sewcli.base import log
from sewcli.base.files import read_jsonl, write_json, write_text
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.outcome import HYPOTHESES
from sewcli.decoding.pipeline import decode
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count, load_ctc
from sewcli.models.source import resolve
from sewcli.models.sparsity import zeros
from sewcli.scoring.score import score_folder

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
BATCH, SECONDS, TRIALS = 4, 8.0, 9  # of the noise that times are measured with
RATE = 16_000


@dataclass(frozen=True)
class Decoding:
    """What error rates are of: splits of a corpus, the language model beside greedy search, and where hypotheses go."""

    data: Path
    splits: Sequence[str]
    lm: str | None
    out: Callable[[Path], Path]
    options: BeamOptions = BeamOptions()


def compare(models: Mapping[str, Path], decoding: Decoding, device: torch.device) -> list[dict[str, Any]]:
    """A row for each model, named by its key; the first is what the others' times are divided by.

    Raises:
        SewError: a model or a split is missing or not valid.
    """
    loaded = {name: load_ctc(path)[0] for name, path in models.items()}
    with log.progress("times", TRIALS + 1) as bar:
        seconds = forward_seconds(loaded, device, advance=bar.advance)
    base = next(iter(seconds.values()))
    rows = []
    for name, path in models.items():
        zero, of = zeros(loaded[name])
        rows.append(
            {
                "name": name,
                "model": str(path),
                "family": loaded[name].config.family,
                "layers": loaded[name].config.layers,
                "heads": loaded[name].config.heads,
                "feedforward": loaded[name].config.feedforward,
                "parameters": count(loaded[name]),
                "zeros": zero / of,
                "megabytes": bytes_on_disk(path) / 1e6,
                "time": seconds[name] / base,
                "seconds": seconds[name],
                "wer": error_rates(path, decoding, device),
            }
        )
    return rows


def forward_seconds(
    models: Mapping[str, CTCModel], device: torch.device, *, advance: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Median time of a forward pass of each model, models in turn; of this process where the CPU computes."""
    waves = (0.1 * torch.randn(BATCH, int(SECONDS * RATE), generator=torch.Generator().manual_seed(0))).to(device)
    lengths = torch.full((BATCH,), waves.shape[1])
    taken: dict[str, list[float]] = {name: [] for name in models}
    ready = {name: model.to(device).for_inference() for name, model in models.items()}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    with torch.inference_mode():
        for trial in range(TRIALS + 1):
            for name, model in ready.items():
                since = clock()
                model(waves, lengths)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if trial:  # the first warms up
                    taken[name].append(clock() - since)
            advance()
    return {name: statistics.median(each) for name, each in taken.items()}


def bytes_on_disk(model: Path) -> int:
    """Of a model's weights."""
    place = resolve(model)
    files = [place] if place.is_file() else [file for pattern in WEIGHTS for file in place.glob(pattern)]
    return sum(file.stat().st_size for file in files)


def error_rates(model: Path, decoding: Decoding, device: torch.device) -> dict[str, dict[str, float]]:
    """Word error rates by split, greedy and with the language model; none of a split without transcripts."""
    rates: dict[str, dict[str, float]] = {split: {} for split in decoding.splits}
    for search in (None, decoding.lm) if decoding.lm else (None,):
        done = decode(
            model,
            decoding.data,
            decoding.splits,
            out=decoding.out(model),
            device=lambda: device,
            lm=search,
            options=decoding.options,
            jobs=0 if device.type == "cuda" else None,  # a process that has a GPU in use should not fork
        )
        for split, found in zip(decoding.splits, done, strict=True):
            if any(row.get("reference") for row in read_jsonl(found.folder / HYPOTHESES)):
                rates[split]["lm" if search else "greedy"] = score_folder(found.folder)["wer"]
    return rates


def markdown(rows: Sequence[Mapping[str, Any]], lm: str | None) -> str:
    """The rows as a table."""
    splits = list(rows[0]["wer"]) if rows else []
    searches = ["greedy", *(["lm"] if lm else [])]
    named = {"greedy": "greedy", "lm": Path(lm).name.split(".")[0] if lm else ""}
    head = ["model", "layers", "parameters", "MB", "time"]
    head += [f"WER {split} {named[search]}" for split in splits for search in searches]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        parameters = f"{row['parameters']:,}" + (f", {100 * row['zeros']:.0f} % zeros" if row["zeros"] > 0.001 else "")
        cells = [row["name"], str(row["layers"]), parameters, f"{row['megabytes']:.1f}", f"{row['time']:.2f}"]
        rates = [row["wer"][split].get(search) for split in splits for search in searches]
        cells += ["-" if rate is None else f"{100 * rate:.1f} %" for rate in rates]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_table(rows: Sequence[Mapping[str, Any]], lm: str | None, prefix: Path, *, as_json: bool) -> None:
    """Write PREFIX.json and PREFIX.md, and print the table (or an object a line) to stdout."""
    write_json(prefix.with_name(f"{prefix.name}.json"), list(rows))
    text = markdown(rows, lm)
    write_text(prefix.with_name(f"{prefix.name}.md"), text)
    print("\n".join(json.dumps(row) for row in rows) if as_json else text, end="\n" if as_json else "")
