"""Every recipe: its numbers are the papers', it loads, builds and trains one update on tiny data; docs list them all."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from support.refusals import refused

from sewcli.base.errors import UsageError
from sewcli.base.rng import seed_torch
from sewcli.data.plan import BatchPlan
from sewcli.data.utterances import read_split
from sewcli.text.tokens import Vocabulary
from sewcli.training import finetune, pretrain
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.loop import train
from sewcli.training.recipes import FOLDER, compose, experiment_name, names, read
from sewcli.training.recipes_page import page

CPU = torch.device("cpu")
PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
FAST = ["updates=1", "batch.seconds=6", "batch.micro_seconds=3", "tensorboard=false", "precision=fp32", "valid_every=1"]
TINY = {  # sizes alone: what a recipe is about stays as it is
    "extractor_channels": (16,) * 7,
    "extractor_strides": (5, 2, 2, 2, 2, 2, 2),
    "extractor_kernels": (10, 3, 3, 3, 3, 2, 2),
    "width": 32,
    "layers": 1,
    "heads": 2,
    "feedforward": 64,
    "position_groups": 4,
    "predictor_hidden": 32,
    "prediction_width": 16,
    "code_width": 72,  # in 2, 4 and 8 groups
}


def pretraining(name: str | None, *sets: str) -> PretrainConfig:
    return compose(PretrainConfig, "pretrain", name, {}, sets)


def finetuning(name: str | None, *sets: str) -> FinetuneConfig:
    return compose(FinetuneConfig, "finetune", name, {"model": "sew-micro"}, sets)


def shrunk(config: PretrainConfig, prepared: Path) -> PretrainConfig:
    overrides = {**TINY, **config.overrides}
    data = config.data.model_copy(update={"dir": str(prepared), "min_seconds": 0.8})
    return config.model_copy(update={"overrides": overrides, "data": data})


@pytest.mark.parametrize("name", names("pretrain"))
def test_every_pretraining_recipe_trains(name: str, prepared: Path, tmp_path: Path) -> None:
    config = shrunk(pretraining(name, *FAST), prepared)
    seed_torch(1, "initial-weights")
    cuts = [pretrain.select(read_split(prepared, s), config) for s in ("train-clean-100", "dev-clean")]
    task = pretrain.Pretraining(config, pretrain.new_or_loaded(config), cuts[0], cuts[1][:3])
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    train(task, tmp_path, CPU)
    changed = {name for name, tensor in task.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"encoder.mask_vector", "context_head.weight"} & changed or "context_head.0.weight" in changed
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert 0 < row["contrastive"] < 10 and row["grad_norm"] > 0
    assert ("code_perplexity" in row) == (task.model.config.quantize_targets or task.model.config.quantize_inputs)
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("name", names("finetune"))
def test_every_finetuning_recipe_trains(name: str, prepared: Path, tmp_path: Path) -> None:
    config = finetuning(name, *FAST, "valid_from=0")
    vocabulary = Vocabulary.letters()
    seed_torch(1, "initial-weights")
    model = finetune.new_or_pretrained(config, vocabulary)
    cuts = [
        finetune.select(read_split(prepared, s), config, model, vocabulary) for s in ("train-clean-100", "dev-clean")
    ]
    train(finetune.Finetuning(config, model, vocabulary, cuts[0], cuts[1][:2]), tmp_path, CPU)
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("name", "updates", "rate", "seconds", "micro", "warmup", "decay"),
    [
        ("100k", 100_000, 5e-4, 5600, 87.5, 32_000, 400_000),
        ("400k", 400_000, 5e-4, 5600, 87.5, 32_000, 400_000),
        ("tiny-100k", 100_000, 5e-4, 5600, 175, 32_000, 400_000),
        ("tiny-400k", 400_000, 5e-4, 5600, 175, 32_000, 400_000),
        ("w2v2-base", 400_000, 5e-4, 5600, 87.5, 32_000, 400_000),
        ("w2v2-large", 250_000, 3e-4, 9600, 75, 20_000, 250_000),
        ("w2v2-large-lv60k", 600_000, 3e-4, 9600, 75, 48_000, 600_000),
        ("w2v2-large-lv60k-code", 1_000_000, 5e-3, 9600, 75, 32_000, 1_000_000),
        ("ablation/baseline", 250_000, 5e-4, 5600, 87.5, 20_000, 250_000),
    ],
)
def test_pretraining_numbers(name, updates, rate, seconds, micro, warmup, decay) -> None:
    config = pretraining(name)
    assert (config.updates, config.optim.lr) == (updates, rate)
    assert (config.batch.seconds, config.batch.micro_seconds) == (seconds, micro)
    assert (config.schedule.warmup_updates, config.schedule.decay_updates) == (warmup, decay)
    assert config.optim.betas == (0.9, 0.98) and config.optim.eps == 1e-6 and config.optim.weight_decay == 0.01
    assert config.optim.clip_norm == 0 and config.data.min_seconds == 2.0
    assert config.crop_seconds * 16_000 == (320_000 if "large" in name else 250_000)
    assert (config.temperature.start, config.temperature.decay) == (2.0, 0.999995)
    assert config.temperature.end == (0.1 if "large" in name else 0.5)
    assert (config.batch.multiple, config.batch.jitter) == (8, 0.0)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--model", "sew-d-tiny", "--config", "400k"), True),
        (("--model", "sew-tiny+k127"), True),
        (("--model", "sew-d-tiny", "--config", "tiny-400k"), False),
        (("--model", "sew-tiny", "--set", "batch.micro_seconds=43.75"), False),
        (("--model", "sew-micro", "--config", "400k"), False),
    ],
)
def test_a_tiny_model_in_the_others_micro_batches_is_warned_of(options, warned, tmp_path: Path, sew_here) -> None:
    done = sew_here("pretrain", *options, "--data", tmp_path, "--device", "cpu")
    assert done.returncode == 2 and ("the paper's tiny models had 175 s" in done.stderr) is warned, done.stderr


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--model", "sew-d-mid", "--config", "tiny-100k"), True),
        (("--model", "sew-d-mid", "--config", "100k"), False),
        (("--model", "sew-micro", "--config", "tiny-100k"), False),
    ],
)
def test_another_model_in_the_tiny_ones_micro_batches_is_warned_of(options, warned, tmp_path: Path, sew_here) -> None:
    done = sew_here("pretrain", *options, "--data", tmp_path, "--device", "cpu")
    assert done.returncode == 2 and ("for its tiny models alone" in done.stderr) is warned, done.stderr


def test_an_update_is_5600_seconds_on_any_number_of_devices() -> None:
    """64 micro-batches of 1.4 M samples, or 32 of 2.8 M; the plan knows nothing of ranks, which share them out."""
    for name, number, samples in (("100k", 64, 1_400_000), ("tiny-100k", 32, 2_800_000)):
        batch = pretraining(name).batch
        assert batch.micro_batches == number and batch.micro_seconds * 16_000 == samples
        plan = BatchPlan([250_000] * 2000, samples, batch.micro_batches, 1)
        for micro_batches in plan.epoch(0)[:-1]:
            assert len(micro_batches) == number
            assert {n for rank in range(3) for n in range(rank, number, 3)} == set(range(number))
            assert all(250_000 * len(micro_batch) <= samples for micro_batch in micro_batches)


def test_layer_drop_follows_the_depth() -> None:
    for model, share in (("sew-tiny", 0.05), ("sew-mid", 0.2), ("sew-d-base-plus", 0.2), ("w2v2-large", 0.2)):
        config = pretraining("100k", f"model={model}")
        assert pretrain.overridden(pretrain.lookup(config.model), config.overrides).layer_drop == share
    lv60k = pretraining("w2v2-large-lv60k")
    model = pretrain.overridden(pretrain.lookup(lv60k.model), lv60k.overrides)
    assert model.layer_drop == 0 and model.penalty_weight == 0 and model.extractor_gradient == 1


FEW, MANY = (
    {"dropout": 0.0, "input_dropout": 0.0, "attention_dropout": 0.0},
    {"dropout": 0.1, "input_dropout": 0.1, "attention_dropout": 0.1},
)


@pytest.mark.parametrize(
    ("name", "rate", "updates", "freeze", "time", "channel", "layer_drop", "activation", "others"),
    [
        ("10m", 5e-5, 13_000, 10_000, 0.65, 0.25, 0.1, 0.1, FEW),
        ("1h", 5e-5, 13_000, 10_000, 0.65, 0.25, 0.1, 0.1, FEW),
        ("10h", 5e-5, 20_000, 10_000, 0.65, 0.5, 0.05, 0.1, FEW),
        ("100h", 3e-5, 80_000, 0, 0.65, 0.5, 0.1, 0.1, FEW),
        ("960h", 1e-4, 320_000, 0, 0.5, 0.1, 0.1, 0.1, FEW),
        ("10m-stable", 1e-5, 13_000, 0, 0.65, 0.25, 0.1, 0.0, MANY),
        ("1h-stable", 1e-5, 13_000, 0, 0.65, 0.25, 0.1, 0.0, MANY),
        ("10h-stable", 1e-5, 20_000, 0, 0.65, 0.5, 0.05, 0.0, MANY),
        ("100h-stable", 3e-5, 80_000, 0, 0.65, 0.5, 0.1, 0.0, MANY),
    ],
)
def test_finetuning_numbers(name, rate, updates, freeze, time, channel, layer_drop, activation, others) -> None:
    """The authors' configs; pre-training's dropouts are overridden in each. Micro-batches are fairseq's."""
    config = finetuning(name)
    assert (config.optim.lr, config.updates, config.freeze_updates) == (rate, updates, freeze)
    assert config.valid_from == freeze and config.optim.eps == 1e-8 and config.optim.weight_decay == 0
    assert (config.time_mask.probability, config.time_mask.length) == (time, 10)
    assert (config.channel_mask.probability, config.channel_mask.length) == (channel, 64)
    expected = {"layer_drop": layer_drop, "activation_dropout": activation, "final_dropout": 0.0, **others}
    assert config.overrides == expected
    assert (config.batch.seconds, config.extractor_gradient) == (1600, 0.0)
    assert (config.batch.multiple, config.batch.jitter) == (8, 0.0)


