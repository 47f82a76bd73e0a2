"""The defaults of egs/*/run.sh are the paper's experiment. `sew` is a stub that prints what it is called with."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRISPEECH = (
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)
OTHERS = ("tedlium3", "voxpopuli", "swbd_fisher")


def calls(work: Path, corpus: str, *options: str) -> list[str]:
    stub = work / "bin/sew"
    stub.parent.mkdir(exist_ok=True)
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    environment = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / f"egs/{corpus}/run.sh"), *options]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "data/librispeech").mkdir(parents=True)
    for split in LIBRISPEECH:
        (tmp_path / f"data/librispeech/cuts_{split}.jsonl.gz").touch()
    return tmp_path


@pytest.mark.fault("W5", "W6")
def test_librispeech_is_960_hours_100_of_them_with_labels_the_official_4gram_and_all_test_sets(work: Path) -> None:
    prep, pretrain, finetune, lm, greedy, beam, _ = calls(work, "librispeech", "--corpus", "LS", "--model", "sew-tiny")
    assert prep == "prep librispeech LS --out data/librispeech"
    assert pretrain.endswith("--config tiny-100k") and "data.train" not in pretrain
    assert finetune.endswith("--config 100h --set data.train=train-clean-100")
    assert lm == "lm official --download 4gram --data data/librispeech"
    assert "--lm none" in greedy and "--lm 4gram --beam 50" in beam
    splits = [f"--split {split}" for split in ("dev-clean", "dev-other", "test-clean", "test-other")]
    for decode in (greedy, beam):
        assert decode.endswith(" ".join(splits))


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("sew-tiny", "tiny-100k"),
        ("sew-d-tiny-k127", "tiny-100k"),
        ("w2v2-tiny", "tiny-100k"),
        ("sew-tiny+wfe-c-c48-l1+k127+heads-linear", "tiny-100k"),
        ("sew-d-mid", "100k"),
        ("sew-d-base-plus", "100k"),
        ("w2v2-base", "100k"),
    ],
)
def test_a_model_is_pretrained_with_the_recipe_that_belongs_to_it(model: str, recipe: str, work: Path) -> None:
    for corpus in ("librispeech", *OTHERS):
        (called,) = calls(work, corpus, "--stage", "1", "--stop-stage", "1", "--model", model)
        assert called.endswith(f"--config {recipe}"), corpus


@pytest.mark.fault("F1", "W5")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--finetune-config", "10h"], "sew-tiny-ft-10h --config 10h"),
        (["--finetune-config", "10h", "--labels", "mine"], "sew-tiny-ft-mine --config 10h --set data.train=mine"),
        (["--labels", "all"], "sew-tiny-ft-all --config 100h --set data.train=null"),
        (["--finetune-config", "conf.yaml"], "sew-tiny-ft --config conf.yaml"),
    ],
)
def test_labels_are_those_of_the_recipe_or_those_that_are_named(options, expected: str, work: Path) -> None:
    (called,) = calls(work, "librispeech", "--stage", "2", "--stop-stage", "2", *options)
    assert called.endswith(expected)


@pytest.mark.fault("W5", "F5")
@pytest.mark.parametrize("corpus", OTHERS)
def test_other_corpora_fine_tune_a_model_of_librispeech_on_ten_hours(corpus: str, work: Path) -> None:
    (work / "exp/librispeech/sew-d-base-plus/model").mkdir(parents=True)
    tune, lm, *decode, _ = calls(work, corpus, "--stage", "1", "--model", "sew-d-base-plus")
    assert "--model exp/librispeech/sew-d-base-plus/model " in tune
    assert tune.endswith("--config 10h-stable --set data.train=10h")
    assert ("lm official --download voxpopuli-5gram" in lm) == (corpus == "voxpopuli")
    assert len(decode) == 2 and all(each.count("--split") == 2 for each in decode)
    (plain,) = calls(work, corpus, "--stage", "2", "--stop-stage", "2", "--pretrained", "asapp/sew-d-mid-100k")
    assert plain.endswith("--config 10h --set data.train=10h")


def test_miniatures_have_models_and_language_models_of_their_own(work: Path) -> None:
    for corpus in ("librispeech", *OTHERS):
        called = calls(work, corpus, "--mini")
        assert not [line for line in called if "official" in line or "--config 10" in line]
        assert all("sew-micro" in line for line in called if line.startswith(("pretrain", "finetune", "decode")))
