"""`egs/swbd_fisher/run.sh`: what it says without a corpus, and from the discs of a miniature to a word error rate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sewcli.base.files import read_json, read_jsonl
from sewcli.corpora.miniatures.swbd_fisher import Plan, write_miniature

ROOT = Path(__file__).parents[2]
RUN = "egs/swbd_fisher/run.sh"
FEW = "--updates 2 --set batch.seconds=8 --set batch.micro_seconds=8"


def recipe(work: Path, *options: str, seconds: int = 600) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("SEW_CORPORA", None)
    return subprocess.run(
        ["bash", str(ROOT / RUN), *options],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=environment,
        check=False,
    )


def test_without_a_corpus_it_says_what_to_fetch_and_how_to_try(tmp_path: Path) -> None:
    done = recipe(tmp_path)
    assert done.returncode == 2
    assert "download/swbd_fisher: Switchboard and Fisher are not here" in done.stderr
    for number in ("LDC97S62", "LDC2004S13", "LDC2004T19", "LDC2005S13", "LDC2005T19", "LDC2007S10", "LDC2002S09"):
        assert number in done.stderr
    assert f"{RUN} --mini" in done.stderr
    assert not done.stdout


def test_the_recipe_is_short_and_only_calls_sew() -> None:
    lines = (ROOT / RUN).read_text().splitlines()
    assert len(lines) <= 100
    assert not [line for line in lines if line.strip().startswith(("python", "wget", "curl"))]


def test_from_discs_to_a_table_with_few_updates_on_a_subset(tmp_path: Path) -> None:
    write_miniature(tmp_path / "discs", Plan(switchboard=3, fisher=4, turns=20, seed=3), jobs=2)
    options = [
        *("--corpus", "discs", "--data", "data", "--exp", "exp", "--model", "sew-micro", "--subset", "2min=0.033"),
        *("--pretrain-config", "100k", "--pretrain-options", f"{FEW} --set data.min_seconds=0.8"),
        *("--finetune-config", "10h", "--finetune-options", FEW, "--order", "3", "--beam", "10"),
    ]
    done = recipe(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    splits = read_json(tmp_path / "data/prep.json")["splits"]
    assert set(splits) == {"train-swbd", "train-fisher", "dev-rt03", "test-eval2000", "2min"}
    assert splits["2min"]["hours"] == pytest.approx(0.033, abs=0.001) and splits["2min"]["speakers"] >= 8
    assert list(read_jsonl(tmp_path / "data/rejected.jsonl")) == []
    rows = read_json(tmp_path / "exp/results.json")
    assert {row["split"] for row in rows} == {"dev-rt03", "test-eval2000"}
    for row in rows:
        assert row["model"] == "sew-micro" and row["pretrained"] and row["updates"] == 2
        assert row["hours"] == pytest.approx(0.033, abs=0.001)
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "two updates cannot have learned to read"
    lexicon = {line.split()[0] for line in (tmp_path / "data/lm/lexicon.txt").read_text().splitlines()}
    texts = (tmp_path / "data/text_train-swbd.txt", tmp_path / "data/text_train-fisher.txt")
    assert lexicon == {word for path in texts for word in path.read_text().split()}, "4-gram of all training text"

    again = recipe(tmp_path, *options)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("prepared already") >= 4 and "all 2 updates are done" in again.stderr
    assert read_json(tmp_path / "exp/results.json") == rows


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_the_miniature_is_learned(tmp_path: Path) -> None:
    done = recipe(tmp_path, "--mini", seconds=2900)
    assert done.returncode == 0, done.stderr
    rows = {row["split"]: row for row in read_json(tmp_path / "exp/mini-swbd_fisher/results.json")}
    assert rows["test-eval2000"]["wer_lm"] < 0.5, rows["test-eval2000"]
