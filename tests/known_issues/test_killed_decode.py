"""A real SIGKILL into `sew decode`: the same command goes on, and ends with the hypotheses of one that nobody killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_decode_folders import corpus_of, model_at

from sewcli.artifacts import unfinished
from sewcli.artifacts.unfinished import TIMES, Unfinished
from sewcli.scoring.score import find_folders

SAVING = (  # every row at once, where the product saves every ten seconds
    "import sys, torch; torch.set_num_threads(1); from sewcli.artifacts import unfinished; "
    "from sewcli.decoding import emission_cache; unfinished.SAVE_SECONDS = emission_cache.SAVE_SECONDS = 0.0; "
    "from sewcli.runtimes import torch_runtime; torch_runtime.CPU_SECONDS = 1.5; "
    "from sewcli.cli.app import main; sys.argv[0] = 'sew'; main()"
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
    for folder in out.glob("**/*.unfinished"):  # it may have been killed within a save
        (folder / ".tmp-1-00099.json").write_text('{"inputs"')
        (folder / ".tmp-1-00099.safetensors").write_bytes(b"x")
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


@pytest.mark.fault("output-folders")
def test_what_a_kill_has_left_half_written_is_not_scored(tmp_path: Path) -> None:
    whole, half = tmp_path / "data-test-greedy", tmp_path / ".tmp-1-data-test-beam50-abc"
    for folder in (whole, half):
        folder.mkdir()
        (folder / "hyps.jsonl").write_text('{"id": "a", "text": "A", "score": 0.0, "reference": "A"}\n')
    assert find_folders(tmp_path) == [whole] and find_folders(whole) == [whole]


@pytest.mark.fault("output-folders")
def test_a_save_that_was_broken_off_costs_no_other_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "SAVE_SECONDS", 0.0)
    before = Unfinished(tmp_path / "u", "inputs", {})
    for number in range(3):
        before.add({"id": f"u{number}", "text": "A"}, dict.fromkeys(TIMES, float(number)))
    (tmp_path / "u" / ".tmp-1-00004.json").write_text('{"inputs": "inp')
    assert list(Unfinished(tmp_path / "u", "inputs", {}).rows) == ["u0", "u1", "u2"]
    assert sorted(path.name for path in (tmp_path / "u").iterdir()) == ["00001.json", "00002.json", "00003.json"]
    assert not Unfinished(tmp_path / "u", "others", {}).rows and not list((tmp_path / "u").iterdir())
