"""Settings and environments that cannot be are refused by name before anything starts."""

import pytest
from noise_speech import write_noise
from support.ranks import start

from sewcli.base.errors import UsageError
from sewcli.data.mixing import Part, read_parts
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.memory_check import useful_ranks
from sewcli.training.recipes import compose


@pytest.mark.fault("input-27")
@pytest.mark.parametrize(
    ("setting", "name"),
    [
        *(
            (f"optim.betas={value}", "betas")
            for value in ("[1,1]", "[0.9,1]", "[1.0,0.98]", "[-0.1,0.9]", "[0.9]", "1", "[.nan,0]")
        ),
        *((f"optim.lr={value}", "lr") for value in ("0", "-1", ".inf", ".nan", "1e999", "x")),
        *((f"optim.eps={value}", "eps") for value in ("0", "-1e-8", ".inf")),
        *((f"optim.weight_decay={value}", "weight_decay") for value in ("-1", ".inf")),
        *((f"data.threads={value}", "threads") for value in ("0", "-1", "100000", "1e9")),
        *((f"batch.seconds={value}", "seconds") for value in ("0", ".inf", "-5")),
        *((f"batch.micro_seconds={value}", "micro_seconds") for value in ("0", ".nan")),
        *((f"batch.multiple={value}", "multiple") for value in ("0", "-8", "1.5")),
        *((f"batch.jitter={value}", "jitter") for value in ("-0.1", "0.9", ".inf")),
        *((f"checkpoint.keep={value}", "keep") for value in ("0", "1")),
        *((f"data.max_rejected={value}", "max_rejected") for value in ("2", "-1")),
        ("attention=flash", "attention"),
        ("precision=int8", "precision"),
        ("updates=0", "updates"),
        ("updates=1e99", "updates"),
    ],
)
@pytest.mark.parametrize(("config", "verb"), [(PretrainConfig, "pretrain"), (FinetuneConfig, "finetune")])
def test_values_out_of_range(setting: str, name: str, config, verb: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose(config, verb, None, {"model": "sew-micro"}, [setting])
    assert name in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.fault("input-27")
def test_a_split_that_is_taken_too_often(tmp_path) -> None:
    data = write_noise(tmp_path, {"train-a": [1.0] * 2})
    assert len(read_parts([Part(data, "train-a", 1000)])) == 2000
    with pytest.raises(UsageError, match="200,000,000 utterances an epoch"):
        read_parts([Part(data, "train-a", 100_000_000)])
    with pytest.raises(UsageError, match="train-a"):
        read_parts([Part(data, "train-a", 10**400)])


@pytest.mark.fault("input-27")
@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
def test_an_environment_that_names_no_rank(name: str, monkeypatch, tmp_path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 2, "dev-a": [1.0]})
    for value in ("x", "-1", "1.5", "²"):
        monkeypatch.setenv(name, value)
        done = sew_here(
            "finetune", "--model", "sew-micro", "--data", data, "--exp", tmp_path / "exp", "--device", "cpu"
        )
        assert done.returncode == 2, done.stderr
        assert f"the environment variable {name} is" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "exp").exists()


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    ("micro_batches", "world", "said"),
    [
        (64, 1, "up to 64 GPUs are of use"),
        (32, 32, "up to 32 GPUs are of use"),
        (8, 8, "up to 8 GPUs are of use"),
        (8, 16, "up to 8 GPUs are of use, and 8 would be as fast as 16"),
        (8, 6, "up to 8 GPUs are of use, and 4 would be as fast as 6"),
        (1, 1, "one GPU is of use"),
    ],
)
def test_useful_ranks(micro_batches: int, world: int, said: str) -> None:
    assert useful_ranks(micro_batches, world, "GPU") == said


@pytest.mark.fault("F12")
def test_a_dry_run_says_how_many_ranks_are_of_use(tmp_path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 6, "dev-a": [1.0]})
    sets = ["batch.seconds=4", "batch.micro_seconds=2", "extractor_gradient=1"]
    chosen = [part for setting in sets for part in ("--set", setting)]
    done = sew_here("finetune", "--model", "sew-micro", "--data", data, "--dry-run", "--device", "cpu", *chosen)
    assert done.returncode == 0, done.stderr
    assert "micro-batches an update: 2, 2 on each of 1 CPU; up to 2 CPUs are of use" in done.stdout


@pytest.mark.fault("F12")
def test_ranks_without_work_are_named(tmp_path) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 6, "dev-a": [1.0]})
    sets = ["batch.seconds=2", "batch.micro_seconds=2", "extractor_gradient=1", "tensorboard=false"]
    chosen = [part for setting in sets for part in ("--set", setting)]
    arguments = [
        "finetune",
        "--model",
        "sew-micro",
        "--data",
        str(data),
        "--exp",
        str(tmp_path / "exp"),
        "--updates",
        "1",
    ]
    job = start([*arguments, "--device", "cpu", *chosen], tmp_path / "job", ranks=2)
    assert job.wait() == 0, job.log
    assert job.log.count("2 processes for 1 micro-batches an update: 1 of them do nothing that counts") == 1