VOX = {"layer_drop": 0.1, "activation_dropout": 0.1, "final_dropout": 0.0, **FEW}


@pytest.mark.fault("F11")
@pytest.mark.parametrize(
    ("name", "rate", "updates", "time", "channel", "passes"),
    [
        ("vox-10m", 1e-4, 13_000, 0.65, 0.25, 20),
        ("vox-1h", 3e-4, 13_000, 0.75, 0.25, 20),
        ("vox-10h", 1e-4, 20_000, 0.75, 0.25, 20),
        ("vox-100h", 3e-5, 80_000, 0.5, 0.5, 20),
        ("vox-960h", 3e-5, 320_000, 0.5, 0.25, 24),
    ],
)
def test_numbers_of_the_authors_configs_for_large(name, rate, updates, time, channel, passes) -> None:
    config = finetuning(name)
    assert (config.optim.lr, config.updates, config.freeze_updates) == (rate, updates, 10_000)
    assert (config.time_mask.probability, config.channel_mask.probability) == (time, channel)
    assert (config.batch.micro_batches, config.batch.micro_seconds, config.batch.multiple) == (passes, 80, 8)
    assert config.overrides == VOX


@pytest.mark.fault("F11")
def test_large_on_60000_hours_drops_nothing() -> None:
    names_of = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "feature_dropout")
    for recipe in ("w2v2-large-lv60k", "w2v2-large-lv60k-code"):
        config = pretraining(recipe)
        model = pretrain.overridden(pretrain.lookup(config.model), config.overrides)
        assert [getattr(model, name) for name in (*names_of, "layer_drop")] == [0.0] * 6
        assert model.normalize_waves and model.extractor_gradient == 1.0


