"""From Shar as from single files: the same batches, draws, losses, weights and hypotheses, bit for bit."""

from pathlib import Path

import pytest

from sewcli.base.files import read_json, read_jsonl
from sewcli.data.packing import pack
from sewcli.data.utterances import splits
from sewcli.training import finetune, pretrain
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.recipes import compose

SETS = ["batch.seconds=8", "batch.micro_seconds=4", "valid_every=3", "tensorboard=false", "data.min_seconds=0.6"]


@pytest.fixture(scope="module")
def packed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed")
    for split in splits(prepared):
        pack(prepared, split, out, shard_size=6, jobs=2)
    return out


def losses(exp: Path) -> list[dict]:
    return [row for row in read_jsonl(exp / "metrics.jsonl") if row.get("kind") != "speed"]


@pytest.mark.parametrize(
    ("verb", "cls", "module"), [("pretrain", PretrainConfig, pretrain), ("finetune", FinetuneConfig, finetune)]
)
def test_training_does_not_tell_them_apart(verb, cls, module, prepared: Path, packed: Path, tmp_path: Path) -> None:
    for name, data in (("files", prepared), ("shar", packed)):
        flags = {"model": "sew-micro", "updates": 4, "data": {"dir": str(data)}}
        module.run(compose(cls, verb, None, flags, SETS), tmp_path / name, "cpu")
    assert losses(tmp_path / "shar") == losses(tmp_path / "files") and len(losses(tmp_path / "files")) == 6
    for file in ("checkpoints/step-4/model.safetensors", "model/model.safetensors", "data.json"):
        assert (tmp_path / "shar" / file).read_bytes() == (tmp_path / "files" / file).read_bytes(), file


def test_decoding_and_checking_do_not_tell_them_apart(prepared: Path, packed: Path, tmp_path: Path, sew_here) -> None:
    flags = {"model": "sew-micro", "updates": 1, "data": {"dir": str(prepared)}}
    finetune.run(compose(FinetuneConfig, "finetune", None, flags, SETS), tmp_path / "exp", "cpu")
    for name, data in (("files", prepared), ("shar", packed)):
        arguments = ("--model", tmp_path / "exp", "--data", data, "--split", "dev-clean", "--out", tmp_path / name)
        done = sew_here("decode", *arguments, "--device", "cpu")
        assert done.returncode == 0, done.stderr
    files, shar = (
        tmp_path / name / f"{data.name}-dev-clean-greedy" for name, data in (("files", prepared), ("shar", packed))
    )
    assert (files / "hyps.jsonl").read_bytes() == (shar / "hyps.jsonl").read_bytes()
    scores = [read_json(folder / "score.json") for folder in (files, shar)]
    assert scores[0]["wer"] == scores[1]["wer"]
    by_speaker = sew_here("score", shar, "--by-speaker")
    assert by_speaker.returncode == 0, by_speaker.stderr
    checked = sew_here("check", packed, "--out", tmp_path / "check.jsonl", "--allow", "no-signal")
    assert checked.returncode == 0, checked.stdout + checked.stderr
