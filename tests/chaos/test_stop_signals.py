"""Stop signals at the bad moments: start-up, learning-rate warm-up, validation, a wait for data, a save.

Each to the one process, and to either rank of two: a whole checkpoint is left behind, all leave with 75, and the same
command ends with the weights of a run that nobody stopped.
"""

import fcntl
import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file
from support import ranks

from sewcli.data.plan import BatchPlan
from sewcli.data.utterances import read_split
from sewcli.training import checkpoint

UPDATES = 8
SECONDS = {"batch.seconds": 4, "batch.micro_seconds": 2}
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes through /proc")
WHO = [
    pytest.param(None, id="alone"),
    pytest.param(0, id="rank 0 of 2", marks=pytest.mark.long),
    pytest.param(1, id="rank 1 of 2"),
]


def arguments(data: Path, exp: Path, **sets: object) -> list[str]:
    all_sets = {**SECONDS, "data.min_seconds": 0.6, "checkpoint.every": 100, "valid_every": 100, "log_every": 1, **sets}
    return [
        *("pretrain", "--model", "sew-micro", "--data", str(data), "--exp", str(exp), "--updates", str(UPDATES)),
        *(word for name, value in all_sets.items() for word in ("--set", f"{name}={value}")),
    ]


def job(data: Path, exp: Path, rank: int | None, **sets: object) -> ranks.Job:
    number = len(list(exp.parent.glob("job-*")))
    return ranks.start(arguments(data, exp, **sets), exp.parent / f"job-{number}", 1 if rank is None else 2)


def updates_done(exp: Path) -> int:
    path = exp / "metrics.jsonl"
    if not path.exists():
        return 0
    return path.read_text().count('"grad_norm"')


def stopped_politely(stopped: ranks.Job, exp: Path, number: signal.Signals) -> int:
    """Check how a job ended; returns the update of the checkpoint it left, 0 if none."""
    stopped.wait()
    assert stopped.rank_codes() == dict.fromkeys(range(stopped.ranks), "75"), stopped.log
    assert stopped.code == (75 if stopped.ranks == 1 else 1), "torchrun itself ends with 1"
    assert "run the same command" in stopped.log and "this is a bug" not in stopped.log
    newest = checkpoint.newest(exp / "checkpoints")
    assert not list(exp.glob("**/.tmp-*"))
    return int(newest.name[5:]) if newest else 0


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    exp = tmp_path_factory.mktemp("undisturbed") / "exp"
    whole = job(prepared, exp, None)
    assert whole.wait() == 0, whole.log
    return exp


def ends_as(undisturbed: Path, data: Path, exp: Path, rank: int | None, **sets: object) -> None:
    """The same command again; two ranks add gradients in another order than one, so there it is the count that is held."""
    again = job(data, exp, rank, **sets)
    assert again.wait() == 0, again.log
    ours, theirs = (load_file(e / f"checkpoints/step-{UPDATES}/model.safetensors") for e in (exp, undisturbed))
    close = 0.0 if rank is None else 1e-5
    assert all(float((ours[name] - theirs[name]).abs().max()) <= close for name in ours)
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "kind" not in row] == list(range(1, UPDATES + 1))
    assert [row["step"] for row in rows if row.get("kind") == "valid"] == [
        step for step in range(1, UPDATES + 1) if step == UPDATES or step % int(str(sets.get("valid_every", 100))) == 0
    ]


@pytest.mark.parametrize("rank", WHO)
def test_in_the_warm_up_of_the_learning_rate(rank, prepared: Path, undisturbed: Path, tmp_path: Path) -> None:
    """No checkpoint is due for a long time, and one is left all the same."""
    exp = tmp_path / "exp"
    running = job(prepared, exp, rank)
    running.until(lambda: updates_done(exp) >= 1)
    running.send(signal.SIGUSR1, rank)
    done = stopped_politely(running, exp, signal.SIGUSR1)
    assert 1 <= done < UPDATES and f"stopped at update {done} of {UPDATES}" in running.log
    assert "within the warm-up" in running.log
    ends_as(undisturbed, prepared, exp, rank)


