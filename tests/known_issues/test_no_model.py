"""A run that never wrote a model does not end like one that did."""

import json

import pytest
from noise_speech import tiny_model, write_noise

SMALL = ["batch.seconds=2", "batch.micro_seconds=2", "tensorboard=false", "data.min_seconds=0.6"]


@pytest.fixture
def run(tmp_path, sew_here):
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 4, "dev-a": [1.0] * 2})

    def start(verb: str, updates: int, *sets: str):
        chosen = [part for setting in (*SMALL, *sets) for part in ("--set", setting)]
        model = tiny_model(tmp_path / "start") if verb == "pretrain" else "sew-micro"
        where = ("--model", model, "--data", data, "--exp", tmp_path / "exp", "--device", "cpu")
        return sew_here(verb, *where, "--updates", updates, *chosen)

    return start


@pytest.mark.fault("input-12")
@pytest.mark.parametrize(
    ("verb", "setting"),
    [
        ("pretrain", "optim.lr=1e9"),
        ("pretrain", "optim.weight_decay=1e30"),
        ("finetune", "optim.lr=1e30"),
    ],
)
def test_a_run_without_a_model_exits_3(verb: str, setting: str, run, tmp_path) -> None:
    more = ["schedule.warmup_updates=0"] if verb == "pretrain" else ["schedule.warmup=0", "extractor_gradient=1"]
    for _ in range(2):  # also when the command is run again
        done = run(verb, 2, setting, *more)
        assert done.returncode == 3, done.stderr
        assert "there is no model: no validation gave a finite figure" in done.stderr
        assert "optim.lr" in done.stderr and "step-2" in done.stderr
        assert not (tmp_path / "exp" / "model").exists()
        assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "exp" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row.get("kind") == "valid"] == [2]


@pytest.mark.fault("input-12")
def test_an_earlier_model_is_a_model(run, tmp_path) -> None:
    assert run("pretrain", 1).returncode == 0
    assert (tmp_path / "exp" / "model" / "model.safetensors").is_file()
