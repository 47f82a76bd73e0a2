"""`sew transcribe --out`: a kill anywhere, two at once, names of any kind, and what may not be read."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.sew_command import SEW

from sewcli.alignment.writers import Span
from sewcli.audio.streams import PIPE
from sewcli.base.errors import DataError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.inputs import Recording, expand
from sewcli.transcription.output import MARKS, Folder
from sewcli.transcription.words import Line

Sew = Callable[..., subprocess.CompletedProcess[str]]
FORMS = ("text", "srt", "jsonl")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, vocabulary = tmp_path_factory.mktemp("writer") / "model", Vocabulary.letters()
    torch.manual_seed(2)
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    with torch.no_grad():
        network.head.weight *= 4
        network.head.bias[vocabulary.boundary] += 3
    save_ctc(network, vocabulary, folder)
    return folder


def write(path: str | Path, seconds: float = 0.5, seed: int = 1) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng(seed).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
    with open(path, "wb") as file:
        soundfile.write(file, wave, 16_000, format="WAV")
    return Path(path)


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and MARKS not in p.parts}


KILL = """
import os, signal, sys
from pathlib import Path
from sewcli.transcription.inputs import Recording
from sewcli.transcription.output import Folder
from sewcli.transcription.words import Line
source, out, at = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
count = 0
def hook(event, arguments):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and str(arguments[0]).startswith(str(out)):
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
target = Folder(out, ("text", "srt", "jsonl"), sys.argv[4], False)
recording = Recording(source, Path("deep/a"), "a")
sys.addaudithook(hook)
with target.alone(recording):
    if not target.is_done(recording):
        with target.writer(recording, None) as writer:
            writer.close(1.0)