def test_every_row_of_the_ablations_has_a_recipe() -> None:
    found = [read("pretrain", name).about for name in names("pretrain") if name.startswith("ablation/")]
    rows = {(about.paper, about.row) for about in found}
    assert len(rows) == len(found)
    count = {f"wav2vec 2.0 table {n}": sum(paper == f"wav2vec 2.0 table {n}" for paper, _ in rows) for n in (4, 5, 13)}
    assert count == {"wav2vec 2.0 table 4": 3, "wav2vec 2.0 table 5": 12, "wav2vec 2.0 table 13": 19}
    assert sum(paper == "SEW table 10" for paper, _ in rows) == 4
    assert all(about.wer for about in found)


def test_starts_a_frame_are_those_of_the_paper() -> None:
    """`probability` is a budget; the paper's p is the share of frames at which a span begins."""
    for name in names("pretrain"):
        if name.startswith("ablation/mask-") or name == "ablation/baseline":
            mask = pretraining(name).time_mask
            starts = 0.037 if "apart" in name else {"0.06": 0.06, "0.065": 0.065}.get(name.rpartition("-")[2], 0.075)
            assert mask.probability / mask.length == pytest.approx(starts) and mask.overlap == ("apart" not in name)


def test_docs_list_them() -> None:
    written = page()
    assert PAGE.read_text(encoding="utf-8") == written, "run: sew recipes --tables > docs/recipes.md"
    assert all(f"| `{name}` |" in written for verb in ("pretrain", "finetune", "distill") for name in names(verb))
    shown = subprocess.run(
        [sys.executable, "-m", "sewcli.cli.app", "recipes", "--json"], capture_output=True, text=True, check=True
    )
    assert len(shown.stdout.splitlines()) == len(list(FOLDER.rglob("*.yaml")))


