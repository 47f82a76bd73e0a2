"""Recognition by OpenVINO never imports PyTorch: that takes longer than most recordings."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.model_cases import shaken, small

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.text.tokens import Vocabulary

PROGRAM = """
import json, sys
sys.argv[0] = "sew"
from sewcli.__main__ import main
try:
    main()
except SystemExit as end:
    print(json.dumps({"code": end.code, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}), file=sys.stderr)
"""
HEAVY = {"torch", "torchaudio", "lhotse", "transformers"}


def loaded_by(*arguments: str | Path) -> tuple[str, set[str]]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments), "--runtime", "openvino"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    facts = json.loads(done.stderr.splitlines()[-1])
    assert facts["code"] in (0, None), done.stderr
    return done.stdout, set(facts["loaded"])


@pytest.fixture(scope="module", params=["sew", "sew-d"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / request.param
    save_ctc(shaken(CTCModel(small(request.param), 32)).eval(), Vocabulary.letters(), folder)
    return folder


def test_transcribe(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 48_000), 16_000)
    text, loaded = loaded_by("transcribe", tmp_path / "a.flac", "--model", model)
    assert loaded & {"openvino", *HEAVY} == {"openvino"}
    assert text.strip()


def test_decode(model: Path, prepared: Path, tmp_path: Path) -> None:
    for search in ("none", "viterbi"):
        common = ("--data", prepared, "--split", "test-clean", "--lm", search, "--jobs", "0")
        _, loaded = loaded_by("decode", "--model", model, *common, "--out", tmp_path / search)
        assert loaded & {"openvino", *HEAVY} == {"openvino"}, search
