"""Options that several verbs share, and the places they look in when a path is not given."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sewcli.base import dist, log
from sewcli.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from sewcli.runtimes.recogniser import RuntimeOptions


class RuntimeName(StrEnum):
    """What computes a recogniser."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"


class PrecisionName(StrEnum):
    """Of a recogniser's products."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    TF32 = "tf32"
    FP16 = "fp16"


Data = Annotated[
    Path | None, typer.Option("--data", help="What `sew prep` wrote, or lhotse cuts.", show_default="data/librispeech")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Recipe = Annotated[str | None, typer.Option("--config", "-c", help="A recipe by name, or a YAML file of what differs.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Change one key, e.g. --set optim.lr=3e-4 (may be repeated).")
]
Recogniser = Annotated[
    Path | None,
    typer.Option(
        "--model",
        help="A recogniser: its folder, its experiment, a fairseq file or a Hub id.",
        show_default="the newest below exp/",
    ),
]
Beam = Annotated[int, typer.Option("--beam", min=1, max=100_000, help="Hypotheses kept at each frame.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=0, max=1024, help="Decoder processes; 0: none.", show_default="a few")
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Decode one shard of N; the last to end joins them.", show_default="all of it"
    ),
]
SearchWeights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="NAME|FILE|LM,WORD",
        help="Of the search: a name, what `sew tune` wrote, or numbers: on log10 probabilities, and for every word.",
    ),
]
Words = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Words that the language model lacks: WORD, with a probability and a spelling behind tabs or without.",
        show_default="none",
    ),
]
Boost = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Phrases to find likelier: PHRASE, with a weight behind a tab or without: 1 is ten times a word.",
        show_default="none",
    ),
]
Runtime = Annotated[
    RuntimeName, typer.Option("--runtime", help="What computes the model; auto: openvino for a graph, else torch.")
]
ModelPrecision = Annotated[
    PrecisionName, typer.Option("--precision", help="auto: fp32, on a GPU tf32. tf32 and fp16 are for GPUs.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of every random draw.")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16.")]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the whole resolved config and leave.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Build all, make one update of the largest batches, print memory, time, hours and the config."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout instead of a table.")]

DATA = Path("data/librispeech")
EXPERIMENTS = Path("exp")
PREFERRED = "test-clean"


def recogniser(given: str | Path | None) -> Path:
    """Where the recogniser is that `--model` names, or the newest below `exp/`.

    Raises:
        UsageError: no model in that folder, a name of the zoo, or none given and none trained.
    """
    from sewcli.models.source import locate

    return locate(given) if given else newest_model("ForCTC", hint="first run: sew finetune, or give --model")


def newest_model(ending: str, *, hint: str) -> Path:
    """The model folder below `exp/` that was written last and whose architecture ends with `ending`.

    Raises:
        UsageError: there is none; `hint` tells the command that comes first.
    """
    from sewcli.base.files import read_object

    found = []
    for config in EXPERIMENTS.glob("**/model/config.json"):
        try:
            architectures = read_object(config)["architectures"]
            architecture = str(architectures[0] if architectures else "")
        except (DataError, KeyError, TypeError, IndexError):  # not a model of anybody's
            continue
        if architecture.endswith(ending):
            found.append((config.stat().st_mtime, config.parent))
    if not found:
        raise UsageError("no-model", f"no such model below {EXPERIMENTS}/ yet, and no --model given", hint=hint)
    return max(found)[1]


def runtime_options(model: Path, runtime: RuntimeName, precision: PrecisionName, device: str) -> RuntimeOptions:
    """What shall compute `model`.

    Raises:
        UsageError: PyTorch for a graph, or a GPU for OpenVINO.
    """
    from sewcli.runtimes.recogniser import RuntimeOptions, runtime_of

    chosen = runtime_of(model, runtime.value)
    if chosen == "openvino" and device not in ("auto", "cpu"):
        raise UsageError(
            "options-conflict", f"--device {device}: OpenVINO computes on the CPU here", hint="leave out --device"
        )
    if chosen == "openvino" and precision in (PrecisionName.FP16, PrecisionName.TF32):
        raise UsageError(
            "precision-needs-gpu",
            f"--precision {precision} is for GPUs",
            hint="with OpenVINO: --precision fp32 or bf16",
        )
    return RuntimeOptions(chosen, precision.value)


def warn_without_effect(context: typer.Context, why: str, *names: str) -> None:
    """Tell of options that were typed and change nothing, and why."""
    for name in names:
        source = context.get_parameter_source(name)
        if source and source.name == "COMMANDLINE":
            log.warn(f"--{name} has no effect {why}")


def given(**flags: object) -> dict[str, object]:
    """The flags that were given, without those left at None."""
    return {name: value for name, value in flags.items() if value is not None}


def shard(text: str) -> tuple[int, int]:
    """`"2/8"` -> (2, 8).

    Raises:
        UsageError: not of that form, or a number beyond the count.
    """
    index, _, count = text.partition("/")
    hint = "for example --shard 1/8, to --shard 8/8"
    if not (text.isascii() and index.isdigit() and count.isdigit() and len(text) < 40):
        raise UsageError("invalid-shard", f"--shard {text!r} is not of the form I/N", hint=hint)
    if not 1 <= int(index) <= int(count):
        raise UsageError(
            "invalid-shard",
            f"--shard {text}: there is no shard {int(index)} of {int(count)}, they count from 1",
            hint=hint,
        )
    return int(index), int(count)


def shard_of(given: str | None) -> tuple[int, int]:
    """What `--shard` says, or the rank's share under torchrun.

    Raises:
        UsageError: both, or not of the form I/N.
    """
    if given is None:
        return dist.rank() + 1, dist.world_size()
    if dist.world_size() > 1:
        raise UsageError(
            "options-conflict",
            "--shard within torchrun, where each process takes a shard by itself",
            hint="leave it out",
        )
    return shard(given)


def splits_of(data: Path, wanted: Sequence[str] | None) -> list[str]:
    """The splits `wanted`, or test-clean, or every test*, or else every dev*."""
    from sewcli.data.utterances import require_splits, splits

    if wanted or PREFERRED in (found := splits(data)):
        return list(dict.fromkeys(require_splits(data, wanted or [PREFERRED], default_prefix="test")))
    prefix = "test" if any(name.startswith("test") for name in found) else "dev"
    return require_splits(data, None, default_prefix=prefix)


def folder_of(model: Path) -> Path:
    """`exp/NAME` of `exp/NAME/model`; a model from elsewhere gets an experiment folder of its own."""
    if model.name == "model":
        return model.parent
    if not model.name:
        raise UsageError("name-needed", "give the folder of the model by its name", where=model)
    return EXPERIMENTS / (model.stem if model.is_file() else model.name)
