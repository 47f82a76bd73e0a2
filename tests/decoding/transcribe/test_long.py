"""Half an hour of real speech, in windows and utterance by utterance; and memory, which does not grow.

Needs two folders, which the project does not hold: SEW_REAL with LibriSpeech below it, and SEW_BY_HEART, a model that
`python benchmarks/by_heart.py $SEW_REAL/LibriSpeech --out $SEW_BY_HEART` has made.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "transcribe.py"
REAL, MODEL = (Path(os.environ.get(name, "/nowhere")) for name in ("SEW_REAL", "SEW_BY_HEART"))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    not (REAL / "LibriSpeech").is_dir() or not (MODEL / "learned.txt").is_file(),
    reason="SEW_REAL and SEW_BY_HEART name no real speech and no model that knows it",
)
def test_half_an_hour_is_what_its_utterances_are(tmp_path: Path) -> None:
    command = [sys.executable, BENCHMARK, REAL / "LibriSpeech", "--model", MODEL, "--out", tmp_path / "made.json"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    rows = json.loads((tmp_path / "made.json").read_text())["results"]
    short, long = rows
    assert long["minutes"] >= 30
    assert long["words"] > 2000
    assert long["differ_percent"] <= 0.5
    assert long["starts_within_100_ms_percent"] >= 99
    assert long["memory_mb"] <= 1.03 * short["memory_mb"]
