"""The kill law: SIGKILLs at any moment of a two-rank run change nothing in the end, neither a weight nor a logged loss.

Every kill takes the launcher and both ranks at once, and the same command is started again. Some come at a random moment,
start-up included; some inside a save, which is told by the partial folder that they leave behind.
"""

import json
import random
import re
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support import ranks

EVERY = 2  # updates between checkpoints
SETS = {
    "pretrain": ["data.min_seconds=0.6", "schedule.warmup_updates=30", "optim.lr=1e-3"],
    "finetune": ["extractor_gradient=1.0", "optim.lr=1e-3"],
}


def arguments(verb: str, prepared: Path, exp: Path, updates: int) -> list[str]:
    sets = ["batch.seconds=4", "batch.micro_seconds=2", f"checkpoint.every={EVERY}", "valid_every=15", "log_every=5"]
    return [
        *(verb, "--model", "sew-micro", "--data", str(prepared), "--exp", str(exp), "--updates", str(updates)),
        *(word for setting in [*sets, *SETS[verb]] for word in ("--set", setting)),
    ]


def newest(exp: Path) -> int:
    """Updates done at the newest checkpoint that is finished."""
    steps = [int(path.parent.name[5:]) for path in (exp / "checkpoints").glob("step-*/DONE")]
    return max(steps, default=0)


def partial(exp: Path) -> set[str]:
    return {path.name for path in (exp / "checkpoints").glob(".tmp-*")}


def losses(exp: Path) -> list[dict]:
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row.get("kind") != "speed"]  # these tell how fast it went


def kill_in_a_save(job: ranks.Job, exp: Path, rng: random.Random, limit: int) -> bool:
    """Kill inside the first, second or third save since the start; whether the kill came before that save was done."""
    left = partial(exp)  # by an earlier kill: the next save removes it
    for _ in range(rng.randint(1, 3)):
        done = newest(exp)
        job.until(lambda: partial(exp) - left, pause=0.0002)
        if done + 2 * EVERY > limit:
            break
        job.until(lambda: newest(exp) > done)  # noqa: B023
    else:
        job.until(lambda: partial(exp) - left, pause=0.0002)
    time.sleep(rng.uniform(0, 0.01))
    job.kill()
    return bool(partial(exp) - left)


def kill_any_time(job: ranks.Job, exp: Path, rng: random.Random, limit: int, longest: float) -> None:
    """Kill after a random time, or when the run has come as far as is good for the kills that are to follow."""
    moment = time.monotonic() + rng.uniform(0, longest)
    job.until(lambda: time.monotonic() >= moment or newest(exp) >= limit)
    job.kill()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes through /proc")
@pytest.mark.parametrize("verb", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    ("updates", "kills", "in_saves"), [(12, 3, 1), pytest.param(60, 20, 5, marks=pytest.mark.long)], ids=["3", "20"]
)
def test_kills_change_nothing(verb: str, updates: int, kills: int, in_saves: int, prepared: Path, tmp_path) -> None:
    seed = f"{verb} {updates}"
    rng, began = random.Random(seed), time.monotonic()
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = ranks.start(arguments(verb, prepared, whole, updates), tmp_path / "job", 2)
    undisturbed.until(lambda: newest(whole) >= EVERY)
    longest = 2 * (time.monotonic() - undisturbed.started)
    assert undisturbed.wait() == 0, undisturbed.log
    print(
        f"\n{verb}: seed {seed}, first save after {longest / 2:.1f} s, {updates} updates {time.monotonic() - began:.1f} s"
    )

    hits, told = 0, []
    for kill in range(kills):
        job = ranks.start(arguments(verb, prepared, cut, updates), tmp_path / f"job-{kill}", 2)
        limit = updates * (kill + 1) // (kills + 1)
        too_few = hits + kills - kill <= in_saves + kills // 10  # unless the rest of them hit
        if too_few or rng.random() < 0.5:
            hits += kill_in_a_save(job, cut, rng, limit)
        else:
            kill_any_time(job, cut, rng, limit, longest)
        assert job.code == -9, job.log
        told += re.findall(r"going on from update (\d+)", job.log)
    reached = newest(cut)
    last = ranks.start(arguments(verb, prepared, cut, updates), tmp_path / "job-last", 2)
    assert last.wait() == 0, last.log
    print(
        f"{kills} kills, {hits} inside a save, went on from {told}, {reached}; {time.monotonic() - began:.0f} s in all"
    )

    assert hits >= in_saves and told and reached < updates
    for name in ("model.safetensors", "optimizer.safetensors"):
        ours, theirs = (load_file(exp / f"checkpoints/step-{updates}" / name) for exp in (cut, whole))
        assert ours.keys() == theirs.keys() and len(ours) > 50
        assert all(bool((ours[key] == theirs[key]).all()) for key in ours), name
        ours, theirs = ((exp / f"checkpoints/step-{updates}" / name).read_bytes() for exp in (cut, whole))
        assert ours == theirs, name
    assert losses(cut) == losses(whole)
    assert [row["step"] for row in losses(cut) if "kind" not in row] == list(range(1, updates + 1))
    assert (cut / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()
    litter = [path.name for folder in (cut, cut / "checkpoints") for path in folder.glob(".tmp-*")]
    assert litter == []
