"""`egs/voxpopuli/run.sh`: what it says without a corpus, and from both layouts of one to a table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sewcli.base.files import read_json
from sewcli.corpora.miniatures.voxpopuli import Part, Plan, write_miniature

ROOT = Path(__file__).parents[2]
RUN = "egs/voxpopuli/run.sh"
SMALL = "--set batch.seconds=8 --set batch.micro_seconds=8"
TINY = Plan(parts=(Part("train", 4, 2, 4), Part("dev", 2, 1, 2), Part("test", 2, 1, 2)), sessions=2, europarl=9, seed=3)


def recipe(work: Path, *options: str, seconds: int = 600) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}
    environment.pop("SEW_CORPORA", None)
    command = ["bash", str(ROOT / RUN), *options]
    return subprocess.run(
        command, cwd=work, capture_output=True, text=True, timeout=seconds, env=environment, check=False
    )


def test_without_a_corpus_it_says_what_to_fetch_and_how_to_try(tmp_path: Path) -> None:
    done = recipe(tmp_path)
    assert done.returncode == 2
    assert "download/voxpopuli: VoxPopuli is not here" in done.stderr
    assert "voxpopuli.download_audios" in done.stderr and "asr_en.tsv.gz" in done.stderr
    assert f"{RUN} --mini" in done.stderr
    assert not done.stdout and not any(tmp_path.iterdir())


def test_the_recipe_is_short_and_only_calls_sew() -> None:
    lines = (ROOT / RUN).read_text().splitlines()
    assert len(lines) <= 100
    assert not [line for line in lines if line.strip().startswith(("python", "wget", "curl"))]


def test_from_a_corpus_to_a_table_with_few_updates(tmp_path: Path) -> None:
    corpus = tmp_path / "voxpopuli"
    write_miniature(corpus, TINY, jobs=2)
    (corpus / "transcribed_data/en/asr_dev.tsv").unlink()  # dev then comes from its sessions
    few = [
        *("--corpus", "voxpopuli", "--model", "sew-micro", "--data", "data", "--exp", "exp", "--subset", "20s=0.0055"),
        *("--pretrain-config", "100k", "--pretrain-options", f"--updates 2 --set data.min_seconds=0.5 {SMALL}"),
        *("--finetune-config", str(ROOT / "egs/voxpopuli/conf/mini-finetune.yaml")),
        *("--finetune-options", f"--updates 2 {SMALL}"),
    ]
    done = recipe(tmp_path, *few)
    assert done.returncode == 0, done.stderr
    assert "dev: from raw_audios/original" in done.stderr and "test: from transcribed_data/en" in done.stderr
    rows = read_json(tmp_path / "exp/results.json")
    assert {row["split"] for row in rows} == {"dev", "test"}
    for row in rows:
        assert row["model"] == "sew-micro" and row["pretrained"] and row["updates"] == 2
        assert row["wer_greedy"] > 0.5 and row["wer_lm"] > 0.5, "two updates cannot have learned to read"
    assert (tmp_path / "data/lm/text.txt.gz").is_file() and (tmp_path / "data/lm/5gram.arpa").is_file()
    splits = read_json(tmp_path / "data/prep.json")["splits"]
    assert splits["20s"]["hours"] < splits["train"]["hours"] / 2


def test_the_official_model_beside_the_corpus_is_found(tmp_path: Path) -> None:
    place = tmp_path / "download/voxpopuli/lm_data/en"
    place.mkdir(parents=True)
    (place / "en_5gram_lm.bin").write_bytes(b"not a model")
    (tmp_path / "data").mkdir()
    for options in ([], ["--lm", "download/voxpopuli/lm_data/en"]):
        done = recipe(tmp_path, "--stage", "3", "--stop-stage", "3", "--data", "data", *options)
        assert done.returncode == 3
        assert "download/voxpopuli/lm_data/en/en_5gram_lm.bin: not a KenLM binary" in done.stderr


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_the_miniature_is_learned(tmp_path: Path) -> None:
    done = recipe(tmp_path, "--mini", seconds=2900)
    assert done.returncode == 0, done.stderr
    rows = {row["split"]: row for row in read_json(tmp_path / "exp/mini-voxpopuli/results.json")}
    assert rows["test"]["wer_greedy"] < 0.8 and rows["test"]["wer_lm"] < 0.5, rows["test"]