def test_all_of_them_are_in_the_package() -> None:
    root = Path(__file__).parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sewcli"]
    packed = {path for pattern in patterns for path in (root / "sewcli").glob(pattern)}
    assert set(FOLDER.rglob("*.yaml")) <= packed


def test_a_recipe_of_ones_own_inherits(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("inherits: ablation/codebook-8x8\nupdates: 7\noverrides: {negatives: 9}\n")
    (tmp_path / "next.yaml").write_text("inherits: mine.yaml\nupdates: 8\n")
    config = pretraining(str(tmp_path / "next.yaml"))
    assert (config.updates, config.model, config.time_mask.probability) == (8, "w2v2-base", 0.75)
    assert config.overrides == {"codebook_groups": 8, "codebook_entries": 8, "negatives": 9}
    (tmp_path / "mine.yaml").write_text("inherits: next.yaml\n")
    with refused(UsageError, "recipe-circle"):
        pretraining(str(tmp_path / "next.yaml"))
    (tmp_path / "mine.yaml").write_text("inherits: ablation/codebook-8x9\n")
    with pytest.raises(UsageError, match="did you mean 'ablation/codebook-8x8'"):
        pretraining(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["time_mask.spread=3"], "does not go with shape static"),
        (["time_mask.shape=normal"], "does not go with shape normal"),
        (["time_mask.shape=uniform", "time_mask.spread=10"], "some have none"),
    ],
)
def test_spans_that_do_not_fit_together_are_refused(sets: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        pretraining(None, *sets)


def test_an_experiment_is_called_after_its_model_or_the_recipe_that_chose_it(tmp_path: Path) -> None:
    assert experiment_name("pretrain", None, None, "sew-tiny") == "sew-tiny"
    assert experiment_name("pretrain", "400k", "sew-d-mid", "sew-d-mid") == "sew-d-mid"
    assert (
        experiment_name("pretrain", "ablation/mask-probability-0.06", None, "w2v2-base")
        == "ablation/mask-probability-0.06"
    )
    (tmp_path / "mine.yaml").write_text("model: sew-mid\n")
    assert experiment_name("pretrain", str(tmp_path / "mine.yaml"), None, "sew-mid") == "mine"
    assert experiment_name("pretrain", str(tmp_path / "mine.yaml"), "exp/a/sew-d-mid", "exp/a/sew-d-mid") == "sew-d-mid"
