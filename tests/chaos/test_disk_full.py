"""A real full disk: a tmpfs of 1 MB in a mount namespace of its own, no root needed where user namespaces are allowed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from sewcli.base.errors import SewError
from sewcli.training.loop import train
from tiny_task import TinyTask, tiny_config
exp = Path({exp!r})
config = tiny_config(updates=8)
train(TinyTask(tiny_config(updates=4)), exp, torch.device("cpu"))
try:
    with open(exp / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
except OSError:
    with open(exp / "ballast", "r+b") as ballast:
        ballast.truncate(ballast.seek(0, 2) - {room})
try:
    train(TinyTask(config), exp, torch.device("cpu"))
except SewError as error:
    print("EXIT", error.exit_code, error)
from sewcli.training import checkpoint
print("WHOLE", checkpoint.newest(exp / "checkpoints").name)
print("LITTER", [p.name for p in (exp / "checkpoints").iterdir() if not p.name.startswith("step-")])
(exp / "ballast").unlink()
print("AFTER", train(TinyTask(config), exp, torch.device("cpu")).step)
"""


def on_a_small_disk(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with a 1 MB tmpfs mounted at `folder`."""
    program = folder.parent / "script.py"
    program.write_text(script)
    mount = f"mount -t tmpfs -o size=1m none '{folder}' && exec '{sys.executable}' '{program}'"
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    if shutil.which("unshare") is None or on_a_small_disk(folder, "print('mounted')").stdout.strip() != "mounted":
        pytest.skip("this machine does not allow a mount in a user namespace")
    return folder


@pytest.mark.parametrize("room", [0, 12_288])  # nothing can be written at all; the metrics can, the checkpoint can not
def test_a_full_disk_costs_no_checkpoint(small_disk: Path, room: int) -> None:
    tests = str(Path(__file__).parent.parent / "training")
    script = SCRIPT.format(tests=tests, exp=str(small_disk / "exp"), room=room)
    done = on_a_small_disk(small_disk, script)
    assert "EXIT 2" in done.stdout, done.stdout + done.stderr
    assert "no disk space left" in done.stdout and str(small_disk) in done.stdout and "hint" in done.stdout
    assert "WHOLE step-4" in done.stdout and "LITTER []" in done.stdout
    assert "AFTER 8" in done.stdout and "going on from update 4" in done.stderr
