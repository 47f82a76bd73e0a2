"""`egs/tedlium3/run.sh`: what it says without a corpus, and `--mini` from nothing to a word error rate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sewcli.base.files import read_json, read_jsonl

ROOT = Path(__file__).parents[2]
RUN = "egs/tedlium3/run.sh"
FEW = "--set batch.seconds=8 --set batch.micro_seconds=8"


def recipe(work: Path, *options: str, seconds: int = 600) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    environment.pop("SEW_CORPORA", None)
    command = ["bash", str(ROOT / RUN), *options]
    return subprocess.run(
        command, cwd=work, capture_output=True, text=True, timeout=seconds, env=environment, check=False
    )


def test_without_a_corpus_it_says_what_to_fetch_and_how_to_try(tmp_path: Path) -> None:
    done = recipe(tmp_path)
    assert done.returncode == 2
    assert "download/TEDLIUM_release-3: TED-LIUM 3 is not here" in done.stderr
    assert "https://www.openslr.org/51" in done.stderr
    assert f"{RUN} --mini" in done.stderr
    assert not done.stdout


def test_the_recipe_is_short_and_only_calls_sew() -> None:
    lines = (ROOT / RUN).read_text().splitlines()
    assert len(lines) <= 100
    assert not [line for line in lines if line.strip().startswith(("python", "wget", "curl"))]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--stop-stage", "0", "--corpus", "my corpora/TED"],
            ["prep tedlium3 my corpora/TED --out data/tedlium3 --subset 10h=10"],
        ),
        (["--stop-stage", "0", "--subset", ""], ["prep tedlium3 --out data/tedlium3"]),
        (
            ["--stage", "1", "--stop-stage", "2", "--pretrained", "asapp/sew-d-mid-100k", "--subset", "1h=1@2"],
            [
                "finetune --model asapp/sew-d-mid-100k --data data/tedlium3 --exp exp/tedlium3/sew-d-mid-100k-ft-1h "
                "--config 10h --set data.train=1h"
            ],
        ),
        (
            ["--stage", "1", "--stop-stage", "2", "--subset", "", "--finetune-config", "960h"],
            [
                "pretrain --model sew-d-mid --data data/tedlium3 --exp exp/tedlium3/sew-d-mid --config 100k",
                "finetune --model exp/tedlium3/sew-d-mid/model --data data/tedlium3 --exp exp/tedlium3/sew-d-mid-ft "
                "--config 960h --set data.train=train",
            ],
        ),
        (
            ["--stage", "3", "--stop-stage", "4", "--lm", "lm/5gram.bin", "--test-splits", "test"],
            [
                f"decode --model exp/tedlium3/sew-d-mid-ft-10h/model --data data/tedlium3 --lm {lm} --beam 50 --split test"
                for lm in ("none", "lm/5gram.bin")
            ],
        ),
    ],
)
def test_what_it_calls(tmp_path: Path, options: list[str], expected: list[str]) -> None:
    stub = tmp_path / "bin/sew"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    environment = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / RUN), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines() == expected


def test_the_miniature_to_a_table_with_few_updates(tmp_path: Path) -> None:
    few = ["--pretrain-options", f"--updates 2 {FEW}", "--finetune-options", f"--updates 2 {FEW}"]
    done = recipe(tmp_path, "--mini", "--test-splits", "test", *few)
    assert done.returncode == 0, done.stderr
    data, exp = tmp_path / "data/mini-tedlium3", tmp_path / "exp/mini-tedlium3"
    rows = read_json(exp / "results.json")
    assert {row["split"] for row in rows} == {"test"}
    for row in rows:
        assert row["model"] == "sew-micro" and row["pretrained"] and row["updates"] == 2
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "two updates cannot have learned to read"
    splits = read_json(data / "prep.json")["splits"]
    assert {name: split["utterances"] for name, split in splits.items()} == {"train": 1664, "dev": 60, "test": 140}
    assert list(read_jsonl(data / "rejected.jsonl")) == []
    assert (data / "lm/5gram.arpa").is_file() and (data / "lm/text.txt.gz").is_file()
    lexicon = {line.split()[0] for line in (data / "lm/lexicon.txt").read_text().splitlines()}
    assert lexicon <= set((data / "lm/vocabulary.txt").read_text().split()) and "LET'S" in lexicon

    again = recipe(tmp_path, "--mini", "--stop-stage", "0")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("prepared already") == 3 and "this miniature is there already" in again.stderr


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_the_miniature_is_learned(tmp_path: Path) -> None:
    done = recipe(tmp_path, "--mini", seconds=2900)
    assert done.returncode == 0, done.stderr
    rows = {row["split"]: row for row in read_json(tmp_path / "exp/mini-tedlium3/results.json")}
    assert rows["test"]["wer_greedy"] < 0.8 and rows["test"]["wer_lm"] < 0.5, rows["test"]