"""


@pytest.mark.fault("input-7")
def test_a_kill_before_any_file_operation_is_made_good_by_the_same_command(tmp_path: Path) -> None:
    """New files, and old ones of other settings: 2 times some 30 kills."""
    source = write(tmp_path / "a.wav")

    def run(out: Path, at: int = 0, settings: str = "x") -> int:
        """In a fork, whose exit code is negative when it was killed."""
        child = os.fork()
        if child == 0:
            try:
                sys.argv = ["-", str(source), str(out), str(at), settings]
                exec(KILL, {"__name__": "kill"})
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert run(tmp_path / "whole") == 0
    expected = files(tmp_path / "whole")
    assert set(expected) == {"deep/a.txt", "deep/a.srt", "deep/a.jsonl"}
    for older in (False, True):
        for at in range(1, 200):
            out = tmp_path / f"out{older}{at}"
            if older:
                assert run(out, settings="older") == 0
            killed = run(out, at)
            if killed == 0:
                break
            assert killed == -9 and run(out) == 0, (older, at)
            assert files(out) == expected, (older, at)
            assert not list(out.rglob(".tmp-*")), (older, at)
            (mark,) = (out / MARKS).rglob("*.json")
            assert len(json.loads(mark.read_text())["files"]) == 3
        assert 15 < at < 199


@pytest.mark.fault("input-7")
def test_what_a_kill_between_name_and_mark_left_before_there_was_an_intent(
    tmp_path: Path, model: Path, sew_here: Sew
) -> None:
    """Settings change, and come back: what is of a recording stays its own."""
    path, out = write(tmp_path / "a.wav"), tmp_path / "o"
    command = ("transcribe", path, "--model", model, "--out", out)
    assert sew_here(*command, "-f", "text,srt").returncode == 0
    assert sew_here(*command, "-f", "text", "--channels", "split").returncode == 0
    done = sew_here(*command, "-f", "srt,text")
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("input-7")
def test_two_identical_commands_at_once(tmp_path: Path, model: Path) -> None:
    for number in range(4):
        write(tmp_path / "d" / f"{number}.wav", 3, seed=number)
    for clips in (["d"], ["d"]), (["d/0.wav", "d/1.wav"], ["d/2.wav", "d/3.wav", "d/0.wav"]):
        out = tmp_path / f"o{len(clips[1])}"
        common = ["--model", str(model), "--out", str(out), "-f", "text,srt,jsonl"]
        running = [
            subprocess.Popen([SEW, "transcribe", *c, *common], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
            for c in clips
        ]
        for process in running:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
        assert set(files(out)) == {f"{n}.{e}" for n in range(4) for e in ("txt", "srt", "jsonl")}
        assert not list(out.rglob(".tmp-*"))


@pytest.mark.fault("input-8", "input-9", "report-48")
def test_names_of_any_kind_stay_inside_out_and_stop_nobody(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    names = [
        "..wav", ".wav", "...wav", "-x.wav", "a" * 240 + ".wav", "a" * 241 + "b.wav", "é" * 100 + ".wav", "é" * 125 + ".wav",
        "語" * 83 + ".wav", "new\nline.wav", "tab\t.wav", "a.wav", "a.wav.wav", " .wav", "[x].wav", "%.wav",
        ".tmp-1-a.wav",
    ]  # fmt: skip
    given = [write(tmp_path / "d" / name) for name in names]
    out = tmp_path / "o"
    before = sorted(tmp_path.iterdir())
    done = sew_here("transcribe", *given, "--model", model, "--out", out)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert sorted(tmp_path.iterdir()) == sorted([*before, out])
    made = files(out)
    assert len(made) == len(names)
    for name in ("-x.txt", "..wav.txt", ".wav.txt", "...wav.txt", "new\nline.txt"):
        assert name in made
    for number in (4, 5, 6, 7, 8):  # told by both names
        if len(os.fsencode(names[number])) > 204:
            assert names[number] in done.stderr
    again = sew_here("transcribe", *given, "--model", model, "--out", out)
    assert f"{len(names)} were done before" in again.stderr


@pytest.mark.fault("input-9")
def test_a_name_that_the_folder_cannot_hold_stops_no_other(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    """A file where a folder of transcripts would go stands for every such refusal of a file system."""
    write(tmp_path / "d" / "a" / "x.wav")
    write(tmp_path / "d" / "z.wav")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "a").write_text("a file")
    done = sew_here("transcribe", tmp_path / "d", "--model", model, "--out", tmp_path / "o")
    assert done.returncode == 4 and "under its name" in done.stderr
    assert set(files(tmp_path / "o")) == {"a", "z.txt"}


@pytest.mark.fault("input-10", "input-30")
@pytest.mark.skipif(os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may read everything")
def test_what_may_not_be_read_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "p" / "ok.wav")
    write(tmp_path / "p" / "secret" / "b.wav")
    (tmp_path / "p" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "p" / "loop").symlink_to(tmp_path / "p")
    (tmp_path / "p" / "self").symlink_to("self")
    write(tmp_path / "elsewhere" / "linked.wav")
    (tmp_path / "p" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "p" / "secret").chmod(0)
    for place in (tmp_path, *tmp_path.parents):
        if place == Path(tempfile.gettempdir()):
            break
        place.chmod(0o755)
    code = (
        "import sys; from sewcli.transcription.inputs import expand; from sewcli.audio.streams import is_pipe\n"
        "found, vain = expand(sys.argv[1:])\n"
        "print([r.source.rpartition('/p/')[2] for r in found], [str(e.where).rpartition('/')[2] for e in vain], "
        "any(is_pipe(r.source) for r in found))"
    )
    command = [sys.executable, "-c", code, tmp_path / "p", tmp_path / "p" / "secret" / "b.wav"]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "65534", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / "p" / "secret").chmod(0o755)
    if "Permission denied" in done.stderr and "sewcli" not in done.stderr:
        pytest.skip(f"nobody may not read the sources: {done.stderr.splitlines()[-1]}")
    expected = ["gone.wav", "link/linked.wav", "ok.wav", "secret/b.wav"]
    assert done.stdout.split("\n")[0] == f"{expected} ['secret'] False", done.stderr


@pytest.mark.fault("input-10")
def test_a_dangling_link_is_listed_with_exit_4(tmp_path: Path, model: Path, sew_here: Sew) -> None:
    write(tmp_path / "p" / "ok.wav")
    (tmp_path / "p" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    done = sew_here("transcribe", tmp_path / "p", "--model", model, "--out", tmp_path / "o")
    assert done.returncode == 4 and "gone.wav" in done.stderr and set(files(tmp_path / "o")) == {"ok.txt"}


@pytest.mark.fault("input-30")
def test_a_tree_deeper_than_a_path_may_be_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.wav")
    here = os.open(tmp_path / "d", os.O_RDONLY)
    name, depth = "n" * 200, 0
    try:
        for _ in range(25):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here, depth = below, depth + 1
        found, vain = expand([str(tmp_path / "d")])
        assert [Path(r.source).name for r in found] == ["a.wav"] and len(vain) == 1 and "too long" in vain[0].what
    finally:
        os.close(here)
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_second_recording_of_a_pipe_does_not_replace_the_first(tmp_path: Path) -> None:
    target, recording = Folder(tmp_path / "o", ("text",), "x", False), Recording(PIPE, Path("stdin"), "stdin")
    with target.writer(recording, None) as writer:
        writer.line(0, Line([Span("ONE", 0.0, 1.0, 1.0)]))
        writer.close(1.0)
    with pytest.raises(DataError, match="overwrite"), target.writer(recording, None):
        raise AssertionError
    assert (tmp_path / "o" / "stdin.txt").read_text() == "ONE\n"
