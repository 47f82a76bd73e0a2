"""`egs/librispeech/run.sh` from a corpus on disk to a table, with few updates; in the long tests again, when all is done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sewcli.base.config import read_yaml
from sewcli.lm.build import build_ngram
from sewcli.lm.files import resolve
from sewcli.text.tokens import Vocabulary

ROOT = Path(__file__).parents[2]
SMALL = "--set batch.seconds=8 --set batch.micro_seconds=8 --set data.min_seconds=0.5"


def run(work: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "egs/librispeech/run.sh"), *map(str, options)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    return subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=1400, env=environment, check=False)


def recipe(corpus: Path, work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(
        work,
        *("--corpus", corpus, "--model", "sew-micro", "--data", "data", "--exp", "exp", *options),
        *("--pretrain-config", "100k", "--pretrain-options", f"--updates 3 {SMALL}"),
        *("--finetune-config", "100h", "--finetune-options", f"--updates 3 {SMALL}"),
    )


def check(work: Path, done: subprocess.CompletedProcess[str], pretrained: dict[str, bool]) -> list[dict]:
    assert done.returncode == 0, done.stderr
    rows = json.loads((work / "exp/results.json").read_text())
    assert {row["name"]: row["pretrained"] for row in rows} == pretrained
    for row in rows:
        assert row["model"] == "sew-micro" and row["split"] == "test-clean" and row["updates"] == 3
        assert row["parameters"] > 500_000 and 0 < row["hours"] < 0.1
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "three updates cannot have learned to read"
        assert row["rtf_greedy"] > 0 and row["rtf_lm"] > 0
        assert row["name"] in done.stdout
    assert (work / "exp/sew-micro-ft/model/model.safetensors").is_file()
    return rows


@pytest.mark.timeout(1500)
def test_the_miniature_to_a_table_with_few_updates(tmp_path: Path) -> None:
    few = ["--pretrain-options", f"--updates 3 {SMALL}", "--finetune-options", f"--updates 3 {SMALL}"]
    done = run(tmp_path, "--mini", *few)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "exp/mini/results.json").read_text())}
    assert {name: row["pretrained"] for name, row in rows.items()} == {
        "sew-micro-ft": True,
        "sew-micro-scratch": False,
        "sew-micro-untrained": False,
    }
    for row in rows.values():
        assert row["split"] == "test-clean" and row["updates"] in (1, 3) and 1.1 < row["hours"] < 1.3
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "three updates cannot have learned to read"
    page, text = ((tmp_path / f"exp/mini/report.{kind}").read_text() for kind in ("html", "md"))
    assert page.count("<article ") == 320 and page.count("<audio ") == 50 and "<svg " in page
    assert all(f"{100 * row['wer_lm']:.2f}" in page and f"{100 * row['wer_lm']:.2f}" in text for row in rows.values())
    splits = json.loads((tmp_path / "data/mini/prep.json").read_text())["splits"]
    assert {name: split["utterances"] for name, split in splits.items()} == {
        "train-clean-100": 2600,
        "dev-clean": 80,
        "test-clean": 320,
    }


@pytest.mark.long
def test_the_recipe_beside_one_from_nothing_and_again_when_all_is_done(corpus_folder: Path, tmp_path: Path) -> None:
    both = {"sew-micro-ft": True, "sew-micro-scratch": False}
    rows = check(tmp_path, recipe(corpus_folder, tmp_path, "--scratch"), both)
    weights = (tmp_path / "exp/sew-micro-ft/model/model.safetensors").stat().st_mtime_ns
    again = recipe(corpus_folder, tmp_path, "--scratch")
    assert check(tmp_path, again, both) == rows
    assert "prepared already" in again.stderr and "all 3 updates are done" in again.stderr
    assert again.stderr.count("decoded already") == 4
    assert (tmp_path / "exp/sew-micro-ft/model/model.safetensors").stat().st_mtime_ns == weights


def test_few_labels_and_a_published_language_model(corpus_folder: Path, tmp_path: Path) -> None:
    transcripts = sorted((corpus_folder / "train-clean-100").rglob("*.trans.txt"))
    lines = [line for path in transcripts for line in path.read_text().splitlines()[:2]]
    (tmp_path / "1h.lst").write_text("".join(f"{line.lower()}\n" for line in lines))
    (tmp_path / "text").write_text("".join(f"{line.split(maxsplit=1)[1]}\n" for line in lines))
    (tmp_path / "published").mkdir()
    build_ngram([tmp_path / "text"], 4, tmp_path, tmp_path / "published" / "4-gram.arpa")
    done = run(
        tmp_path,
        *(
            "--corpus",
            corpus_folder,
            "--pretrained",
            "sew-micro",
            "--model",
            "sew-micro",
            "--data",
            "data",
            "--exp",
            "exp",
        ),
        *(
            "--stop-stage",
            3,
            "--librilight",
            corpus_folder,
            "--librilight-options",
            "--part 1h=1h.lst",
            "--labels",
            "1h",
        ),
        *("--finetune-config", "10h", "--finetune-options", f"--updates 1 {SMALL}", "--official-lm", "published"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "data/prep.json").read_text())["splits"]["1h"]["utterances"] == len(lines)
    assert (tmp_path / "data/lm/4gram.arpa").samefile(tmp_path / "published" / "4-gram.arpa")
    assert resolve("4gram", tmp_path / "data", Vocabulary.letters()).lexicon.name == "4gram.lexicon.txt"
    assert read_yaml(tmp_path / "exp/sew-micro-ft-1h/config.yaml")["data"]["train"] == ["1h"]
    assert (tmp_path / "exp/sew-micro-ft-1h/model/model.safetensors").is_file()
