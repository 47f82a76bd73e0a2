"""What `sew prep` does when the disk is full or cannot be written, when two run at once, in shards, and with a broken file."""

import os
import random
import shutil
import signal
import subprocess
import time
from itertools import permutations
from pathlib import Path

import pytest
from corpora import CALLS, LIBRISPEECH, LONG, TINY, Tiny, state, written
from forks import forks
from support.sew_command import SEW
from test_disk_full import on_a_small_disk, small_disk  # noqa: F401 (a fixture)

from sewcli.base.files import read_jsonl
from sewcli.data.utterances import splits

pytestmark = pytest.mark.xdist_group("sew prep")  # one forked process, and each corpus spoken once
EVERY = [pytest.param(t, id=n, marks=pytest.mark.long if n in LONG else ()) for n, t in TINY.items()]
ONE_QUICK = [pytest.param(t, id=n, marks=() if t is LIBRISPEECH else pytest.mark.long) for n, t in TINY.items()]

CUT_OFF = ("truncated", "cannot be read as sound", "its shorten compression cannot be undone (truncated")


def cuts(out: Path) -> dict[tuple[str, str], tuple[str, float]]:
    """Text and length of every cut, by split and id."""
    return {
        (split, row["id"]): (row["supervisions"][0]["text"], row["duration"])
        for split in splits(out)
        for row in read_jsonl(out / f"cuts_{split}.jsonl.gz")
    }


def is_clean(out: Path) -> bool:
    """Whether `sew check` finds nothing, or only that Eval2000 has utterances of nothing but a hesitation."""
    checked = forks().sew("check", out)
    found = {(row["split"], row["kind"]) for row in read_jsonl(out / "check.jsonl")}
    return checked.code == 0 and found <= {("test-eval2000", "no-label"), ("dev-rt03", "no-label")}


