"""What is measured: a model in a runtime and a precision. Names of the zoo get new weights, in a folder as all others have.

So every runtime finds what it reads, and a size on disk is that of the files. `gflop` is counted by `models.anatomy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sewcli.base.errors import SewError, UsageError, nearest
from sewcli.base.files import read_json
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.flops import anatomy
from sewcli.models.folder import save_ctc
from sewcli.models.paper import printed_time
from sewcli.models.source import is_model, resolve
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

BASE = "w2v2-base"
PAPER_PRECISION = "fp32"  # SEW section 4.1
GRID = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0)  # seconds at which operations are counted
GREEDY = "greedy"


@dataclass(frozen=True)
class Subject:
    """A row of the table. model: as it was given; folder: where its files are; random: whether its weights are new."""

    model: str
    folder: Path
    runtime: str
    precision: str
    random: bool = False


def subjects(models: Sequence[str], runtimes: Sequence[str], precisions: Sequence[str], place: Path) -> list[Subject]:
    """All that is to be measured; folders for new weights are made below `place`.

    Raises:
        UsageError: neither a model nor a name of the zoo.
    """
    found = []
    for model in dict.fromkeys(models):
        folder, random = (resolve(model), False) if is_model(model) else (_made(model, place), True)
        found += [Subject(model, folder, runtime, kind, random) for runtime in runtimes for kind in precisions]
    return found


def chosen(given: str, known: Sequence[str], flag: str) -> list[str]:
    """The names of a comma-separated option, each once.

    Raises:
        UsageError: one that is not known.
    """
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in known:
            raise UsageError(
                "no-such-choice", f"no {flag} {name!r}{nearest(name, known)}", hint=f"one or more of {', '.join(known)}"
            )
    if not names:
        raise UsageError("option-empty", f"--{flag} names nothing", hint=f"one or more of {', '.join(known)}")
    return names


def megabytes(folder: Path) -> float:
    """Of the files that hold weights: all but texts and settings."""
    files = [folder] if folder.is_file() else [file for file in folder.iterdir() if file.is_file()]
    small = (".json", ".md", ".txt", ".yaml")
    return sum(file.stat().st_size for file in files if file.suffix not in small) / 1e6


def operations(config: ModelConfig, symbols: int, samples: Sequence[int]) -> float:
    """Operations (two for a multiply-accumulate) for utterances of these lengths, without padding."""
    shortest = config.samples_per_frame * config.squeeze / SAMPLE_RATE * 2
    grid = [seconds for seconds in GRID if seconds > shortest]
    counts = [sum(part.macs for part in anatomy(config, symbols, seconds)) for seconds in grid]
    return float(2 * np.interp(np.array(samples) / SAMPLE_RATE, [0.0, *grid], [0, *counts]).sum())


def paper_seconds(config_name: str) -> float | None:
    """What the SEW paper prints for dev-clean on a V100 in fp32: table 6, for what is not there 13, 8 or 5."""
    found = printed_time(config_name)
    return float(found.seconds) if found else None


def known_wer(folder: Path) -> dict[str, Any] | None:
    """A word error rate that stands beside a model: of its greedy texts, of test sets before others."""
    found = sorted(folder.parent.glob(f"decode/*-{GREEDY}/score.json")) if folder.name == "model" else []
    named = {path: path.parent.name.removesuffix(f"-{GREEDY}") for path in found}
    is_test = {path: name.startswith("test") or "-test" in name for path, name in named.items()}
    for path in sorted(found, key=lambda path: (not is_test[path], named[path])):
        try:
            return {"wer": float(read_json(path)["wer"]), "wer_of": named[path]}
        except (SewError, KeyError, TypeError, ValueError):  # a half-written file is no reason not to measure
            continue
    return None


def _made(name: str, place: Path) -> Path:
    config = lookup(name)
    folder = place / name
    if not folder.exists():
        torch.manual_seed(0)
        vocabulary = Vocabulary.letters()
        save_ctc(CTCModel(config, len(vocabulary)), vocabulary, folder)
    return folder
