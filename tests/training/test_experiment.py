"""An experiment folder: what may change when a run goes on, and what is said before training begins."""

from pathlib import Path

import pytest
import yaml

from sewcli.base.errors import UsageError
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.experiment import open_experiment
from sewcli.training.recipes import compose


def pretraining(*sets: str, **flags) -> PretrainConfig:
    return compose(PretrainConfig, "pretrain", None, {"model": "sew-micro", **flags}, sets)


def finetuning(*sets: str, **flags) -> FinetuneConfig:
    return compose(FinetuneConfig, "finetune", None, {"model": "sew-micro", **flags}, sets)


def written(exp: Path) -> dict:
    return yaml.safe_load((exp / "config.yaml").read_text())


def test_what_changes_no_update_may_change(tmp_path: Path) -> None:
    open_experiment(tmp_path, pretraining())
    moved = pretraining("data.dir=/elsewhere/librispeech", "log_every=7", "checkpoint.every=9", "data.threads=5")
    open_experiment(tmp_path, moved)
    assert written(tmp_path)["data"]["dir"] == "/elsewhere/librispeech"  # the file says how the run goes on
    with pytest.raises(UsageError, match=r"another run is in this folder: optim\.lr 0\.0005 -> 0\.001, seed 1 -> 2"):
        open_experiment(tmp_path, pretraining("optim.lr=1e-3", seed=2))
    assert written(tmp_path)["seed"] == 1


def test_a_key_that_is_new_counts_as_its_default(tmp_path: Path) -> None:
    """A run begun by an older version goes on when the newer version's keys are at their defaults."""
    open_experiment(tmp_path, pretraining())
    older = written(tmp_path)
    for section, key in ((older, "valid_from"), (older["time_mask"], "min_spans"), (older["data"], "max_seconds")):
        del section[key]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(older))
    with pytest.raises(UsageError, match=r"another run is in this folder: valid_from 0 -> 3 .*\n"):
        open_experiment(tmp_path, pretraining("valid_from=3"))
    open_experiment(tmp_path, pretraining())
    assert written(tmp_path)["valid_from"] == 0 and written(tmp_path)["time_mask"]["min_spans"] == 2


def test_a_config_of_another_kind_is_explained(tmp_path: Path) -> None:
    open_experiment(tmp_path, pretraining())
    for content, said in (("temprature: {}", "did you mean 'temperature'"), ("[1", "not valid YAML")):
        (tmp_path / "config.yaml").write_text(content)
        with pytest.raises(UsageError, match=said) as caught:
            open_experiment(tmp_path, pretraining())
        assert caught.value.where == tmp_path / "config.yaml" and "--exp" in str(caught.value.hint)


def test_updates_may_grow_where_no_update_depends_on_them(tmp_path: Path, capsys) -> None:
    open_experiment(tmp_path, pretraining(updates=40_000))
    (tmp_path / "checkpoints" / "step-40000").mkdir(parents=True)
    open_experiment(tmp_path, pretraining(updates=60_000))
    assert "60000 updates in all in place of 40000" in capsys.readouterr().err
    assert written(tmp_path)["updates"] == 60_000
    with pytest.raises(UsageError, match="updates 60000 -> 39000: 40000 are done"):
        open_experiment(tmp_path, pretraining(updates=39_000))
    with pytest.raises(UsageError, match="another run is in this folder: seed 1 -> 2, updates 60000 -> 70000"):
        open_experiment(tmp_path, pretraining(updates=70_000, seed=2))


def test_updates_may_not_grow_where_the_schedule_follows_them(tmp_path: Path) -> None:
    open_experiment(tmp_path, finetuning(updates=1000))
    with pytest.raises(UsageError, match="updates 1000 -> 2000: the learning rate follows shares of the run"):
        open_experiment(tmp_path, finetuning(updates=2000))


def test_a_run_that_ends_in_its_warm_up_is_warned_of(tmp_path: Path, capsys) -> None:
    open_experiment(tmp_path / "short", pretraining(updates=16_000))
    said = capsys.readouterr().err
    assert "16000 updates end within the warm-up of 32000" in said and "0.00025" in said
    open_experiment(tmp_path / "long", pretraining())
    open_experiment(tmp_path / "finetuning", finetuning())
    assert "warm-up" not in capsys.readouterr().err


def test_shares_of_a_schedule_fit_into_the_run() -> None:
    with pytest.raises(UsageError, match=r"schedule: warmup 0\.7 and hold 0\.4 are more than the whole run"):
        finetuning("schedule.warmup=0.7")
    assert finetuning("schedule.warmup=0.6").schedule.hold == 0.4


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "inf", "nan"])
@pytest.mark.parametrize("key", ["optim.lr", "optim.weight_decay", "batch.seconds", "schedule.start_scale"])
def test_numbers_are_finite(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=key):
        finetuning(f"{key}={value}")
