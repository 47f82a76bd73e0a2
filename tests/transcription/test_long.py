"""Half an hour of real speech, in windows and utterance by utterance; and memory, which does not grow.

SEW_REAL names a folder, which the project does not hold, with LibriSpeech below it. SEW_BY_HEART may name a model that
`python benchmarks/by_heart.py $SEW_REAL/LibriSpeech --out $SEW_BY_HEART` has made; without it, the test makes one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPEECH = Path(os.environ.get("SEW_REAL", "/nowhere")) / "LibriSpeech"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A model that knows some of the speech by heart."""
    if made := os.environ.get("SEW_BY_HEART"):
        return Path(made)
    command = [sys.executable, BENCHMARKS / "by_heart.py", SPEECH, "--out", tmp_path / "model"]
    subprocess.run(command, check=True, env=ENVIRONMENT)
    return tmp_path / "model"


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not SPEECH.is_dir(), reason="SEW_REAL names no folder with LibriSpeech in it")
def test_half_an_hour_is_what_its_utterances_are(known: Path, tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARKS / "transcribe.py", SPEECH, "--model", known, "--out", tmp_path / "made.json"]
    subprocess.run(command, check=True, env=ENVIRONMENT)
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["learned"]["words"] > 300
    assert made["learned"]["words_wrong_alone"] <= 0.005 * made["learned"]["words"]
    short, long = made["results"]
    assert short["minutes"] < 6
    assert long["minutes"] >= 30
    assert long["words"] > 2000
    assert long["differ_percent"] <= 0.5
    assert long["starts_within_100_ms_percent"] >= 99
    assert long["memory_mb"] <= 1.03 * short["memory_mb"]