@pytest.mark.parametrize("rank", WHO)
def test_in_a_save(rank, prepared: Path, undisturbed: Path, tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    running = job(prepared, exp, rank, **{"checkpoint.every": 2})
    running.until(lambda: list((exp / "checkpoints").glob(".tmp-*")), pause=0.0002)
    running.send(signal.SIGTERM, rank)
    assert stopped_politely(running, exp, signal.SIGTERM) in (2, 3)
    ends_as(undisturbed, prepared, exp, rank, **{"checkpoint.every": 2})


@pytest.fixture(scope="module")
def long_to_validate(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus, with each cut of the dev split so often that a validation takes a minute."""
    data = tmp_path_factory.mktemp("long-dev")
    for path in prepared.iterdir():
        if path.is_file():
            (data / path.name).write_bytes(path.read_bytes())
    path = data / "cuts_dev-clean.jsonl.gz"
    with gzip.open(path, "rt") as file:
        cuts = [json.loads(line) for line in file]
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps({**cut, "id": f"{cut['id']}-{n}"}) + "\n" for n in range(400) for cut in cuts)
    return data


@pytest.mark.parametrize("rank", WHO)
def test_in_a_validation(rank, prepared: Path, undisturbed: Path, long_to_validate: Path, tmp_path: Path) -> None:
    """It is cut short, and made up for when the run goes on: here with a shorter list, so that the test ends."""
    exp = tmp_path / "exp"
    running = job(long_to_validate, exp, rank, valid_every=3)
    running.until(lambda: updates_done(exp) == 3)
    time.sleep(0.3)
    sent = time.monotonic()
    running.send(signal.SIGTERM, rank)
    assert stopped_politely(running, exp, signal.SIGTERM) == 3
    assert time.monotonic() - sent < 30, "the validation was waited for"
    assert '"valid"' not in (exp / "metrics.jsonl").read_text()
    assert json.loads((exp / "checkpoints/step-3/state.json").read_text())["validation_due"]
    (exp / "data.json").unlink()
    ends_as(undisturbed, prepared, exp, rank, valid_every=3)


@contextmanager
def held_back(path: Path) -> Iterator[None]:
    """Whoever opens the file waits, in the kernel, until we let go (or for lease-break-time, 45 s)."""
    told = signal.signal(signal.SIGIO, lambda *_: None)
    descriptor = os.open(path, os.O_RDWR)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except (OSError, AttributeError):
            pytest.skip("no leases on this file system")
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, told)


def first_read_by(update: int, data: Path) -> Path:
    """A sound file that the run first needs for this update, counted from 1, on whatever rank that is."""
    cuts = [u for u in read_split(data, "train-clean-100") if u.seconds >= 0.6]
    plan = BatchPlan([u.samples for u in cuts], SECONDS["batch.micro_seconds"] * 16_000, 2, seed=1)
    updates = plan.epoch(0)
    before = {cuts[i].path for micro_batches in updates[: update - 1] for m in micro_batches for i in m}
    now = [cuts[i].path for m in updates[update - 1] for i in m if cuts[i].path not in before]
    assert now
    return now[0]


@pytest.mark.parametrize("rank", WHO)
def test_in_a_wait_for_data(rank, prepared: Path, undisturbed: Path, tmp_path: Path) -> None:
    """A file that cannot be opened yet, as on a file server that hangs: nobody waits for it any longer."""
    exp = tmp_path / "exp"
    with held_back(first_read_by(4, prepared)):
        running = job(prepared, exp, rank)
        running.until(lambda: updates_done(exp) == 3)
        time.sleep(1.0)
        assert updates_done(exp) == 3, "the file is not held back"
        sent = time.monotonic()
        running.send(signal.SIGTERM, rank)
        assert stopped_politely(running, exp, signal.SIGTERM) == 3
        assert time.monotonic() - sent < 20
    ends_as(undisturbed, prepared, exp, rank)


@pytest.mark.parametrize("rank", WHO)
def test_in_start_up(rank, prepared: Path, tmp_path: Path) -> None:
    """Nothing is learned yet, so there is nothing to keep: 75 without a checkpoint."""
    exp = tmp_path / "exp"
    first = first_read_by(1, prepared)
    with held_back(first):
        running = job(prepared, exp, rank)
        running.until((exp / "data.json").exists)
        running.send(signal.SIGTERM, rank)
        running.wait()
    assert running.rank_codes().get(rank or 0) == "75" and "this is a bug" not in running.log, running.log
    assert not (exp / "checkpoints").exists() and updates_done(exp) == 0


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_dies_takes_the_job_with_it_and_nothing_else(victim, prepared, undisturbed, tmp_path) -> None:
    """The other rank says what happened, and does not call it a bug; the same command goes on from the last save."""
    exp = tmp_path / "exp"
    running = job(prepared, exp, 0, **{"checkpoint.every": 2})
    running.until(lambda: checkpoint.newest_step(exp / "checkpoints") >= 2)
    running.send(signal.SIGKILL, victim)
    assert running.wait() == 1
    assert "lost touch with the other processes" in running.log and "this is a bug" not in running.log, running.log
    ends_as(undisturbed, prepared, exp, 0, **{"checkpoint.every": 2})
