"""Recordings as people have them, through the commands: cut off, in containers, in pipes, under odd names; models of NaN."""

import contextlib
import io
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from support.refusals import refused
from support.sew_command import SEW

from sewcli.audio import media
from sewcli.audio.io import open_channels, probe, read_wave, verify
from sewcli.audio.packed import Packed
from sewcli.audio.streams import PIPE, open_stream
from sewcli.base import pipes
from sewcli.base.errors import DataError
from sewcli.data.shar import scan
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., subprocess.CompletedProcess[str]]
RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, vocabulary = tmp_path_factory.mktemp("wild") / "model", Vocabulary.letters()
    torch.manual_seed(2)
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    with torch.no_grad():
        network.head.weight *= 4
        network.head.bias[vocabulary.boundary] += 3
    save_ctc(network, vocabulary, folder)
    return folder


def noise(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def m4a(seconds: float = 1.0) -> bytes:
    held = io.BytesIO()
    with av.open(held, "w", format="ipod") as container:
        track = container.add_stream("aac", rate=RATE, layout="mono")
        wave = noise(seconds)
        for at in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return held.getvalue()


@pytest.mark.fault("input-5")
def test_transcribe_lists_what_is_cut_off(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    forms = {"aiff": "PCM_16", "caf": "PCM_16", "au": "ULAW", "w64": "PCM_16", "rf64": "PCM_24", "wav": "IMA_ADPCM"}
    for ending, coding in forms.items():
        path = tmp_path / f"cut.{ending}"
        soundfile.write(path, noise(), RATE, subtype=coding)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 93 // 100])
    soundfile.write(tmp_path / "whole.wav", noise(), RATE)
    done = sew_here("transcribe", tmp_path, "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 4 and done.stderr.count(": truncated: ") == len(forms)
    assert [p.name for p in (tmp_path / "out").glob("*.txt")] == ["whole.txt"]


@pytest.fixture
def sew_of_stdin(sew_here: Sew, monkeypatch: pytest.MonkeyPatch) -> Sew:
    """`sew` with what comes through its pipe, then its arguments."""

    def run(content: bytes, *arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        return sew_here(*arguments)

    return run


@pytest.mark.fault("input-5")
def test_a_wav_that_ends_early_in_a_pipe(model: Path, tmp_path: Path, sew_of_stdin: Sew) -> None:
    soundfile.write(tmp_path / "a.wav", noise(), RATE)
    for size, code in ((9000, 3), (32_044, 0)):
        done = sew_of_stdin((tmp_path / "a.wav").read_bytes()[:size], "transcribe", "-", "--model", model)
        assert done.returncode == code, done.stderr
        assert ("stdin: truncated: 4478 of 16000 samples came through the pipe" in done.stderr) == bool(code)


@pytest.mark.fault("report-47")
def test_a_folder_with_a_container_beside_a_wav(
    tmp_path: Path, model: Path, sew_here: Sew, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    soundfile.write(folder / "b.wav", noise(), RATE)
    (folder / "a.M4A").write_bytes(m4a())
    out = tmp_path / "out"
    done = sew_here("transcribe", folder, "--model", model, "--out", out)
    assert done.returncode == 0 and "2 recordings" in done.stderr, done.stderr
    assert (out / "a.txt").read_text().split()

    def missing(kind: str, name: str) -> None:
        raise DataError("package-missing", f"{kind}, which needs PyAV", where=name)

    monkeypatch.setattr(media, "require", missing)
    monkeypatch.setattr("sewcli.audio.opening.require", missing)
    done = sew_here("transcribe", folder, "--model", model, "--out", tmp_path / "without")
    assert done.returncode == 4 and "a.M4A" in done.stderr and "an MP4 file" in done.stderr
    assert sew_here("transcribe", folder / "a.M4A", "--model", model).returncode == 3


@pytest.mark.fault("input-6")
def test_programs_and_archives_in_a_pipe(model: Path, sew_of_stdin: Sew) -> None:
    for head, name in ((b"\x7fELF\2\1\1", "a program"), (b"PK\x03\x04", "a ZIP archive")):
        done = sew_of_stdin(head + np.random.default_rng(0).bytes(300_000), "transcribe", "-", "--model", model)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"stdin: {name}, not sound" in done.stderr
    done = sew_of_stdin(m4a(), "transcribe", "-", "--model", model)
    assert done.returncode == 0 and done.stdout.split()


@pytest.mark.fault("input-4")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_of_nan_is_refused_by_name(tmp_path: Path, model: Path, sew_here: Sew, value: float) -> None:
    bad, sound = tmp_path / "bad", tmp_path / "a.wav"
    bad.mkdir()
    for file in model.iterdir():
        (bad / file.name).write_bytes(file.read_bytes())
    weights = load_file(model / "model.safetensors")
    weights["lm_head.weight"][3, 4] = value
    save_file(weights, bad / "model.safetensors", {"format": "pt"})
    soundfile.write(sound, noise(), RATE)
    for runtime in ("openvino", "torch"):
        done = sew_here("transcribe", sound, "--model", bad, "--out", tmp_path / "out", "--runtime", runtime)
        assert done.returncode == 3 and "NaN" in done.stderr, done.stderr
        assert not list(tmp_path.glob("out/*.txt"))
    for verb in (
        ("import",),
        ("export", "--format", "hf"),
        ("export", "--format", "openvino"),
        ("prune", "--drop-layers", "1"),
    ):
        done = sew_here(verb[0], bad, tmp_path / "made", *verb[1:])
        assert done.returncode == 3 and "lm_head.weight holds weights that are NaN or infinite" in done.stderr, verb
        assert not (tmp_path / "made").exists()


@pytest.mark.fault("input-29")
def test_nothing_is_allocated_that_a_header_claims(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(2), RATE)
    content = bytearray(path.read_bytes())
    at = content.index(b"Xing") if b"Xing" in content else content.index(b"Info")
    content[at + 8 : at + 12] = b"\xff\xff\xff\xf0"  # frames: 2.5e12 samples
    path.write_bytes(content)
    assert probe(path).samples > 1e12
    with pytest.raises(DataError, match="truncated"):
        read_wave(path)


@pytest.mark.fault("input-29")
def test_a_packed_file_makes_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng, archive = np.random.default_rng(3), tmp_path / "a.tar"
    for form in ("WAV", "AIFF", "CAF", "FLAC", "OGG", "W64", "AU", "VOC", "MP3", "SVX"):
        held = io.BytesIO()
        soundfile.write(held, noise(0.2), RATE, format=form)
        for _ in range(20):
            content = bytearray(held.getvalue())
            for at in rng.integers(0, min(len(content), 200), 4):
                content[at] = rng.integers(256)
            archive.write_bytes(content)
            with contextlib.suppress(DataError):
                verify(Packed(archive, "a", 0, len(content)))
    said = capfd.readouterr().err
    assert "Traceback" not in said and "ignored" not in said


@pytest.mark.fault("input-23")
def test_a_name_that_is_not_utf8(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    held = io.BytesIO()
    soundfile.write(held, noise(), RATE, format="WAV")
    with open(name, "wb") as file:
        file.write(held.getvalue())
    path = Path(os.fsdecode(name))
    assert verify(path).samples == RATE
    with open_channels(path) as (info, _):
        assert info.rate == RATE
    done = sew_here("transcribe", path, "--model", model)
    assert done.returncode == 0 and done.stdout.split(), done.stderr
    with open(name, "r+b") as file:
        file.truncate(9000)
    done = sew_here("transcribe", path, "--model", model)
    assert done.returncode == 3 and "truncated" in done.stderr


@pytest.mark.fault("input-31")
def test_a_named_pipe_without_a_writer(
    tmp_path: Path, model: Path, sew_here: Sew, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "a.wav")
    monkeypatch.setattr(pipes, "WAIT", 0.6)
    monkeypatch.setattr(pipes, "QUIET", 0.2)
    for given in (tmp_path / "a.wav", tmp_path / "*.wav"):
        began = time.monotonic()
        done = sew_here("transcribe", given, "--model", model)
        assert done.returncode == 3 and time.monotonic() - began < 60
        assert "waiting up to" in done.stderr and "no program has written into" in done.stderr


@pytest.mark.fault("input-31")
def test_a_named_pipe_whose_writer_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "WAIT", 5.0)
    path, samples = tmp_path / "a", (noise() * 32768).astype("<i2")
    os.mkfifo(path)

    def write() -> None:
        time.sleep(0.5)
        with open(path, "wb", buffering=0) as file:
            time.sleep(0.5)  # it is there and has nothing to say yet
            for at in range(0, len(samples), 4000):
                file.write(samples[at : at + 4000].tobytes())
                time.sleep(0.1)

    writing = threading.Thread(target=write)
    writing.start()
    with open_stream(path) as stream:
        made = np.concatenate(list(stream.blocks))[:, 0]
    writing.join()
    np.testing.assert_array_equal(made * 32768, samples)


@pytest.mark.fault("input-31")
@pytest.mark.parametrize("written", [0, 32_000])
def test_ctrl_c_ends_the_waiting(tmp_path: Path, model: Path, written: int) -> None:
    """Without a sample it ends the command; with some it ends the recording, although the writer goes on."""
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    command = [SEW, "transcribe", path, "--model", model, "--out", tmp_path / "out"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if written:
            descriptor = os.open(path, os.O_WRONLY)
            os.write(descriptor, (noise() * 32768).astype("<i2").tobytes())
            time.sleep(2)
        else:
            assert process.stderr
            while b"waiting up to" not in process.stderr.readline():
                pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == (0 if written else 130), said
        assert (tmp_path / "out" / "a.txt").is_file() == bool(written)
        if written:
            os.close(descriptor)
    finally:
        process.kill()


@pytest.mark.fault("input-31")
def test_named_pipes_elsewhere_are_refused_by_name(tmp_path: Path, sew_here: Sew) -> None:
    os.mkfifo(tmp_path / "a.tar")
    os.mkfifo(tmp_path / "a.flac")
    packed = Packed(tmp_path / "a.tar", "x", 0, 9)
    for read in (lambda: scan(tmp_path / "a.tar"), packed.read_bytes, lambda: verify(tmp_path / "a.flac")):
        with refused(DataError, "not-a-regular-file"):
            read()
    folder = tmp_path / "L/train-clean-5/1/2"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "1-2.trans.txt")
    os.mkfifo(tmp_path / "model.pt")
    for arguments in (
        ("prep", "librispeech", tmp_path / "L", "--out", tmp_path / "o"),
        ("import", tmp_path / "model.pt", tmp_path / "m"),
    ):
        done = sew_here(*arguments)
        assert done.returncode == 3 and "a named pipe, not a regular file" in done.stderr, done.stderr


@pytest.mark.fault("input-28")
def test_a_wav_of_impossible_channels_in_a_pipe() -> None:
    held = io.BytesIO()
    soundfile.write(held, noise(), RATE, format="WAV")
    content = bytearray(held.getvalue())
    struct.pack_into("<H", content, 22, 65_535)
    with pytest.raises(DataError, match="a WAV of 65535 channels"), open_stream(PIPE, pipe=io.BytesIO(bytes(content))):
        pass


@pytest.mark.fault("report-49")
def test_nothing_to_hear(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    for name, wave in {
        "one": noise()[:1],
        "short": noise()[:160],
        "silence": np.zeros(RATE),
        "dc": np.full(RATE, 0.5),
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, RATE, subtype="FLOAT")
        assert sew_here("transcribe", tmp_path / f"{name}.wav", "--model", model).returncode == 0
    soundfile.write(tmp_path / "none.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    for name, what in (("none", "holds no samples"), ("nan", "NaN or infinite")):
        done = sew_here("transcribe", tmp_path / f"{name}.wav", "--model", model)
        assert done.returncode == 3 and what in done.stderr


@pytest.mark.parametrize("kind", ["opposite", "same", "unrelated", "one silent", "silence"])
def test_channels_that_cancel_each_other_out(kind: str, tmp_path: Path, model: Path, sew_here: Sew) -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(0, 0.1, (2, 16_000))
    waves = {
        "opposite": (one, -one),
        "same": (one, one),
        "unrelated": (one, other),
        "one silent": (one, 0 * one),
        "silence": (0 * one, 0 * one),
    }[kind]
    soundfile.write(tmp_path / "a.wav", np.stack(waves, axis=1), 16_000)
    done = sew_here("transcribe", tmp_path / "a.wav", "--model", model, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert ("cancel each other out" in done.stderr) == (kind == "opposite"), done.stderr
    split = sew_here("transcribe", tmp_path / "a.wav", "--model", model, "--device", "cpu", "--channels", "split")
    assert split.returncode == 0 and "cancel" not in split.stderr
