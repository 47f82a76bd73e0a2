"""A quiet recording is named where the model hears the level, and only there."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import soundfile
from wild_folders import KINDS, RATE, audio, build

from sewcli.audio.level import Loudest, is_quiet, level_of

Sew = Callable[..., CompletedProcess[str]]


@pytest.mark.fault("report-22", "report-46")
@pytest.mark.parametrize(("kind", "hears"), [("blank last", True), ("do_normalize, group norm", False)])
def test_transcribe_says_that_the_level_is_low(kind: str, hears: bool, tmp_path: Path, sew_here: Sew) -> None:
    folder = build(KINDS[kind], tmp_path / "model")
    for gain, quiet in ((1.0, False), (0.05, True), (0.01, True), (0.0, False)):
        file = tmp_path / f"{gain}.wav"
        soundfile.write(file, audio() * np.float32(gain), RATE, subtype="FLOAT")
        done = sew_here("transcribe", file, "--model", folder, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        assert ("a quiet recording (-" in done.stderr) == (hears and quiet), (gain, done.stderr)


@pytest.mark.fault("report-22", "report-46")
def test_decode_counts_the_quiet_recordings(prepared: Path, tmp_path: Path, sew_here: Sew) -> None:
    """Of a model that takes waves of all levels for loud ones, made so by a copy of the corpus at a hundredth."""
    import gzip
    import json

    folder, data = build(KINDS["blank last, called <pad>"], tmp_path / "model"), tmp_path / "data"
    data.mkdir()
    with gzip.open(prepared / "cuts_dev-clean.jsonl.gz", "rt") as lines:
        cuts = [json.loads(line) for line in lines]
    for number, cut in enumerate(cuts):
        source = cut["recording"]["sources"][0]
        wave, rate = soundfile.read(source["source"], dtype="float32")
        source["source"] = str(tmp_path / f"{number}.wav")
        soundfile.write(source["source"], wave / (100 if number else 1), rate, subtype="FLOAT")
    with gzip.open(data / "cuts_dev-clean.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(cut) + "\n" for cut in cuts)
    done = sew_here(
        "decode", "--model", folder, "--data", data, "--split", "dev-clean", "--device", "cpu", "--out", tmp_path / "o"
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(cuts) - 1} of {len(cuts)} recordings are quiet" in done.stderr


def test_the_level_is_that_of_the_loudest_half_second() -> None:
    rng = np.random.default_rng(0)
    wave = rng.normal(0, 0.001, 5 * RATE).astype(np.float32)
    wave[2 * RATE : 3 * RATE] *= 100
    assert abs(level_of(wave) + 20) < 0.5 and not is_quiet(level_of(wave))
    pieces = Loudest()
    for start in range(0, len(wave), 1_234):
        pieces.push(wave[start : start + 1_234])
    assert pieces.decibels() == level_of(wave)
    assert level_of(wave[:100]) < -50 and level_of(wave[:0]) == -np.inf
