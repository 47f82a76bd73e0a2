"""A real SIGKILL into `sew decode`: the same command goes on, and ends with the hypotheses of one that nobody killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_decode_folders import corpus_of, model_at

SAVING = (  # every row at once, where the product saves every ten seconds
    "import sys, torch; torch.set_num_threads(1); from sewcli.decoding import unfinished, emission_cache; "
    "unfinished.SAVE_SECONDS = emission_cache.SAVE_SECONDS = 0.0; from sewcli.runtimes import torch_runtime; "
    "torch_runtime.CPU_SECONDS = 1.5; from sewcli.cli.app import main; sys.argv[0] = 'sew'; main()"
)


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SAVING, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "hyps.jsonl").read_text().splitlines()]


@pytest.mark.fault("output-folders")
@pytest.mark.parametrize(
    "more", [(), pytest.param(("--keep-emissions", "float32"), marks=pytest.mark.long)], ids=["plain", "emissions"]
)
def test_a_sigkill_costs_what_was_not_saved_and_changes_nothing(more: tuple[str, ...], tmp_path: Path) -> None:
    data, model = corpus_of(tmp_path / "data", count=80), model_at(tmp_path / "exp" / "small" / "model")
    command = ("decode", "--model", model, "--data", data, "--split", "test", "--device", "cpu")
    process = start(*command, "--out", tmp_path / "whole", *more)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    out = tmp_path / "killed"
    process = start(*command, "--out", out, *more)
    until = time.monotonic() + 100
    while time.monotonic() < until and process.poll() is None:
        if len(list(out.glob("*.shards/*.unfinished/*.json"))) >= 20:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, err
    assert not (out / "data-test-greedy").exists()
    process = start(*command, "--out", out, *more)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0 and "are decoded already; going on from there" in err, err
    whole, joined = (folder / "data-test-greedy" for folder in (tmp_path / "whole", out))
    assert len(rows_of(joined)) == 80
    assert (joined / "hyps.jsonl").read_bytes() == (whole / "hyps.jsonl").read_bytes()
    assert json.loads((joined / "score.json").read_text()) == json.loads((whole / "score.json").read_text())
    left = [
        path for path in out.rglob("*") if ".tmp-" in path.name or path.suffix == ".lock" or "unfinished" in path.name
    ]
    assert not left
