"""Closed streams, full disks, limits, Ctrl-C and values that make no sense: a clear line and the right code, no traceback."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import typer
from support.sew_command import SEW

from sewcli.base.errors import SewError, UsageError
from sewcli.base.files import os_errors_as_usage_errors, write_text
from sewcli.base.refusals import refusal
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, vocabulary = tmp_path_factory.mktemp("ordinary") / "model", Vocabulary.letters()
    torch.manual_seed(2)
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    save_ctc(network, vocabulary, folder)
    return folder


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    return path


def shell(command: str, **options) -> subprocess.CompletedProcess[str]:
    """In a shell, `sew` being the command; stdout and stderr come back where they are not redirected."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    command = command.replace("sew ", f"{SEW} ", 1)
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=300, check=False, env=environment, **options
    )
    assert "Traceback" not in done.stderr and "bug in sew" not in done.stderr, done.stderr
    return done


@pytest.mark.fault("input-32")
@pytest.mark.parametrize("verb", ["models", "--help", "recipes", "pretrain --model sew-tiny --print-config"])
def test_a_full_stdout(verb: str, tmp_path: Path) -> None:
    done = shell(f"sew {verb} > /dev/full", cwd=tmp_path)
    assert done.returncode == 2 and "stdout: the output cannot be written (no disk space left)" in done.stderr


@pytest.mark.fault("input-14")
def test_closed_streams(model: Path, sound: Path) -> None:
    assert shell(f"sew transcribe {sound} --model {model} <&-").returncode == 0
    done = shell(f"sew transcribe {sound} --model {model} >&-")
    assert done.returncode == 2 and "stdout is closed" in done.stderr
    out = sound.parent / "o"
    assert shell(f"sew transcribe {sound} --model {model} --out {out} <&- >&- 2>&-").returncode == 0
    assert (out / "a.txt").is_file()
    done = shell(f"sew transcribe - --model {model} <&-")
    assert done.returncode == 2 and "stdin is closed" in done.stderr
    assert shell("sew models 2>/dev/full").stdout.startswith("model")


@pytest.mark.fault("input-15")
@pytest.mark.parametrize("kilobytes", [300_000, 1_500_000])
def test_too_little_memory(kilobytes: int, model: Path, sound: Path) -> None:
    done = shell(f"ulimit -v {kilobytes}; exec sew transcribe {sound} --model {model}")
    assert done.returncode == 2 and "not enough memory" in done.stderr, done.stderr


@pytest.mark.fault("input-15", "input-27", "input-33")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("could not create a memory object"), "memory"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (ImportError("libc10_cuda.so: failed to map segment from shared object"), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "thread"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "process"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "open files"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 400), "255 bytes"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "cannot be written"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "permission"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "temporary"),
        (RuntimeError("I/O error: File too large (os error 27)"), "grow"),
        (RuntimeError("Could not determine home directory."), "home"),
    ],
)
def test_what_the_machine_refuses_is_recognised_whoever_says_it(error: Exception, said: str) -> None:
    found = refusal(error)
    assert isinstance(found, UsageError) and said in found.what and len(str(found)) < 700
    try:
        raise KeyError("x") from error
    except KeyError as outer:
        assert refusal(outer) is not None


@pytest.mark.parametrize(
    "error", [KeyError("x"), ValueError("shapes (3,) and (4,)"), RuntimeError("a bug"), SewError("test", "x")]
)
def test_a_bug_stays_a_bug(error: Exception) -> None:
    assert refusal(error) is None
    try:
        try:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")
        except FileNotFoundError:
            raise error from None if isinstance(error, SewError) else KeyError("in the handler")
    except Exception as outer:
        assert refusal(outer) is None


