"""Models side by side: layers, size on disk, time beside the first one's, and word error rates by the decode pipeline.

Times are medians of forward passes of the same noise through all models in turn, in this process; only their ratios mean
something. Any model folders will do: students, pruned models, models trained without a teacher, graphs of eight bits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sewcli.artifacts.decode_folder import has_references
from sewcli.base import log
from sewcli.base.errors import UsageError
from sewcli.base.files import write_json, write_text
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.pipeline import decode
from sewcli.decoding.plan import plan_decoder
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import count, load_ctc
from sewcli.models.opening import open_source
from sewcli.models.source import resolve
from sewcli.models.sparsity import zeros
from sewcli.runtimes.openvino_folder import is_graph, open_graph
from sewcli.runtimes.openvino_runtime import GraphModel
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.scoring.score import score_folder

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
BATCH, SECONDS, TRIALS = 4, 8.0, 9  # of the noise that times are measured with


@dataclass(frozen=True)
class Decoding:
    """What error rates are of: splits of a corpus, the language model beside greedy search, and where hypotheses go."""

    data: Path
    splits: Sequence[str]
    lm: str | None
    out: Callable[[Path], Path]
    options: BeamOptions = BeamOptions()


@dataclass(frozen=True)
class _Loaded:
    """A model in memory. zeros: share of them; forward: a pass of the noise."""

    config: ModelConfig
    parameters: int
    zeros: float
    numbers: str
    forward: Callable[[], object]


def require_comparable(models: Sequence[Path], decoding: Decoding, device: torch.device) -> None:
    """Refuse, before the hours that a table stands at the end of, what it could not have.

    Args:
        models: recognisers, the first of which says in what symbols the language model has to be.
        decoding: what the error rates are of.
        device: where all compute.

    Raises:
        UsageError: no such model or language model, one of another kind, or a graph beside models on a GPU.
        DataError: a file is broken.
    """
    vocabularies = []
    for model in models:
        if is_graph(model) and device.type != "cpu":
            raise UsageError("graph-not-comparable", "a graph computes on the CPU", where=model, hint="--device cpu")
        opened = open_graph(model) if is_graph(model) else open_source(model, expect="ctc")
        vocabularies.append(opened.vocabulary)
    if vocabularies[0]:
        plan_decoder(decoding.lm, decoding.data, vocabularies[0], decoding.options)


def compare(models: Mapping[str, Path], decoding: Decoding, device: torch.device) -> list[dict[str, Any]]:
    """A row for each model, named by its key; the first is what the others' times are divided by.

    Raises:
        SewError: a model or a split is missing or not valid.
    """
    require_comparable([*models.values()], decoding, device)
    # graphs last: OpenVINO's threads should not be there yet where decoder processes are forked
    order = sorted(models, key=lambda name: is_graph(models[name]))
    rates = {name: error_rates(models[name], decoding, device) for name in order}
    loaded = {name: _load(path, device) for name, path in models.items()}
    with log.progress("times", TRIALS + 1) as bar:
        passes = {name: model.forward for name, model in loaded.items()}
        seconds = forward_seconds(passes, device, advance=bar.advance)
    base = next(iter(seconds.values()))
    return [
        {
            "name": name,
            "model": str(models[name]),
            "family": model.config.family,
            "layers": model.config.layers,
            "heads": model.config.heads,
            "feedforward": model.config.feedforward,
            "parameters": model.parameters,
            "zeros": model.zeros,
            "numbers": model.numbers,
            "megabytes": bytes_on_disk(models[name]) / 1e6,
            "time": seconds[name] / base,
            "seconds": seconds[name],
            "wer": rates[name],
        }
        for name, model in loaded.items()
    ]


def forward_seconds(
    passes: Mapping[str, Callable[[], object]], device: torch.device, *, advance: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Median time of a forward pass of each model, models in turn; of this process where the CPU computes."""
    taken: dict[str, list[float]] = {name: [] for name in passes}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    with torch.inference_mode():
        for trial in range(TRIALS + 1):
            for name, forward in passes.items():
                since = clock()
                forward()
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
            jobs=0 if device.type == "cuda" or is_graph(model) else None,  # not forked with a GPU or OpenVINO in use
        )
        for split, found in zip(decoding.splits, done, strict=True):
            if has_references(found.folder):
                rates[split]["lm" if search else "greedy"] = score_folder(found.folder)["wer"]
    return rates


def cells(rows: Sequence[Mapping[str, Any]], lm: str | None) -> tuple[list[str], list[list[str]]]:
    """The titles of the columns, and the cells of each row."""
    splits = list(rows[0]["wer"]) if rows else []
    searches = ["greedy", *(["lm"] if lm else [])]
    named = {"greedy": "greedy", "lm": Path(lm).name.split(".")[0] if lm else ""}
    titles = ["model", "layers", "parameters", "MB", "time"]
    titles += [f"WER {split} {named[search]}" for split in splits for search in searches]
    lines = []
    for row in rows:
        parameters = f"{row['parameters']:,}" + (f", {100 * row['zeros']:.0f} % zeros" if row["zeros"] > 0.001 else "")
        rates = [row["wer"][split].get(search) for split in splits for search in searches]
        line = [row["name"], str(row["layers"]), parameters, f"{row['megabytes']:.1f}", f"{row['time']:.2f}"]
        lines.append(line + ["-" if rate is None else f"{100 * rate:.1f} %" for rate in rates])
    return titles, lines


def markdown(rows: Sequence[Mapping[str, Any]], lm: str | None) -> str:
    """The rows as a table."""
    titles, lines = cells(rows, lm)
    ruled = ["| " + " | ".join(line) + " |\n" for line in (titles, *lines)]
    return "".join([ruled[0], "|" + "---|" * len(titles) + "\n", *ruled[1:]])


def write_table(rows: Sequence[Mapping[str, Any]], lm: str | None, prefix: Path) -> None:
    """Write PREFIX.json and PREFIX.md."""
    write_json(prefix.with_name(f"{prefix.name}.json"), list(rows))
    write_text(prefix.with_name(f"{prefix.name}.md"), markdown(rows, lm))


def _load(path: Path, device: torch.device) -> _Loaded:
    waves = 0.1 * torch.randn(BATCH, int(SECONDS * SAMPLE_RATE), generator=torch.Generator().manual_seed(0))
    if is_graph(path):
        graph = open_graph(path)
        parameters = count(CTCModel(graph.config, len(graph.vocabulary)))
        forward = partial(GraphModel(graph).logits, list(waves.numpy()))
        return _Loaded(graph.config, parameters, 0.0, graph.numbers, forward)
    model, _ = load_ctc(path)
    zero, of = zeros(model)
    parameters, lengths = count(model), torch.full((BATCH,), waves.shape[1])
    ready = partial(TorchModel.prepare(model, device, "fp32").network, waves.to(device), lengths)
    return _Loaded(model.config, parameters, zero / of, "fp32", ready)
