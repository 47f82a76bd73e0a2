"""A sweep of students on two ranks, killed with SIGKILL in its first and in its second student: the same weights in the end."""

import json
import random
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support import ranks

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

UPDATES, EVERY = 8, 2


def arguments(teacher: Path, prepared: Path, exp: Path) -> list[str]:
    sets = ["batch.seconds=4", "batch.micro_seconds=2", f"checkpoint.every={EVERY}", "valid_every=4", "log_every=3"]
    sets += [f"updates={UPDATES}", "optim.lr=1e-3", "tensorboard=false", "time_mask.probability=0.2"]
    place = ["--teacher", str(teacher), "--data", str(prepared), "--exp", str(exp), "--device", "cpu"]
    return ["distill", *place, "--layers", "2,1", *(word for each in sets for word in ("--set", each))]


def newest(exp: Path) -> int:
    steps = [int(path.parent.name[5:]) for path in (exp / "checkpoints").glob("step-*/DONE")]
    return max(steps, default=0)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes through /proc")
def test_kills_change_nothing(prepared: Path, tmp_path: Path) -> None:
    teacher, rng = tmp_path / "teacher/model", random.Random(8)
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), teacher)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = ranks.start(arguments(teacher, prepared, whole), tmp_path / "job", 2)
    assert undisturbed.wait() == 0, undisturbed.log
    for number, student in enumerate(("cut-L2", "cut-L1")):
        job = ranks.start(arguments(teacher, prepared, cut), tmp_path / f"job-{number}", 2)
        job.until(lambda: newest(tmp_path / student) >= EVERY)  # noqa: B023
        time.sleep(rng.uniform(0, 0.05))
        job.kill()
        assert job.code == -9 and newest(tmp_path / student) < UPDATES
    last = ranks.start(arguments(teacher, prepared, cut), tmp_path / "job-last", 2)
    assert last.wait() == 0, last.log
    assert "going on from update" in last.log and f"all {UPDATES} updates are done" in last.log
    for layers in (2, 1):
        ours, theirs = tmp_path / f"cut-L{layers}", tmp_path / f"whole-L{layers}"
        for name in ("model.safetensors", "optimizer.safetensors"):
            files = [exp / f"checkpoints/step-{UPDATES}" / name for exp in (ours, theirs)]
            assert len(load_file(files[0])) > 30
            assert files[0].read_bytes() == files[1].read_bytes(), name
        weights = [(exp / "model/model.safetensors").read_bytes() for exp in (ours, theirs)]
        assert weights[0] == weights[1]
        rows = [
            [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()] for exp in (ours, theirs)
        ]
        kept = [[row for row in each if row.get("kind") != "speed"] for each in rows]
        assert kept[0] == kept[1] and len(kept[0]) > UPDATES
