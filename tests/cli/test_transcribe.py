"""`sew transcribe` as a user types it: inputs, formats, what is in the way, and hostile recordings."""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from support.sew_command import SEW

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., subprocess.CompletedProcess[str]]
RATE = 16_000


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights that write many words, and always the same ones."""
    folder, vocabulary = tmp_path_factory.mktemp("transcriber") / "model", Vocabulary.letters()
    torch.manual_seed(2)
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    with torch.no_grad():
        network.head.weight *= 4
        network.head.bias[vocabulary.boundary] += 3
    save_ctc(network, vocabulary, folder)
    return folder


def noise(seconds: float, rate: int = RATE, channels: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (int(seconds * rate), channels)).astype(np.float32)


def write(path: Path, wave: np.ndarray, rate: int = RATE, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **options)
    return path


def test_hostile_recordings_are_told_and_all_others_are_done(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    good = write(tmp_path / "good.flac", noise(3))
    (tmp_path / "zero.wav").touch()
    (tmp_path / "text.wav").write_text("This is no sound.\n" * 100)
    nan = noise(3)
    nan[20_000] = np.nan
    write(tmp_path / "nan.wav", nan, subtype="FLOAT")
    content = write(tmp_path / "huge.wav", noise(2), subtype="PCM_16").read_bytes()
    (tmp_path / "huge.wav").write_bytes(content[:4] + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:])
    content = write(tmp_path / "cut.flac", noise(5)).read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    write(tmp_path / "short.wav", noise(0.01))
    write(tmp_path / "six.wav", noise(2, 48_000, 6), 48_000)
    (tmp_path / "folder").mkdir()
    after = write(tmp_path / "after.wav", noise(3))
    given = [tmp_path / n for n in ("zero.wav", "text.wav", "nan.wav", "none.wav", "cut.flac", "folder")]
    fine = [tmp_path / n for n in ("huge.wav", "short.wav", "six.wav")]
    done = sew_here("transcribe", good, *given, *fine, after, "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    for path in given:
        assert f"{path}: " in done.stderr
        assert not (tmp_path / "out" / f"{path.stem}.txt").exists()
    assert "6 inputs have no transcript" in done.stderr
    made = {path.name: path.read_text().split() for path in (tmp_path / "out").glob("*.txt")}
    assert set(made) == {"good.txt", "huge.txt", "short.txt", "six.txt", "after.txt"}
    assert made["short.txt"] == []
    assert min(len(made[name]) for name in ("good.txt", "huge.txt", "six.txt", "after.txt")) > 0
    assert not list((tmp_path / "out").glob(".tmp-*"))


@pytest.mark.parametrize("name", ["zero.wav", "absent.wav"])
def test_nothing_at_all_to_do_is_exit_3(tmp_path: Path, model: Path, sew_here: Sew, name: str) -> None:
    (tmp_path / "zero.wav").touch()
    done = sew_here("transcribe", tmp_path / name, "--model", model)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count(name) == 1  # told once


def test_formats_folders_and_patterns(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    write(tmp_path / "in" / "a.wav", noise(4))
    write(tmp_path / "in" / "deep" / "a.flac", noise(4, seed=2))
    write(tmp_path / "in" / "deep" / ".hidden.wav", noise(1))
    write(tmp_path / "in" / "b.wav", noise(4, seed=3))
    write(tmp_path / "in" / "b.ogg", noise(4, seed=3))
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    write(tmp_path / "c" / "x1.wav", noise(2))
    out = tmp_path / "out"
    forms = "text,jsonl,srt,vtt,ctm,textgrid"
    done = sew_here(
        "transcribe", tmp_path / "in", tmp_path / "c" / "*.wav", "--model", model, "--out", out, "-f", forms
    )
    assert done.returncode == 0, done.stderr
    assert "5 recordings" in done.stderr and "real-time factor" in done.stderr
    places = ["a", "deep/a", "b.wav", "b.ogg", "x1"]
    endings = [".txt", ".jsonl", ".srt", ".vtt", ".ctm", ".TextGrid"]
    made = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file() and ".transcribed" not in p.parts}
    assert made == {place + ending for place in places for ending in endings}
    rows = [json.loads(line) for line in (out / "a.jsonl").read_text().splitlines()]
    text = (out / "a.txt").read_text().split()
    assert len(text) > 3
    assert " ".join(row["text"] for row in rows).split() == text
    assert [w["word"] for row in rows for w in row["words"]] == text
    assert [line.split()[4] for line in (out / "a.ctm").read_text().splitlines()] == text
    times = [t for row in rows for w in row["words"] for t in (w["start"], w["end"])]
    assert times == sorted(times) and times[-1] <= 4.0


def test_stdout_holds_results_alone(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    one, two = write(tmp_path / "a.wav", noise(3)), write(tmp_path / "b.wav", noise(3, seed=2))
    alone = [sew_here("transcribe", path, "--model", model).stdout for path in (one, two)]
    both = sew_here("transcribe", one, two, "--model", model).stdout.splitlines()
    expected = [f"{p}: {line}" for p, text in zip((one, two), alone, strict=True) for line in text.splitlines()]
    assert both == expected and len(both) >= 2
    for refused in (("-f", "text,srt"), ("-f", "srt"), ("-f", "json"), ("-f", ","), ("--out", one), ("",)):
        done = sew_here("transcribe", one, two, "--model", model, *refused)
        assert (done.returncode, done.stdout) == (2, "")
        assert "hint" in done.stderr
        assert refused[-1] != "json" or "did you mean 'jsonl'?" in done.stderr


def test_recordings_of_one_name_are_told_apart(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    same = [write(tmp_path / folder / "x.wav", noise(3)) for folder in "ab"]
    other = write(tmp_path / "a" / "y.wav", noise(3))
    done = sew_here("transcribe", *same, other, "--model", model, "-f", "ctm")
    names = list(dict.fromkeys(line.split()[0] for line in done.stdout.splitlines()))
    assert names == [str(path).lstrip("/") for path in same] + ["y"]


def test_options_without_effect_are_told(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    command = ("transcribe", write(tmp_path / "a.wav", noise(1)), "--model", model)
    plain = sew_here(*command)
    assert "no effect" not in plain.stderr
    done = sew_here(*command, "--lm", "none", "--rate", "8000", "--weights", "2,-1", "--lexicon", "none.txt")
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    for name in ("--rate", "--weights", "--lexicon"):
        assert f"{name} has no effect" in done.stderr


@pytest.mark.fault("report-45")
def test_channels_by_themselves_are_what_they_are_alone(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    left, right = noise(30, seed=4), noise(30, seed=5)
    both = write(tmp_path / "call.wav", np.concatenate([left, right], axis=1))
    alone = [write(tmp_path / f"{i}.wav", wave) for i, wave in enumerate((left, right), start=1)]
    out = tmp_path / "out"
    assert sew_here("transcribe", both, "--channels", "split", "--model", model, "--out", out).returncode == 0
    assert sew_here("transcribe", *alone, "--model", model, "--out", out).returncode == 0
    for number in (1, 2):
        text = (out / f"call.{number}.txt").read_text()
        assert text == (out / f"{number}.txt").read_text()
        assert len(text.split()) > 10
    ctm = sew_here("transcribe", both, "--channels", "split", "--model", model, "-f", "ctm").stdout.splitlines()
    assert {line.split()[1] for line in ctm} == {"1", "2"}


def test_what_is_done_is_passed_over_and_nothing_of_others_is_overwritten(
    tmp_path: Path, model: Path, sew_here: Sew
) -> None:
    path, out = write(tmp_path / "a.wav", noise(2)), tmp_path / "out"
    command = ("transcribe", path, "--model", model, "--out", out)
    assert "1 recording," in sew_here(*command).stderr
    first = (out / "a.txt").stat().st_mtime_ns
    assert "1 were done before" in sew_here(*command).stderr
    assert (out / "a.txt").stat().st_mtime_ns == first
    assert "1 recording," in sew_here(*command, "-f", "text,srt").stderr  # another format
    assert "1 were done before" in sew_here(*command, "-f", "srt").stderr
    assert "1 recording," in sew_here(*command, "--force").stderr
    write(path, noise(3, seed=7))
    assert "1 recording," in sew_here(*command).stderr  # another recording under that name
    (out / "a.txt").unlink()
    assert "1 recording," in sew_here(*command).stderr
    other = write(tmp_path / "elsewhere" / "a.wav", noise(2))
    clash = sew_here("transcribe", other, "--model", model, "--out", out)
    assert clash.returncode == 3 and "overwrite" in clash.stderr
    (tmp_path / "a.txt").write_text("typed by hand")
    beside = sew_here("transcribe", path, "--model", model, "--out", tmp_path)
    assert beside.returncode == 3 and (tmp_path / "a.txt").read_text() == "typed by hand"
    assert sew_here("transcribe", path, "--model", model, "--out", tmp_path, "--force").returncode == 0
    assert (tmp_path / "a.txt").read_text() == (out / "a.txt").read_text()


def test_a_kill_leaves_no_half_file_and_the_next_run_cleans_up(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    short, long = write(tmp_path / "a.wav", noise(2)), write(tmp_path / "b.wav", np.tile(noise(30), (60, 1)))
    out = tmp_path / "out"
    command = ["transcribe", str(short), str(long), "--model", str(model), "--out", str(out)]
    process = subprocess.Popen([SEW, *command], env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 200
        while not any(p.stat().st_size for p in out.glob(".tmp-*-b.txt")) and time.monotonic() < until:
            time.sleep(0.05)  # its first lines are written
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / "a.txt").exists() and not (out / "b.txt").exists()
    assert list(out.glob(".tmp-*-b.txt"))
    write(long, noise(4))
    done = sew_here(*command)
    assert done.returncode == 0
    assert "1 recording (1 were done before)" in done.stderr
    assert (out / "b.txt").exists() and not list(out.glob(".tmp-*"))


def test_a_full_disk_is_told(tmp_path: Path, model: Path) -> None:
    """A limit on the size of files stands for the disk; the write of a full device for stdout."""
    path = write(tmp_path / "a.wav", noise(60))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [SEW, "transcribe", path, "--model", model],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "no disk space left" in done.stderr and "Traceback" not in done.stderr

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    out = tmp_path / "out"
    command = [SEW, "transcribe", path, "--model", model, "--out", out, "-f", "jsonl"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (out / "a.jsonl").exists()


class Microphone(io.BufferedIOBase):
    """Endless sound; after `until` seconds the user presses Ctrl-C, once."""

    def __init__(self, until: float) -> None:
        self._samples = (noise(1)[:, 0] * 32768).astype("<i2").tobytes()
        self._until, self.seconds = until, 0.0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.seconds += size / 2 / RATE
        if self.seconds >= self._until:
            self._until = float("inf")
            os.kill(os.getpid(), signal.SIGINT)
        return (self._samples * (size // len(self._samples) + 2))[:size]

    def readinto1(self, buffer: memoryview) -> int:
        buffer[:] = self.read(len(buffer))
        return len(buffer)


def test_a_pipe_is_a_recording_and_ctrl_c_its_end(
    tmp_path: Path, model: Path, sew_here: Sew, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.wav", noise(9), subtype="PCM_16")
    expected = sew_here("transcribe", path, "--model", model).stdout
    assert expected.split()
    raw = soundfile.read(path, dtype="int16")[0].tobytes()

    def heard(pipe: io.BufferedIOBase) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=pipe))
        return sew_here("transcribe", "-", "--model", model)

    for content in (path.read_bytes(), raw):
        done = heard(io.BytesIO(content))
        assert (done.returncode, done.stdout) == (0, expected)
    microphone = Microphone(until=21)
    done = heard(microphone)
    assert done.returncode == 0
    assert ("1 recording" in done.stderr and "0.3 min" in done.stderr) or "0.4 min" in done.stderr
    assert microphone.seconds < 23
    assert len(done.stdout.splitlines()) >= 2  # lines of talk without a pause are final after 10 s


def test_a_language_model_and_its_lexicon(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    from sewcli.lm.build import build_ngram

    golden = Path(__file__).parents[1] / "lm" / "golden" / "text.txt"
    build_ngram([golden], 2, tmp_path, None)
    arpa = next((tmp_path / "lm").glob("2gram.arpa*"))
    lexicon = next((tmp_path / "lm").glob("*lexicon.txt"))
    path = write(tmp_path / "a.wav", noise(6))
    known = {line.split("\t")[0].split()[0] for line in lexicon.read_text().splitlines()}
    beside = sew_here("transcribe", path, "--model", model, "--lm", arpa)
    assert beside.returncode == 0, beside.stderr
    assert set(beside.stdout.split()) <= known and beside.stdout.split()
    alone = shutil.copy(arpa, tmp_path)
    assert sew_here("transcribe", path, "--model", model, "--lm", alone).returncode == 2
    given = sew_here("transcribe", path, "--model", model, "--lm", alone, "--lexicon", lexicon)
    assert given.stdout == beside.stdout
    absent = sew_here("transcribe", path, "--model", model, "--lm", alone, "--lexicon", tmp_path / "none.txt")
    assert absent.returncode == 2 and "no such lexicon" in absent.stderr