@pytest.mark.fault("input-33")
@pytest.mark.parametrize("form", ["fairseq", "hf"])
def test_export_onto_a_disk_that_is_full(form: str, model: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = shell(f"sew export {model} {tmp_path / 'e'} --format {form}", preexec_fn=limit)
    assert done.returncode == 2 and "cannot write (File too large)" in done.stderr
    assert not list(tmp_path.rglob("model*")) and not list(tmp_path.glob(".*"))


@pytest.mark.fault("input-33")
def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only file system, where even removing what is not there is refused."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UsageError, match="Read-only"):
        write_text(tmp_path / "x", "text")
    with pytest.raises(UsageError, match="File too large"), os_errors_as_usage_errors(tmp_path / "x"):
        raise RuntimeError("I/O error: File too large (os error 27)")


@pytest.mark.fault("input-36")
@pytest.mark.parametrize(
    "arguments", [("pretrain", "--exp", ""), ("pretrain", "--exp="), ("decode", "--out", ""), ("score", "")]
)
def test_an_unset_variable_is_not_the_current_folder(arguments, tmp_path, monkeypatch, sew_here: Sew) -> None:
    monkeypatch.chdir(tmp_path)
    done = sew_here(*arguments)
    assert done.returncode == 2 and "is empty: an unset variable?" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("input-27")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("decode", "--shard", "²/³"), "not of the form I/N"),
        (("decode", "--shard", "1/" + "9" * 50), "not of the form I/N"),
        (("decode", "--lm", "4gram", "--beam", "99999999999999"), "--beam"),
        (("transcribe", "a.wav", "--model", "x" * 300), "255 bytes"),
        (("transcribe", "a.wav", "--model", "MODEL", "--lm", "x" * 300), "no language model 'xxx"),
        (("pretrain", "--set", "data.threads=100000"), "threads"),
        (("pretrain", "--data", "PREPARED", "--set", "data.train=train-clean-100*100000000"), "at most"),
    ],
)
def test_values_beyond_reason(arguments, said: str, prepared: Path, model: Path, sound: Path, sew_here: Sew) -> None:
    places = {"PREPARED": prepared, "MODEL": model, "a.wav": sound}
    done = sew_here(*(places.get(a, a) for a in arguments))
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault("input-27")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is"),
        ({"RANK": "x"}, "RANK is"),
        ({"RANK": "3"}, "WORLD_SIZE=1 and RANK=3"),
        ({"WORLD_SIZE": "4"}, "WORLD_SIZE=4 and RANK=,"),
        ({"WORLD_SIZE": "-2", "RANK": "-3"}, "is '-3', not a number"),
    ],
)
def test_ranks_that_make_no_sense(values, said: str, prepared, model, tmp_path, monkeypatch, sew_here: Sew) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    done = sew_here("decode", "--model", model, "--data", prepared, "--out", tmp_path / "d")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "d").exists()
    assert sew_here("models").returncode == 0


@pytest.mark.fault("input-13")
@pytest.mark.parametrize(
    "wrong",
    [
        ("--model", "nope"),
        ("--set", "overrides.heads=0"),
        ("--set", "overrides.width=127"),
        ("--set", "overrides.layers=0"),
        ("--set", "overrides.dropout=1.0"),
        ("--set", "overrides.extractor_strides=[]"),
        ("--set", "data.train=nope"),
        ("--data", "nowhere"),
    ],
)
@pytest.mark.parametrize("verb", ["pretrain", "finetune"])
def test_print_config_refuses_what_cannot_run(verb: str, wrong, prepared: Path, sew_here: Sew) -> None:
    done = sew_here(verb, "--model", "sew-micro", "--data", prepared, "--print-config", *wrong)
    assert done.returncode == 2, done.stdout
    fine = sew_here(verb, "--model", "sew-micro", "--data", prepared, "--print-config")
    assert fine.returncode == 0 and "model: sew-micro" in fine.stdout


@pytest.mark.fault("input-13")
@pytest.mark.parametrize(
    ("verb", "wrong"),
    [
        ("selftrain", ("--untranscribed", "nope")),
        ("selftrain", ("--final", "nope")),
        ("selftrain", ("--lm", "nope")),
        ("selftrain", ("--set", "finetune.overrides.layers=0")),
        ("pseudo-label", ("--split", "nope")),
        ("pseudo-label", ("--without", "nope")),
        ("pseudo-label", ("--lm", "nope")),
        ("distill", ("--student", "nope")),
        ("distill", ("--set", "data.train=nope")),
    ],
)
def test_print_config_of_longer_runs_refuses_what_cannot_run(
    verb: str, wrong, prepared: Path, model: Path, tmp_path: Path, sew_here: Sew
) -> None:
    usual = {
        "selftrain": ["--model", model, "--untranscribed", "train-clean-100", "--set", "labelled=dev-clean"],
        "pseudo-label": ["--model", model, "--split", "train-clean-100"],
        "distill": ["--teacher", model, "--layers", "1"],
    }[verb]
    usual = [verb, *usual, "--data", prepared, "--print-config", *(() if verb == "distill" else ("--lm", "none"))]
    usual += ["--exp", tmp_path / "exp"] if verb == "selftrain" else []
    fine = sew_here(*usual)
    assert fine.returncode == 0, fine.stderr
    refused = sew_here(*usual, *wrong)
    assert refused.returncode == 2 and "hint: " in refused.stderr, refused.stderr
    assert not (tmp_path / "exp").exists()


