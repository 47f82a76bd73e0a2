"""Configs refuse what they do not know, and say what they do."""

import pytest

from sewcli.base.config import build, dump_yaml, merge, parse_sets, read_yaml
from sewcli.base.errors import UsageError
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.recipes import compose, names


def test_a_typo_in_a_key_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown key 'optim.lrr' - did you mean 'lr'"):
        compose(PretrainConfig, "pretrain", None, {"model": "sew-tiny"}, ["optim.lrr=1"])
    with pytest.raises(UsageError, match=r"unknown key 'updatse' - did you mean 'updates'"):
        compose(PretrainConfig, "pretrain", None, {"model": "sew-tiny", "updatse": 3}, [])


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        compose(PretrainConfig, "pretrain", None, {"model": "x"}, ["optim.lr=-1", "time_mask.length=0"])
    assert "optim.lr" in str(caught.value) and "time_mask.length" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("2", 2), ("true", True), ("[a, b]", ["a", "b"]), ("none", "none"), ("a=b", "a=b")],
)
def test_values_of_set(text: str, value: object) -> None:
    assert parse_sets([f"a.b={text}"]) == {"a": {"b": value}}


@pytest.mark.parametrize("text", ["10h", "10h,1h", "10h, 1h", "[10h, 1h]"])
def test_splits_need_no_brackets(text: str) -> None:
    config = compose(FinetuneConfig, "finetune", None, {"model": "sew-tiny"}, [f"data.train={text}"])
    assert config.data.train == (("10h", "1h") if "1h" in text[3:] else ("10h",))
    with pytest.raises(UsageError, match=r"data\.valid: .*given: 7"):
        compose(FinetuneConfig, "finetune", None, {"model": "sew-tiny"}, ["data.valid=7"])


def test_numbers_that_are_not_finite_are_refused() -> None:
    for text in (".inf", ".nan", "-.inf"):
        with pytest.raises(UsageError, match=r"optim\.lr: .*finite"):
            compose(FinetuneConfig, "finetune", None, {"model": "sew-tiny"}, [f"optim.lr={text}"])


def test_set_needs_an_equals_sign() -> None:
    with pytest.raises(UsageError, match="key=value"):
        parse_sets(["optim.lr"])


def test_merge_keeps_what_is_not_named() -> None:
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_configs_are_frozen_and_round_trip_through_yaml(tmp_path) -> None:
    config = compose(FinetuneConfig, "finetune", "10h", {"model": "sew-tiny"}, [])
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(config))
    assert build(FinetuneConfig, read_yaml(path)) == config
    with pytest.raises(Exception, match="frozen"):
        config.updates = 3


def test_yaml_cannot_run_code(tmp_path) -> None:
    path = tmp_path / "evil.yaml"
    canary = tmp_path / "canary"
    path.write_text(f"model: !!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_yaml(path)
    assert not canary.exists()


@pytest.mark.parametrize("verb,cls", [("pretrain", PretrainConfig), ("finetune", FinetuneConfig)])
def test_every_recipe_loads(verb, cls) -> None:
    assert names(verb)
    for name in names(verb):
        compose(cls, verb, name, {"model": "sew-tiny"}, [])


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean '100h'"):
        compose(FinetuneConfig, "finetune", "100hours", {"model": "sew-tiny"}, [])


def test_the_recipes_hold_the_papers_numbers() -> None:
    """SEW appendix B and the authors' configs, written out by hand from the papers."""
    pretrain = compose(PretrainConfig, "pretrain", "100k", {"model": "sew-mid"}, [])
    assert (pretrain.updates, pretrain.optim.lr, pretrain.optim.eps, pretrain.optim.weight_decay) == (
        100_000,
        5e-4,
        1e-6,
        0.01,
    )
    assert (pretrain.schedule.warmup_updates, pretrain.schedule.decay_updates) == (32_000, 400_000)
    assert (pretrain.batch.seconds, pretrain.batch.micro_seconds, pretrain.batch.micro_batches) == (5600, 87.5, 64)
    tiny = compose(PretrainConfig, "pretrain", "tiny-100k", {"model": "sew-tiny"}, [])
    assert (tiny.batch.micro_seconds, tiny.batch.micro_batches) == (175, 32)
    table = {  # name: learning rate, updates, frozen, channel probability, layer drop, activation dropout
        "10m": (5e-5, 13_000, 10_000, 0.25, 0.1, 0.1),
        "1h": (5e-5, 13_000, 10_000, 0.25, 0.1, 0.1),
        "10h": (5e-5, 20_000, 10_000, 0.5, 0.05, 0.1),
        "100h": (3e-5, 80_000, 0, 0.5, 0.1, 0.1),
        "960h": (1e-4, 320_000, 0, 0.1, 0.1, 0.1),
        "10m-stable": (1e-5, 13_000, 0, 0.25, 0.1, 0.0),
        "1h-stable": (1e-5, 13_000, 0, 0.25, 0.1, 0.0),
        "10h-stable": (1e-5, 20_000, 0, 0.5, 0.05, 0.0),
        "100h-stable": (3e-5, 80_000, 0, 0.5, 0.1, 0.0),
    }
    large = {  # fairseq's vox_*: learning rate, updates, frozen, time mask, channel mask, seconds an update
        "vox-10m": (1e-4, 13_000, 10_000, 0.65, 0.25, 1600),
        "vox-1h": (3e-4, 13_000, 10_000, 0.75, 0.25, 1600),
        "vox-10h": (1e-4, 20_000, 10_000, 0.75, 0.25, 1600),
        "vox-100h": (3e-5, 80_000, 10_000, 0.5, 0.5, 1600),
        "vox-960h": (3e-5, 320_000, 10_000, 0.5, 0.25, 1920),
    }
    assert sorted([*table, *large, "ablation-10h", "prune", "small-data"]) == names("finetune")
    for name, row in table.items():
        config = compose(FinetuneConfig, "finetune", name, {"model": "sew-mid"}, [])
        found = (config.optim.lr, config.updates, config.freeze_updates, config.channel_mask.probability)
        assert (*found, config.overrides["layer_drop"], config.overrides["activation_dropout"]) == row
        assert (config.optim.eps, config.batch.seconds, config.optim.betas) == (1e-8, 1600, (0.9, 0.98))
    for name, row in large.items():
        config = compose(FinetuneConfig, "finetune", name, {"model": "w2v2-large"}, [])
        masks = (config.time_mask.probability, config.channel_mask.probability)
        assert (config.optim.lr, config.updates, config.freeze_updates, *masks, config.batch.seconds) == row
        assert config.overrides["layer_drop"] == 0.1
