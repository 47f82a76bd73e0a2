"""docs/tutorial.md: every command in it is run as it stands, in order, on a small miniature and with two updates."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.model_cases import shaken, small
from support.shell_blocks import BLOCK, commands

from sewcli.corpora.miniatures.languages import Plan, write_recordings
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.published import LIBRISPEECH, figures, pair
from sewcli.text.tokens import Vocabulary

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
LABELS = {"10 minutes": "10m", "1 hour": "1h", "10 hours": "10h", "100 hours": "100h"}
QUICK = {"finetune": ("--updates", "2"), "tune": ("--trials", "3")}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page supposes: recordings, texts, noises, and tiny models in place of the published ones."""
    write_recordings(tmp_path / "mini", Plan("fr", train=4, dev=1, test=1, sentences=6), jobs=1)
    shutil.move(tmp_path / "mini" / "recordings.tsv", tmp_path)
    shutil.move(tmp_path / "mini" / "clips", tmp_path)
    shutil.copy(min((tmp_path / "clips").iterdir()), tmp_path / "new.mp3")
    (tmp_path / "books.txt").write_text("Le chat dort dans la cuisine !\nIl n'a pas 3 lits.\n", encoding="utf-8")
    (tmp_path / "names.txt").write_text("grenier\n", encoding="utf-8")
    (tmp_path / "phrases.txt").write_text("dans le grenier\n", encoding="utf-8")
    (tmp_path / "noises").mkdir()
    soundfile.write(tmp_path / "noises" / "fan.wav", np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
    published, config = tmp_path / "facebook", small("wav2vec2", layers=1)
    save_pretraining(shaken(PretrainingModel(config)), published / "wav2vec2-xls-r-300m")
    save_ctc(shaken(CTCModel(config, 32)), Vocabulary.letters(), published / "wav2vec2-base-960h")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_tutorial_runs(desk: Path, sew_here) -> None:
    lines = [words for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")) for words in commands(block)]
    assert len(lines) > 15 and {words[0] for words in lines} == {"sew"}
    printed = {}
    for words in lines:
        done = sew_here(*words[1:], *QUICK.get(words[1], ()))
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
        printed[shlex.join(words)] = done.stdout + done.stderr
    for name in ("exp/mine", "exp/from-english", "data/mine"):
        assert set("éê'") < set(Vocabulary.read(desk / name / ("model" if "exp" in name else "")).symbols)
    assert load_ctc(desk / "exp" / "mine" / "model")[1] == load_ctc(desk / "exp" / "from-english" / "model")[1]
    assert "text rules of the data (letters fr words)" in next(v for k, v in printed.items() if "books.txt" in k)
    assert sorted(path.suffix for path in (desk / "transcripts").glob("new.*")) == [".jsonl", ".srt", ".txt"]
    searches = {folder.name for folder in (desk / "exp" / "mine" / "decode").iterdir()}
    assert any("words" in name and "boost" in name for name in searches) and "mine-test-greedy" in searches


def test_the_figures_of_the_page_are_those_of_the_papers() -> None:
    """Each of test-clean / test-other, without a language model and with the 4-gram."""
    rows = re.findall(r"^\| (10 minutes|1 hour|10 hours|100 hours) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 4
    for labels, cells in rows:
        expected = []
        for model, updates in (("w2v2-base", 400_000), ("w2v2-large", 250_000), ("sew-d-mid", 100_000)):
            found = figures(quantity="wer", corpus=LIBRISPEECH, model=model, updates=updates, labels=LABELS[labels])
            expected += [pair(found, ("test-clean", "test-other"), lm) for lm in ("none", "4-gram")]
        assert cells.split(" | ") == expected, labels
