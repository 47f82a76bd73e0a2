"""How long commands take before they begin: `sew --help`, and `sew transcribe` of 10 s beside what it cannot do without.

    python benchmarks/startup.py            # writes benchmarks/results/startup.json

Medians of wall seconds, commands in turn. `sew --help` stands beside a bare interpreter and one that imports the command-line
library; `sew transcribe` with SEW-tiny (new weights) beside one that imports torch and reads the weights into memory. All run
from byte code, as `pip install` leaves it, whatever PYTHONDONTWRITEBYTECODE says: the first run of each, not counted, writes it
into a folder of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import soundfile
import torch
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.base.rng import numpy_rng
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.weights import WEIGHTS
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

RUNS = 11
MODEL, SECONDS, RATE = "sew-tiny", 10, 16_000
HELP, TRANSCRIBE, NEEDED = "sew --help", "sew transcribe, 10 s, sew-tiny", "import torch, read the weights of sew-tiny"
READ = "import sys, torch; from safetensors.torch import load_file; {n: t.clone() for n, t in load_file(sys.argv[1]).items()}"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        times = measure(commands(Path(place)), Path(place) / "bytecode")
    medians = {name: statistics.median(each) for name, each in times.items()}
    result = {
        **circumstances(("sew", "typer", "rich", "torch"), command="python benchmarks/startup.py"),
        "runs": RUNS,
        "seconds": {n: {"median": medians[n], "min": min(t), "max": max(t)} for n, t in times.items()},
        "transcribe_over_torch_and_weights": medians[TRANSCRIBE] / medians[NEEDED],
    }
    write_json(Path(__file__).parent / "results" / "startup.json", result)
    print(json.dumps(result, indent=2))


def commands(place: Path) -> dict[str, list[str]]:
    """What is run; a model and a recording are made for it."""
    model, recording = place / "model", place / "recording.wav"
    torch.manual_seed(0)
    vocabulary = Vocabulary.letters()
    save_ctc(CTCModel(lookup(MODEL), len(vocabulary)), vocabulary, model)
    soundfile.write(recording, numpy_rng(0, "recording").normal(0, 0.1, SECONDS * RATE), RATE)
    sew = str(Path(sys.executable).parent / "sew")
    return {
        HELP: [sew, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import typer, rich.console'": [sys.executable, "-c", "import typer, rich.console"],
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        NEEDED: [sys.executable, "-c", READ, str(model / WEIGHTS)],
        TRANSCRIBE: [sew, "transcribe", str(recording), "--model", str(model), "--device", "cpu"],
    }


def measure(runs: dict[str, list[str]], bytecode: Path) -> dict[str, list[float]]:
    """Wall seconds, in turn, so that a slow moment of the machine touches all; the first of each warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    for run in range(RUNS + 1):
        for name, command in runs.items():
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True, env=environment)
            if run:
                times[name].append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