@pytest.mark.fault("input-34")
@pytest.mark.parametrize("moment", ["within", "swallowed"])
def test_ctrl_c_within_a_library_that_makes_an_error_of_it(moment: str, monkeypatch, sew_here: Sew) -> None:
    from sewcli.models import sizes

    def interrupted(*_: object, **__: object) -> None:
        if moment == "within":
            signal.raise_signal(signal.SIGINT)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("could not determine the shape of object type 'torch.storage.UntypedStorage'") from None

    monkeypatch.setattr(sizes, "every_name", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = sew_here("models")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 130 and "interrupted" in done.stderr and "run the same command" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault("input-34")
def test_ctrl_c_as_soon_as_the_command_runs() -> None:
    for wait in (0.05, 0.3, 1.0):
        command = ["env", "--default-signal=INT", sys.executable, "-m", "sewcli", "bench", "sew-micro"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        status = Path(f"/proc/{process.pid}/status")
        while time.monotonic() < until and b"sewcli" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.001)
        while time.monotonic() < until and "SigCgt:\t0000000000000000" in status.read_text():
            time.sleep(0.001)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=100)
        if process.returncode == -2 or "init_import_site" in err:  # Python itself was not there yet
            continue
        assert process.returncode == 130 and "Traceback" not in err, err


@pytest.mark.fault("input-34")
@pytest.mark.parametrize(
    ("arguments", "said", "go_on"),
    [
        (("decode", "--lm", "none"), "the hypotheses so far are on disk", "to go on"),
        (("tune", "--lm", "4gram"), "the trials so far are on disk", "to go on"),
        (("transcribe", "a.wav", "--model", "m"), "recordings that are finished are written", "with --out"),
        (("score",), "no file is half written", "begins at the start"),
        (("align", "m"), "no file is half written", "begins at the start"),
        (("lm", "ngram"), "no file is half written", "begins at the start"),
        (("lm", "train"), "the checkpoints so far are on disk", "to go on"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_ctrl_c_says_what_is_kept_and_what_is_not(arguments, said: str, go_on: str, monkeypatch, sew_here: Sew) -> None:
    from sewcli.cli import app

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.core.TyperCommand.invoke", interrupted)
    done = sew_here(*arguments)
    assert done.returncode == 130 and said in done.stderr and go_on in done.stderr, done.stderr
    names = {" ".join(name.split()) for name in app.KEPT}
    verbs = typer.main.get_command(app.app).commands
    below = {f"{name} {verb}" for name, group in verbs.items() for verb in getattr(group, "commands", ())}
    assert names <= {*verbs, *below}


@pytest.mark.fault("input-34")
def test_ctrl_c_into_training_says_where_the_checkpoint_is(
    prepared: Path, tmp_path: Path, monkeypatch, sew_here: Sew
) -> None:
    from sewcli.training import loop

    whole, exp = loop._Run._advance, tmp_path / "exp"

    def advance(self, update):
        if update.step == 2:
            signal.raise_signal(signal.SIGINT)
        return whole(self, update)

    monkeypatch.setattr(loop._Run, "_advance", advance)
    sets = {"batch.seconds": 4, "batch.micro_seconds": 2, "data.min_seconds": 0.6}
    command = ["pretrain", "--model", "sew-micro", "--data", prepared, "--exp", exp, "--updates", 6, "--device", "cpu"]
    command += [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = sew_here(*command)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 130, done.stderr
    assert f"{exp}: stopped at update 3 of 6; its checkpoint is on disk" in done.stderr
    assert (exp / "checkpoints" / "step-3" / "DONE").exists() and "to go on" in done.stderr