@pytest.mark.parametrize("tiny", EVERY)
def test_a_broken_file_is_listed_and_the_rest_done(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(written(tiny), tmp_path / "corpus"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert forks().sew("prep", tiny.name, folder, "--out", whole).code == 0
    assert is_clean(whole)
    broken = tiny.broken(folder)
    done = forks().sew("prep", tiny.name, folder, "--out", out)
    assert done.code == 4 and "were set aside; all others are prepared" in done.err and "Traceback" not in done.err
    rejected = list(read_jsonl(out / "rejected.jsonl"))
    assert rejected and {row["file"] for row in rejected} == {str(broken)}
    assert all(row["reason"].startswith(CUT_OFF) for row in rejected), rejected
    names = {(row["split"], row["id"]) for row in rejected}
    everything = cuts(whole)
    assert cuts(out) == {name: cut for name, cut in everything.items() if name not in names}
    assert names <= everything.keys() and len(names) < len(everything)
    assert is_clean(out)
    again = forks().sew("prep", tiny.name, folder, "--out", out)
    assert again.code == 4 and again.err.count("prepared already") == len(splits(out))


@pytest.mark.parametrize("tiny", ONE_QUICK)
def test_shards_in_any_order_and_then_the_plain_command(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = tiny.command(written(tiny), out)
    assert forks().sew(*plain).code == 0
    expected = state(out)
    orders = list(permutations((1, 2, 3)))
    for order in random.Random("shards").sample(orders, 2 if tiny is LIBRISPEECH else len(orders)):
        shutil.rmtree(out)
        for index in order:
            done = forks().sew(*plain, "--shard", f"{index}/3")
            assert done.code == 0, done.err
            assert not (out / "prep.json").exists() and not splits(out)
        assert forks().sew(*plain).code == 0
        assert state(out) == expected, order


@pytest.mark.long
@pytest.mark.parametrize("tiny", EVERY)
def test_shards_side_by_side_and_one_of_them_killed(tiny: Tiny, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = tiny.command(written(tiny), out)
    assert forks().sew(*plain).code == 0
    expected = state(out)
    shutil.rmtree(out)
    shards = [started(*plain, "--shard", f"{index}/3") for index in (1, 2, 3)]
    wait_for(out / ".checked", shards[1])
    shards[1].kill()
    assert [shard.wait(timeout=300) for shard in shards] == [0, -signal.SIGKILL, 0]
    assert forks().sew(*plain).code == 0 and state(out) == expected


def test_two_at_once_in_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = LIBRISPEECH.command(written(LIBRISPEECH), out)
    assert forks().sew(*plain).code == 0
    expected = state(out)
    shutil.rmtree(out)
    first = started(*plain)
    try:
        wait_for(out / ".lock", first)
        first.send_signal(signal.SIGSTOP)
        for words in (plain, [*plain, "--shard", "1/2"], [*plain, "--force"]):
            second = forks().sew(*words)
            assert second.code == 2 and "another sew prep is at work in this folder" in second.err, second
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=300) == 0
    finally:
        first.kill()
    assert state(out) == expected


FULL = """
import json, shutil, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from corpora import TINY, state
from forks import forks
from sewcli.base.files import TEMPORARY, sha256
disk, out, tiny = Path({disk!r}), Path({disk!r}) / "out", TINY[{name!r}]
command = tiny.command(Path({corpus!r}), out)
whole = forks().sew(*command)
assert whole.code == 0, whole.err
expected = state(out)
room, codes = 0, []
while not codes or codes[-1]:
    shutil.rmtree(out)
    try:
        with open(disk / "ballast", "wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
    except OSError:
        with open(disk / "ballast", "r+b") as ballast:
            ballast.truncate(ballast.seek(0, 2) - room)
    run = forks().sew(*command)
    codes.append(run.code)
    if run.code:
        assert run.code == 2 and "no disk space left" in run.err and str(disk) in run.err and "hint" in run.err, run
        assert not [path for path in out.rglob(TEMPORARY + "*")], list(out.rglob("*"))
        listed = json.loads((out / "prep.json").read_text())["splits"] if (out / "prep.json").exists() else {{}}
        for split in listed.values():
            assert all(sha256(out / name) == digest for name, digest in split["outputs"].items())
    (disk / "ballast").unlink()
    after = forks().sew(*command)
    assert after.code == 0 and state(out) == expected, (room, after.err)
    room += {step}
print("ROOMS", len(codes), "OF", room)
"""


@pytest.mark.parametrize(
    ("tiny", "step"),
    [
        pytest.param(LIBRISPEECH, 3 * 4096, id="librispeech"),
        pytest.param(CALLS, 9 * 4096, id="swbd_fisher", marks=pytest.mark.long),
    ],
)
def test_a_full_disk_leaves_nothing_that_is_taken_for_whole(tiny: Tiny, step: int, small_disk: Path) -> None:  # noqa: F811
    """With room for nothing, then for more and more, until it is enough."""
    names = {"tests": str(Path(__file__).parent), "disk": str(small_disk), "corpus": str(written(tiny))}
    done = on_a_small_disk(small_disk, FULL.format(**names, name=tiny.name, step=step))
    assert done.returncode == 0, done.stderr
    word, runs, *_ = done.stdout.split()
    assert word == "ROOMS" and int(runs) > 3, done.stdout


READ_ONLY = """
import subprocess, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from corpora import TINY, state
from forks import forks
disk = Path({disk!r})
command = lambda out: TINY["librispeech"].command(Path({corpus!r}), out)
assert forks().sew(*command(disk / "done")).code == 0
before = state(disk / "done")
subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
for out in (disk / "new", disk / "done"):
    run = forks().sew(*command(out))
    assert run.code == 2 and "cannot write (Read-only file system)" in run.err and "hint" in run.err, run
    assert str(out) in run.err and "Traceback" not in run.err
assert state(disk / "done") == before and not (disk / "new").exists()
checked = forks().sew("check", disk / "done")
assert checked.code == 2 and "--out" in checked.err, checked
print("READ ONLY")
"""


def test_a_read_only_disk_is_one_clear_line(small_disk: Path) -> None:  # noqa: F811
    names = {"tests": str(Path(__file__).parent), "disk": str(small_disk), "corpus": str(written(LIBRISPEECH))}
    done = on_a_small_disk(small_disk, READ_ONLY.format(**names))
    assert done.stdout.split() == ["READ", "ONLY"], done.stderr


def started(*words: object) -> subprocess.Popen[bytes]:
    """The command as it is typed, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([SEW, *map(str, words)], env=environment, stdout=quiet, stderr=quiet)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
