"""A folder whose blank is the last output, in eight bits: its symbols stay, and nearly all of its text."""

from pathlib import Path

import pytest
import soundfile
from wild_folders import KINDS, RATE, audio, build

from sewcli.base.files import write_jsonl
from sewcli.scoring.wer import character_errors
from sewcli.text.tokens import Vocabulary


def row(sound: Path) -> dict:
    """A cut of a whole file."""
    length = soundfile.info(sound).frames
    extent = {"start": 0.0, "duration": length / RATE, "channel": 0}
    source = {"type": "file", "channels": [0], "source": str(sound)}
    held = {"sources": [source], "sampling_rate": RATE, "num_samples": length, "duration": length / RATE}
    name = {"id": sound.stem}
    spoken = {**name, **extent, "recording_id": sound.stem, "text": "a"}
    return {**name, **extent, "type": "MonoCut", "supervisions": [spoken], "recording": {**name, **held}}


@pytest.mark.fault("report-1", "report-65")
def test_symbols_and_text_in_eight_bits(tmp_path: Path, sew_here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = build(KINDS["blank last"], tmp_path / "model")
    sounds = [tmp_path / f"{number}.wav" for number in range(4)]
    for number, sound in enumerate(sounds):
        soundfile.write(sound, audio(seed=number), RATE, subtype="FLOAT")
    write_jsonl(tmp_path / "data/cuts_train.jsonl.gz", map(row, sounds))
    done = sew_here("quantize", model, tmp_path / "int8", "--data", tmp_path / "data", "--clips", "2")
    assert done.returncode == 0, done.stderr
    done = sew_here("export", model, tmp_path / "fp32", "--format", "openvino")
    assert done.returncode == 0, done.stderr
    texts = []
    for folder in (tmp_path / "fp32", tmp_path / "int8"):
        assert Vocabulary.load(folder) == Vocabulary.load(model)
        done = sew_here("transcribe", *sounds, "--model", folder, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        texts.append([line.partition(": ")[2] for line in done.stdout.splitlines()])
    errors = character_errors(*texts)
    assert sum(c.words for c in errors) > 200
    assert sum(c.errors for c in errors) < 0.2 * sum(c.words for c in errors), texts
