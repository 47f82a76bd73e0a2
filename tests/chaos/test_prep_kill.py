"""`sew prep` killed anywhere and run again ends in the bytes of a run that nobody disturbed, converted sound files included."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from corpora import LIBRISPEECH, SPOKEN_CALLS, TINY, Tiny, state, written
from forks import forks
from support.sew_command import SEW

pytestmark = pytest.mark.xdist_group("sew prep")  # one forked process, and each corpus spoken once
KILLS = 10


def cut_ledgers(out: Path, dice: random.Random) -> None:
    """As a power cut leaves them: the end of what was appended last is not on the disk."""
    for ledger in (out / ".checked").glob("*of*.jsonl"):
        content = ledger.read_bytes()
        ledger.write_bytes(content[: len(content) - dice.randrange(200)] if content else b"")


@pytest.mark.parametrize(
    "tiny", [pytest.param(t, id=n, marks=() if t is LIBRISPEECH else pytest.mark.long) for n, t in TINY.items()]
)
def test_killed_anywhere_and_run_again(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = tiny.command(written(tiny), out)
    whole = forks().sew(*arguments, below=out)
    assert whole.code == 0, whole.err
    expected = state(out)
    assert "prep.json" in expected and bool(list(out.rglob("audio/*/*.flac"))) == tiny.converts
    dice = random.Random(f"kill {tiny.sounds}")
    for moment in sorted(dice.sample(range(2, whole.operations + 1), KILLS)):
        shutil.rmtree(out)
        killed = forks().sew(*arguments, below=out, kill_before=moment)
        assert killed.code == -signal.SIGKILL, (moment, killed)
        if moment % 2:
            cut_ledgers(out, dice)
        again = forks().sew(*arguments)
        assert again.code == 0, (moment, again.err)
        assert state(out) == expected, moment


def test_killed_again_and_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = LIBRISPEECH.command(written(LIBRISPEECH), out)
    whole = forks().sew(*arguments, below=out)
    expected = state(out)
    shutil.rmtree(out)
    dice = random.Random("kill again")
    deaths = 0
    for _ in range(KILLS):
        killed = forks().sew(*arguments, below=out, kill_before=dice.randrange(5, whole.operations))
        assert killed.code in (-signal.SIGKILL, 0), killed.err
        deaths += killed.code != 0
        cut_ledgers(out, dice)
    assert deaths > KILLS // 2
    assert forks().sew(*arguments).code == 0 and state(out) == expected


def test_a_forced_run_that_is_killed_is_not_taken_for_done(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = LIBRISPEECH.command(written(LIBRISPEECH), out)
    assert forks().sew(*arguments).code == 0
    expected = state(out)
    forced = forks().sew(*arguments, "--force", below=out)
    assert forced.code == 0 and state(out) == expected
    for moment in random.Random("force").sample(range(5, forced.operations), 4):
        assert forks().sew(*arguments, "--force", below=out, kill_before=moment).code == -signal.SIGKILL
        assert forks().sew(*arguments).code == 0 and state(out) == expected, moment


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_processes_that_convert_killed_at_any_time(tmp_path: Path) -> None:
    """The command as it is typed, killed by the clock: its worker processes are in the middle of a call."""
    out = tmp_path / "out"
    typed = [SEW, *map(str, SPOKEN_CALLS.command(written(SPOKEN_CALLS), out))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(typed, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (out / ".checked").is_dir():
            assert process.poll() is None
            time.sleep(0.002)
        return process

    whole = start()
    started = time.monotonic()
    assert whole.wait(timeout=300) == 0
    seconds = time.monotonic() - started
    expected = state(out)
    dice = random.Random("clock")
    for _ in range(KILLS):
        shutil.rmtree(out)
        process = start()
        time.sleep(dice.uniform(0, seconds))
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
        assert subprocess.run(typed, env=environment, capture_output=True, check=False, timeout=300).returncode == 0
        assert state(out) == expected
