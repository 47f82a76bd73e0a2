"""Distillation as a command: runs, tables, teachers that stay as they are, audio without transcripts."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from recognisers import recogniser, saved
from transformers import AutoModelForCTC

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import sha256
from sewcli.base.rng import seed_torch
from sewcli.compression import distill
from sewcli.compression.config import DistillConfig
from sewcli.compression.losses import token_divergence
from sewcli.compression.student import new_student
from sewcli.data.utterances import read_split
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.text.tokens import Vocabulary
from sewcli.training.loop import train

CPU = torch.device("cpu")
SETS = ["updates=4", "batch.seconds=6", "batch.micro_seconds=3", "optim.lr=1e-3", "tensorboard=false", "valid_every=4"]


def flags(*more: str) -> list[str]:
    return [word for each in (*SETS, *more) for word in ("--set", each)]


def task_of(prepared: Path, teacher: Path, **changes) -> distill.Distillation:
    settings = {
        "updates": 4,
        "layers": 2,
        "batch": {"seconds": 6, "micro_seconds": 3},
        "optim": {"lr": 1e-3, "eps": 1e-6, "weight_decay": 0.01},
        "overrides": {"dropout": 0.0, "attention_dropout": 0.0, "input_dropout": 0.0},
        "tensorboard": False,
    }
    config = DistillConfig(**{"teacher": str(teacher), "model": str(teacher), **settings, **changes})
    network, vocabulary = load_ctc(teacher)
    seed_torch(1, "initial-weights")
    model = new_student(config, vocabulary)
    cuts = [
        distill.usable(config, read_split(prepared, s), model, vocabulary if words else None)
        for s, words in (("train-clean-100", config.ctc_weight), ("dev-clean", True))
    ]
    return distill.Distillation(config, model, network, vocabulary, *cuts)


def test_a_sweep_ends_in_a_table(prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    teacher = saved(Path("exp/teacher/model"))
    before = {path.name: sha256(path) for path in teacher.iterdir()}
    place = ("--teacher", "exp/teacher", "--data", prepared, "--device", "cpu", "--split", "dev-clean")
    done = sew_here("distill", *place, "--layers", "2,1", *flags())
    assert done.returncode == 0, done.stderr
    assert {path.name: sha256(path) for path in teacher.iterdir()} == before
    rows = json.loads(Path("exp/teacher-distill.json").read_text())
    assert [row["name"] for row in rows] == ["teacher", "teacher-distill-L2", "teacher-distill-L1"]
    assert [row["layers"] for row in rows] == [4, 2, 1] and rows[0]["time"] == 1
    assert rows[0]["parameters"] > rows[1]["parameters"] > rows[2]["parameters"]
    for row in rows:
        assert row["megabytes"] * 1e6 == (Path(row["model"]) / "model.safetensors").stat().st_size
        score = json.loads(
            (Path(row["model"]).parent / f"decode/{prepared.name}-dev-clean-greedy/score.json").read_text()
        )
        assert row["wer"] == {"dev-clean": {"greedy": score["wer"]}}
    assert done.stdout == Path("exp/teacher-distill.md").read_text() and done.stdout.count("\n") == 5
    config = (Path("exp/teacher-distill-L1/config.yaml")).read_text()
    assert "layers: 1\n" in config and "teacher: exp/teacher/model\n" in config

    student = Path("exp/teacher-distill-L2/model")  # an ordinary model folder
    assert AutoModelForCTC.from_pretrained(student).config.num_hidden_layers == 2
    heard = sew_here("transcribe", next(iter(read_split(prepared, "dev-clean"))).path, "--model", student)
    assert heard.returncode == 0, heard.stderr
    again = sew_here("distill", *place, "--layers", "2,1", "--json", "--beside", student, *flags())
    assert again.returncode == 0 and "all 4 updates are done" in again.stderr
    assert [json.loads(line)["layers"] for line in again.stdout.splitlines()] == [4, 2, 1]


def test_the_loss_is_its_terms_and_the_teacher_never_moves(prepared: Path, tmp_path: Path) -> None:
    task = task_of(prepared, saved(tmp_path / "teacher"), penalty_weight=0.5, temperature=2.0)
    task.model.train()
    micro_batch = max(task.plan.epoch(0)[0], key=len)
    batch = task.load(micro_batch, 0, 0)
    result = task.loss(batch, 0, 0, CPU)
    assert set(result.sums) == {"penalty", "divergence"} and float(result.size) == len(micro_batch) > 1
    total = 0.5 * float(result.sums["penalty"]) + float(result.sums["divergence"])
    assert float(result.loss.detach()) == pytest.approx(total, rel=1e-6)
    alone = 0.0  # what it is of each utterance by itself: padding plays no part
    for number in micro_batch:
        one = torch.from_numpy(task.train[number].wave()).unsqueeze(0)
        length = torch.tensor([one.shape[1]])
        ours, theirs = (model(one, length) for model in (task.model, task.teacher))
        alone += float(token_divergence(ours.logits.double(), theirs.logits.double(), theirs.lengths, 2.0).detach())
    assert float(result.sums["divergence"]) == pytest.approx(alone, rel=1e-4)
    result.loss.backward()
    moving = {name for name, p in task.model.named_parameters() if p.grad is not None}
    assert "encoder.extractor.convolutions.0.weight" in moving and "head.weight" in moving
    assert all(p.grad is None and not p.requires_grad for p in task.teacher.parameters())
    before = {name: tensor.clone() for name, tensor in task.teacher.state_dict().items()}
    train(task, tmp_path / "exp", CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.teacher.state_dict().items())
    assert not task.teacher.training
    kept = (tmp_path / "exp/checkpoints/step-4/model.safetensors").stat().st_size
    assert kept < sum(4 * tensor.numel() for tensor in before.values())  # no teacher in a checkpoint


def test_a_student_comes_nearer_to_its_teacher(prepared: Path, tmp_path: Path) -> None:
    task = task_of(prepared, saved(tmp_path / "teacher"), updates=30, extractor_gradient=1.0)
    task.transcribed = False
    before = distill.divergence_on(task.model, task.teacher, task.valid, CPU, stop=False)
    train(task, tmp_path / "exp", CPU)
    after = distill.divergence_on(task.model, task.teacher, task.valid, CPU, stop=False)
    assert after < 0.5 * before


def test_audio_alone_is_enough(prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    for split in ("train-clean-100", "dev-clean"):
        with gzip.open(prepared / f"cuts_{split}.jsonl.gz", "rt") as file:
            cuts = [json.loads(line) | {"supervisions": []} for line in file]
        with gzip.open(bare / f"cuts_{split}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(cut) + "\n" for cut in cuts)
    saved(Path("exp/teacher/model"))
    place = ("--teacher", "exp/teacher", "--data", bare, "--device", "cpu", "--student", "sew-micro", "--layers", "1")
    done = sew_here("distill", *place, *flags())
    assert done.returncode == 0, done.stderr
    exp = Path("exp/teacher-distill-sew-micro-L1")
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    [valid] = [row for row in rows if row.get("kind") == "valid"]
    assert valid["divergence"] > 0 and "wer" not in valid
    assert load_ctc(exp / "model")[0].config.family == "sew"
    assert "WER dev-clean greedy" in done.stdout and done.stdout.count("| - |") == 2
    assert "nats a frame" in (exp / "model/README.md").read_text()


def test_layers_without_a_teacher_learn_from_transcripts(prepared: Path, tmp_path: Path) -> None:
    task = task_of(prepared, saved(tmp_path / "teacher"), divergence_weight=0.0, ctc_weight=1.0, penalty_weight=0.0)
    batch = task.load(task.plan.epoch(0)[0][0], 0, 0)
    result = task.loss(batch, 0, 0, CPU)
    assert set(result.sums) == {"penalty", "ctc"} and len(batch.labels)
    assert float(result.loss.detach()) == pytest.approx(float(result.sums["ctc"]), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--layers", "2,x"), "are not numbers of layers"),
        (("--layers", "0"), "are not numbers of layers"),
        (("--layers", "5"), "5 layers from a model of 4"),
        (("--layers", "2,9"), "9 layers from a model of 4"),
        (("--layers", "2", "--lm", "9gram"), "no language model '9gram'"),
        (("--layers", "2", "--lm", "9gram", "--dry-run"), "no language model '9gram'"),
        (("--layers", "2", "--beside", "exp/nosuch", "--dry-run"), "no such model folder"),
        (("--student", "sew-micro", "--init", "last"), "which has no weights"),
        (("--student", "w2v2-micro+25hz"), "overrides.output_upsample=2"),
        (("--set", "temprature=2"), "did you mean 'temperature'"),
        (("--set", "divergence_weight=0"), "nothing to learn"),
        (("--config", "bigfot"), "did you mean 'bigfoot'"),
        (("--init", "first"), "init"),
    ],
)
def test_what_is_wrong_is_said(arguments, said: str, prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("exp/teacher/model"))
    done = sew_here("distill", "--teacher", "exp/teacher", "--data", prepared, "--device", "cpu", *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert [path.name for path in Path("exp").iterdir()] == ["teacher"]


def test_the_papers_recipe(sew_here, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("exp/teacher/model"))
    done = sew_here("distill", "--teacher", "exp/teacher", "--config", "bigfoot", "--layers", "4", "--print-config")
    assert done.returncode == 0, done.stderr
    for line in (
        "updates: 2249928",
        "lr: 5.0e-05",
        "temperature: 1.0",
        "ctc_weight: 0.0",
        "start: 0.5",
        "warmup: 0.03125",
        "layers: 4",
    ):
        assert line in done.stdout, line


def test_another_number_of_updates_is_another_run(prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    """The learning rate follows shares of the run."""
    monkeypatch.chdir(tmp_path)
    saved(Path("exp/teacher/model"))
    place = ("--teacher", "exp/teacher", "--data", prepared, "--device", "cpu", "--layers", "1", "--split", "dev-clean")
    assert sew_here("distill", *place, *flags()).returncode == 0
    more = sew_here("distill", *place, *flags("updates=8"))
    assert more.returncode == 2 and "shares of the run" in more.stderr


def test_a_dry_run_writes_nothing(prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(Path("exp/teacher/model"))
    place = ("--teacher", "exp/teacher", "--data", prepared, "--device", "cpu")
    done = sew_here("distill", *place, "--layers", "2", "--dry-run", *flags())
    assert done.returncode == 0 and "2 layers" in done.stdout and "in all: 4 updates" in done.stdout, done.stderr
    assert [path.name for path in Path("exp").iterdir()] == ["teacher"]


def test_a_student_with_other_symbols_is_refused(prepared: Path, tmp_path: Path) -> None:
    teacher = saved(tmp_path / "teacher")
    other = recogniser()
    other.head = torch.nn.Linear(64, 6)
    save_ctc(other, Vocabulary(("<pad>", "|", "A", "B", "C", "D")), tmp_path / "other")
    with pytest.raises((DataError, UsageError), match="another vocabulary"):
        task_of(prepared, teacher, model=str(tmp_path / "other"))
