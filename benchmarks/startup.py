"""How long `sew --help` takes beside a bare interpreter and one that imports the command-line library (medians, seconds).

python benchmarks/startup.py            # writes benchmarks/results/startup.json
"""

import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RUNS = 11
COMMANDS = {
    "sew --help": [str(Path(sys.executable).parent / "sew"), "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import typer, rich.console'": [sys.executable, "-c", "import typer, rich.console"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for run in range(RUNS + 1):  # in turn, so that a slow moment of the machine touches all; the first is a warm-up
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            if run:
                times[name].append(time.perf_counter() - start)
    result = {
        "command": "python benchmarks/startup.py",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}, {processor()}",
        "versions": {name: version(name) for name in ("sew", "typer", "rich", "torch")}
        | {"python": platform.python_version()},
        "runs": RUNS,
        "seconds": {n: {"median": statistics.median(t), "min": min(t), "max": max(t)} for n, t in times.items()},
    }
    out = Path(__file__).parent / "results" / "startup.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["seconds"], indent=2))


def processor() -> str:
    """The CPU's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
