"""The goals of speed and of small models, and where in benchmarks/results/*.json each finds its figure.

A reader takes what a file holds and gives a number, or raises what missing keys raise: then there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sewcli.models.paper import printed_time

Found = Any  # what a file of results holds
Read = Callable[[Found], float | None]


@dataclass(frozen=True)
class Goal:
    """A line of the table. bound: with `least`, at least; otherwise at most. part: how the name of the file's part begins."""

    key: str
    what: str
    file: str
    read: Read
    bound: float
    least: bool = True
    shown: str = "{:.2f}"
    part: str = ""

    def met(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound


@dataclass(frozen=True)
class Section:
    """Goals of one kind."""

    title: str
    goals: Sequence[Goal]


def _cpu(row: str, key: str, program: str = "sew") -> Read:
    """Of inference_cpu.json."""
    return lambda found: next(r for r in found["results"] if r["row"] == row)["programs"][program][key]


def paper_ratio(model: str, other: str = "w2v2-base") -> float:
    """Seconds over those of another model, as SEW's table 6 prints them for a V100, to two decimals."""
    ours, theirs = printed_time(model), printed_time(other)
    assert ours and theirs
    return round(float(ours.seconds) / float(theirs.seconds), 2)


def _cpu_ratio(model: str, other: str = "w2v2-base") -> Read:
    """Of table6_cpu.json, which `sew bench` wrote: CPU seconds of a model over those of another."""

    def read(found: Found) -> float:
        seconds = {row["model"]: row["cpu_seconds"] for row in found["rows"]}
        return seconds[model] / seconds[other]

    return read


def _cpu_worst(found: Found) -> float:
    """The largest difference of our logits from those of transformers."""
    return max(row["programs"]["sew"]["logits_apart"] for row in found["results"])


def _least(program: str) -> Read:
    """Against transformers: the least over all rows of 10 s."""

    def read(found: Found) -> float:
        rows = [row["programs"] for row in found["results"] if row["row"].endswith("-10s")]
        return min(programs[program]["times_as_fast_as_transformers"] for programs in rows)

    return read


def _search(key: str) -> Read:
    """Of lm_decoding.json at beam 50: the least over its sets of emissions."""
    return lambda found: min(r[key] for r in found["searches"] if r["search"] == "sew" and r["beam"] == 50)


def _search_wer(found: Found) -> float:
    """Our error rate less flashlight's, in percent: the worst set and beam."""
    rates = {(r["set"], r.get("beam"), r["search"]): r["wer"] for r in found["searches"]}
    return max(
        100 * (wer - rates[name, beam, "flashlight"]) for (name, beam, who), wer in rates.items() if who == "sew"
    )


def _scaling(found: Found) -> float:
    """Of the most decoder processes that were tried."""
    most = max(row["jobs"] for row in found["processes"])
    return min(row["efficiency"] for row in found["processes"] if row["jobs"] == most)


def _gpu(row: str, model: str, peer: str = "transformers eager", batch: str = "") -> Read:
    """Of gpu.json: a peer's seconds over ours, the first batch that fits."""

    def read(found: Found) -> float:
        rows = found["rows"][row]["results"]
        chosen = next(r for r in rows if r["model"] == model and r["batch"].startswith(batch))
        return chosen[peer]["seconds"] / chosen["sew"]["seconds"]

    return read


def _gpu_share(model: str) -> Read:
    """The best use of the machine's products over the batches that were tried."""
    return lambda found: max(r["share_of_peak"] for r in found["rows"]["utilisation"]["results"] if r["model"] == model)


def _gpu_best(model: str) -> Read:
    """Updates of pre-training: the best ratio over the batches."""
    return lambda found: max(
        r["transformers"]["seconds"] / r["sew"]["seconds"]
        for r in found["rows"]["pretrain"]["results"]
        if r["model"] == model and "seconds" in r["transformers"]
    )


def _gpu_ratio(model: str) -> Read:
    """Table 6 on the GPU: over W2V2-base, larger batches."""

    def read(found: Found) -> float:
        rows = {r["model"]: min(r["seconds, 2000 s a batch"]) for r in found["rows"]["dev-clean"]["results"]}
        return rows[model] / rows["w2v2-base"]

    return read


def _int8(model: str, key: str, runtime: str = "int8 (sew quantize)") -> Read:
    """Of quantize.json, whose parts are named by their model and batch."""
    return lambda found: next(
        part["runtimes"][runtime][key] for name, part in found.items() if name.startswith(f"{model},")
    )


def _int8_wer(found: Found) -> float:
    """How far int8 is from fp32 on a trained recogniser, in percent, by the draw of clips that moves it most."""
    part = next(part for name, part in found.items() if name.startswith("word error rates"))
    return 100 * abs(part["wer_change"])


def _student(name: str, other: str) -> Read:
    """Of compression.json: one student's greedy error rate less another's, in percent."""

    def read(found: Found) -> float:
        rates = {row["name"]: next(iter(row["wer"].values()))["greedy"] for row in found["rows"]}
        one, two = (next(rate for title, rate in rates.items() if title.endswith(f"({n})")) for n in (name, other))
        return 100 * (one - two)

    return read


def _rounds(search: str) -> Callable[[Found], float]:
    """Of selftrain.json: the last round's error rate less the one before any, in percent; the worst split."""

    def change(found: Found) -> float:
        first, last = found["rounds"][0]["wer"], found["rounds"][-1]["wer"]
        return max(100 * (last[split][search] - first[split][search]) for split in last)

    return change


LESS = "{:+.1f} %"
SECTIONS = (
    Section(
        "Inference on a CPU, one thread, fp32, against transformers' best attention (CPU seconds)",
        (
            Goal(
                "cpu-d-10",
                "SEW-D-mid, 10 s",
                "inference_cpu.json",
                _cpu("sew-d-mid-10s", KEY := "times_as_fast_as_transformers"),
                1.35,
            ),
            Goal("cpu-d-10x4", "SEW-D-mid, 4 x 10 s", "inference_cpu.json", _cpu("sew-d-mid-10s-x4", KEY), 1.35),
            Goal("cpu-dt-10", "SEW-D-tiny, 10 s", "inference_cpu.json", _cpu("sew-d-tiny-10s", KEY), 1.35),
            Goal("cpu-d-60", "SEW-D-mid, 60 s", "inference_cpu.json", _cpu("sew-d-mid-60s", KEY), 2.5),
            Goal("cpu-d-120", "SEW-D-mid, 120 s", "inference_cpu.json", _cpu("sew-d-mid-120s", KEY), 3.5),
            Goal(
                "cpu-d-60-memory",
                "SEW-D-mid, 60 s: its peak memory over theirs",
                "inference_cpu.json",
                _cpu("sew-d-mid-60s", MEMORY := "share_of_transformers_memory"),
                1 / 3,
                least=False,
            ),
            Goal(
                "cpu-d-120-memory",
                "SEW-D-mid, 120 s: its peak memory over theirs",
                "inference_cpu.json",
                _cpu("sew-d-mid-120s", MEMORY),
                1 / 3,
                least=False,
            ),
            Goal("cpu-tiny", "SEW-tiny, 10 s", "inference_cpu.json", _cpu("sew-tiny-10s", KEY), 1.15),
            Goal("cpu-mid", "SEW-mid, 10 s", "inference_cpu.json", _cpu("sew-mid-10s", KEY), 1.15),
            Goal("cpu-base", "W2V2-base, 10 s", "inference_cpu.json", _cpu("w2v2-base-10s", KEY), 1.15),
            Goal(
                "cpu-apart",
                "logits: largest relative difference, all rows",
                "inference_cpu.json",
                _cpu_worst,
                1e-5,
                least=False,
                shown="{:.1e}",
            ),
            Goal(
                "cpu-openvino",
                "`--runtime openvino`, 10 s, the least of all models",
                "inference_cpu.json",
                _least("openvino fp32"),
                1.25,
            ),
            Goal(
                "cpu-openvino-bf16",
                "`--runtime openvino --precision bf16`, 10 s, the least of all models",
                "inference_cpu.json",
                _least("openvino bf16"),
                2.4,
            ),
            *(
                Goal(
                    f"cpu-bf16-{model}",
                    f"{title} in bf16, 10 s",
                    "inference_cpu.json",
                    _cpu(f"{model}-10s", KEY, "sew bf16"),
                    bound,
                )
                for model, title, bound in (
                    ("sew-d-mid", "SEW-D-mid", 2.5),
                    ("sew-d-tiny", "SEW-D-tiny", 2.5),
                    ("sew-tiny", "SEW-tiny", 2.0),
                    ("sew-mid", "SEW-mid", 2.0),
                    ("w2v2-base", "W2V2-base", 2.0),
                )
            ),
        ),
    ),
    Section(
        "Table 6: time over that of W2V2-base, the bound being the paper's on a V100",
        (
            *(
                Goal(
                    f"ratio-{model}",
                    f"{model}, CPU",
                    "table6_cpu.json",
                    _cpu_ratio(model),
                    paper_ratio(model),
                    least=False,
                )
                for model in (
                    "sew-tiny",
                    "sew-small",
                    "sew-mid",
                    "sew-d-tiny",
                    "sew-d-small",
                    "sew-d-mid",
                    "sew-d-base",
                    "sew-d-base-plus",
                )
            ),
            Goal(
                "ratio-tiny",
                f"sew-d-tiny over sew-tiny, CPU (the paper: {paper_ratio('sew-d-tiny', 'sew-tiny')})",
                "table6_cpu.json",
                _cpu_ratio("sew-d-tiny", "sew-tiny"),
                1.0,
                least=False,
            ),
            Goal(
                "gpu-ratio-d-mid",
                "SEW-D-mid, GPU",
                "gpu.json",
                _gpu_ratio("sew-d-mid"),
                paper_ratio("sew-d-mid"),
                least=False,
            ),
            Goal(
                "gpu-ratio-d-tiny",
                "SEW-D-tiny, GPU",
                "gpu.json",
                _gpu_ratio("sew-d-tiny"),
                paper_ratio("sew-d-tiny"),
                least=False,
            ),
        ),
    ),
    Section(
        "One GPU (H200), bf16, against transformers",
        (
            Goal("gpu-d-15", "SEW-D-mid, 16 x 15 s", "gpu.json", _gpu("inference-15s", "sew-d-mid"), 2.5),
            Goal("gpu-d-60", "SEW-D-mid, 16 x 60 s", "gpu.json", _gpu("inference-60s", "sew-d-mid"), 4.0),
            Goal("gpu-mfu-base", "W2V2-base: share of the peak of products", "gpu.json", _gpu_share("w2v2-base"), 0.40),
            Goal("gpu-mfu-mid", "SEW-mid: share of the peak of products", "gpu.json", _gpu_share("sew-mid"), 0.40),
            Goal("gpu-pretrain-base", "W2V2-base: updates of pre-training", "gpu.json", _gpu_best("w2v2-base"), 1.5),
            Goal("gpu-pretrain-d", "SEW-D-mid: updates of pre-training", "gpu.json", _gpu_best("sew-d-mid"), 2.0),
        ),
    ),
    Section(
        "Decoding with a language model",
        (
            Goal(
                "lm-speed",
                "beam 50, against flashlight as it comes, one core, the least of all sets",
                "lm_decoding.json",
                _search("times_as_fast_as_flashlight"),
                3.0,
                part="searches",
            ),
            Goal(
                "lm-wer",
                "WER less flashlight's, the worst set and beam",
                "lm_decoding.json",
                _search_wer,
                0.0,
                least=False,
                shown="{:+.2f} %",
                part="searches",
            ),
            Goal(
                "lm-cores",
                "efficiency of decoder processes, the most that were tried, the least of all beams",
                "lm_decoding.json",
                _scaling,
                0.8,
                part="processes",
            ),
        ),
    ),
    Section(
        "Start-up",
        (
            Goal(
                "startup",
                "`sew transcribe` of 10 s with SEW-tiny over importing torch and reading the weights",
                "startup.json",
                lambda found: found["transcribe_over_torch_and_weights"],
                1.5,
                least=False,
            ),
            Goal(
                "startup-help",
                "`sew --help`, seconds",
                "startup.json",
                lambda found: found["seconds"]["sew --help"]["median"],
                0.5,
                least=False,
            ),
        ),
    ),
    Section(
        "Smaller models",
        (
            *(
                goal
                for model, faster in (("w2v2-base", 3.5), ("w2v2-large", 3.5), ("sew-d-mid", 3.0))
                for goal in (
                    Goal(
                        f"int8-{model}",
                        f"int8 of {model}, CPU, against transformers fp32",
                        "quantize.json",
                        _int8(model, "times_faster"),
                        faster,
                        part=f"{model},",
                    ),
                    Goal(
                        f"int8-bf16-{model}",
                        f"the same with `--precision bf16` for what is not int8: {model}",
                        "quantize.json",
                        _int8(model, "times_faster", "int8, the rest in bf16 (--precision bf16)"),
                        faster,
                        part=f"{model},",
                    ),
                    Goal(
                        f"int8-size-{model}",
                        f"int8 of {model}: size over fp32",
                        "quantize.json",
                        _int8(model, "share_of_fp32_size"),
                        0.30,
                        least=False,
                        part=f"{model},",
                    ),
                )
            ),
            Goal(
                "int8-wer",
                "int8 of a trained miniature: WER moves by (three draws of clips, the largest)",
                "quantize.json",
                _int8_wer,
                0.2,
                least=False,
                shown="{:.2f} %",
            ),
            Goal(
                "distill-4",
                "4 layers distilled, WER less that of the same without teacher",
                "compression.json",
                _student("alternate-L4", "no-teacher-L4"),
                0.0,
                least=False,
                shown=LESS,
            ),
            Goal(
                "distill-alternate-4",
                "4 alternate layers, WER less that of the last 4",
                "compression.json",
                _student("alternate-L4", "last-L4"),
                0.0,
                least=False,
                shown=LESS,
            ),
            Goal(
                "distill-alternate-2",
                "2 alternate layers, WER less that of the last 2",
                "compression.json",
                _student("alternate-L2", "last-L2"),
                0.0,
                least=False,
                shown=LESS,
            ),
            Goal(
                "selftrain",
                "self-training: WER after the last round less before, greedy",
                "selftrain.json",
                _rounds("greedy"),
                0.0,
                least=False,
                shown=LESS,
            ),
            Goal(
                "selftrain-lm",
                "self-training: WER after the last round less before, 4-gram",
                "selftrain.json",
                _rounds("lm"),
                0.0,
                least=False,
                shown=LESS,
            ),
        ),
    ),
)
