"""`egs/librispeech/run.sh` from a corpus on disk to a table, with few updates; then again, when all is done."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = "--set batch.seconds=8 --set batch.micro_seconds=8 --set data.min_seconds=0.5"


def recipe(corpus: Path, work: Path) -> subprocess.CompletedProcess[str]:
    command = [
        *("bash", str(ROOT / "egs/librispeech/run.sh"), "--corpus", str(corpus), "--scratch"),
        *("--model", "sew-micro", "--data", "data", "--exp", "exp"),
        *("--pretrain-config", "100k", "--pretrain-options", f"--updates 3 {SMALL}"),
        *("--finetune-config", "100h", "--finetune-options", f"--updates 3 {SMALL}"),
    ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    return subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=600, env=environment, check=False)


def test_the_recipe_runs_from_a_corpus_to_a_table(corpus_folder: Path, tmp_path: Path) -> None:
    done = recipe(corpus_folder, tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "exp/results.json").read_text())
    assert {row["name"]: row["pretrained"] for row in rows} == {"sew-micro-ft": True, "sew-micro-scratch": False}
    for row in rows:
        assert row["model"] == "sew-micro" and row["split"] == "test-clean" and row["updates"] == 3
        assert row["parameters"] > 500_000 and 0 < row["hours"] < 0.1
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "three updates cannot have learned to read"
        assert row["rtf_greedy"] > 0 and row["rtf_lm"] > 0
    assert "sew-micro-scratch" in done.stdout
    assert (tmp_path / "exp/sew-micro-ft/model/model.safetensors").is_file()

    weights = (tmp_path / "exp/sew-micro-ft/model/model.safetensors").stat().st_mtime_ns
    again = recipe(corpus_folder, tmp_path)
    assert again.returncode == 0, again.stderr
    assert "prepared already" in again.stderr and "all 3 updates are done" in again.stderr
    assert again.stderr.count("decoded already") == 4
    assert (tmp_path / "exp/sew-micro-ft/model/model.safetensors").stat().st_mtime_ns == weights
    assert json.loads((tmp_path / "exp/results.json").read_text()) == rows
