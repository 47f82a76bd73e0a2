"""Every figure of speed and memory that needs a GPU, in one command: the fused attention first, then whole models.

    python benchmarks/gpu.py --out benchmarks/results/gpu.json          # under 9 minutes on one H200
    python benchmarks/gpu.py --only kernel --only pretrain              # some of the rows; `--list` names them
    python benchmarks/gpu.py --device cpu --smoke --out /tmp/gpu.json   # every row at toy sizes: does the script run?

Each row runs in a process of its own, under a limit of time, and is written when it is done: a row that fails is marked
and stops nothing, and the same command again runs what is not done. `transformers` runs beside ours in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from gpu_rows import ROWS, Setting

from sewcli.base.files import write_json

DONE = "done"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu.json"))
    parser.add_argument("--only", action="append", choices=list(ROWS), help="a row; again for more; also if it is done")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--smoke", action="store_true", help="toy models and durations")
    parser.add_argument("--budget", type=float, default=530, help="seconds after which no row begins")
    parser.add_argument("--list", action="store_true", help="name the rows and what they measure")
    parser.add_argument("--row", choices=list(ROWS), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.list:
        for name, (limit, measure) in ROWS.items():
            print(f"{name:16s} {limit:4d} s  {(measure.__doc__ or '').splitlines()[0]}")
        return 0
    setting = Setting(torch.device(given.device), given.smoke)
    if given.row:  # the process of one row
        write_json(given.out, attempt(given.row, setting))
        return 0
    began = time.monotonic()
    result = read(given.out, setting)
    for name, (limit, _) in ROWS.items():
        if given.only and name not in given.only:
            continue
        if not given.only and result["rows"].get(name, {}).get("status") == DONE:
            continue
        left = given.budget - (time.monotonic() - began)
        if left <= 0:
            row = {"status": "not begun", "why": f"the budget of {given.budget:g} s was spent"}
        elif setting.device.type == "cuda":
            row = in_a_process(name, given, min(limit, left))
        else:
            row = attempt(name, setting)
        result["rows"][name] = row
        write_json(given.out, result)
        print(f"{name}: {row['status']} {row.get('error') or row.get('why') or ''}", file=sys.stderr, flush=True)
    print(json.dumps(result["rows"], indent=1))
    return 0 if all(row["status"] == DONE for row in result["rows"].values()) else 4


def attempt(name: str, setting: Setting) -> dict[str, Any]:
    """A row, whatever happens in it."""
    began = time.monotonic()
    try:
        row = {"status": DONE, **ROWS[name][1](setting)}
    except Exception as error:
        lines = traceback.format_exc().splitlines()
        row = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:2000], "trace": lines[-12:]}
    return row | {"seconds_in_all": round(time.monotonic() - began, 1), "command": f"--only {name}"}


def in_a_process(name: str, given: argparse.Namespace, limit: float) -> dict[str, Any]:
    """A row in a process of its own: an error of the GPU stays in it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--row", name, "--device", given.device, "--out", str(out)]
        try:
            done = subprocess.run([*command, *["--smoke"] * given.smoke], timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return {"status": "failed", "error": f"not done in {limit:.0f} s"}
        if not out.exists():
            return {"status": "failed", "error": f"the process ended with {done.returncode}"}
        row: dict[str, Any] = json.loads(out.read_text())
        return row


def read(path: Path, setting: Setting) -> dict[str, Any]:
    """The file to go on from, if it is of the same machine, versions and sizes; else a new one."""
    head = {"device": device_name(setting.device), "driver": driver(), "smoke": setting.smoke, "versions": versions()}
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        if all(found.get(key) == value for key, value in head.items()):
            return found
    date = datetime.now(UTC).date().isoformat()
    command = "python benchmarks/gpu.py" + f" --device {setting.device.type} --smoke" * setting.smoke
    return {"command": command, "date": date, **head, "cores": os.cpu_count(), "rows": {}}


def versions() -> dict[str, str]:
    found = {}
    for name in ("sew", "torch", "transformers", "triton"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found | {"python": platform.python_version(), "cuda": str(torch.version.cuda)}


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def driver() -> str | None:
    """Version of the GPU's driver."""
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.splitlines()[0].strip() if found.stdout else None


if __name__ == "__main__":
    sys.exit(main())
