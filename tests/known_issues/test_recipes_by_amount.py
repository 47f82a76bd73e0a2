"""A recipe that is named by an amount of labels takes these labels, or says why not and how to take others."""

from pathlib import Path

import pytest
from noise_speech import tiny_model, write_noise

from sewcli.base.files import read_json
from sewcli.compression.config import DistillConfig
from sewcli.training.config import FinetuneConfig, LinearSchedule
from sewcli.training.recipe_figures import measured
from sewcli.training.recipes import compose, names, read
from sewcli.training.schedule import linear

SMALL = ["freeze_updates=0", "batch.seconds=8", "batch.micro_seconds=8", "tensorboard=false"]
ALL_960 = ("train-clean-100", "train-clean-360", "train-other-500")


def finetuning(recipe: str | None, *sets: str) -> FinetuneConfig:
    return compose(FinetuneConfig, "finetune", recipe, {"model": "sew-micro", "data": {"dir": "data"}}, sets)


@pytest.mark.fault("F1", "W5")
@pytest.mark.parametrize("kind", ["", "-stable", "vox-"])
def test_recipes_select_the_labels_of_their_name(kind: str) -> None:
    splits = {"10m": ("10min",), "1h": ("1h",), "10h": ("10h",), "100h": ("train-clean-100",), "960h": ALL_960}
    hours = {"10m": 1 / 6, "1h": 1, "10h": 10, "100h": 100, "960h": 960}
    for amount, train in splits.items():
        name = f"vox-{amount}" if kind == "vox-" else amount + kind
        if name in names("finetune"):
            data = finetuning(name).data
            assert data.train == train and data.hours == pytest.approx(hours[amount], rel=0.01), name


@pytest.mark.fault("F1")
def test_labels_that_are_named_take_the_place_of_the_recipes_with_its_hours(tmp_path: Path) -> None:
    assert finetuning("10h", "data.train=mine").data.other_hours == 10
    for data in (finetuning("10h", "data.train=mine").data, finetuning("prune").data, finetuning(None).data):
        assert data.hours is None and data.train in (("mine",), None)
    assert finetuning("10h", "data.train=mine", "data.hours=5").data.hours == 5
    (tmp_path / "own.yaml").write_text("inherits: 100h\ndata: {train: [train]}\n")
    assert finetuning(str(tmp_path / "own.yaml")).data.hours is None
    assert finetuning("ablation-10h").data.train == ("10h",)
    plain = compose(FinetuneConfig, "finetune", "10h", {"model": "m", "data": {"dir": "d", "train": ["10h*4"]}}, [])
    assert plain.data.hours is None, "as sew selftrain gives them"
    assert finetuning("prune").data.other_hours is None


def finetune(sew_here, tmp_path: Path, data: Path, *words: str):
    sets = [part for setting in SMALL for part in ("--set", setting)]
    place = ("--data", data, "--exp", tmp_path / "exp", "--device", "cpu", "--updates", 1)
    return sew_here("finetune", "--model", tiny_model(tmp_path / "model"), *place, *sets, *words)


@pytest.mark.fault("F1")
def test_ten_minutes_are_the_split_of_ten_minutes_and_the_best_model_is_chosen_on_dev_other(
    tmp_path: Path, sew_here
) -> None:
    lengths = {"train-clean-100": [2.0] * 4, "10min": [4.0] * 78, "dev-clean": [1.0] * 3, "dev-other": [1.0] * 2}
    data = write_noise(tmp_path / "data", lengths)
    done = finetune(sew_here, tmp_path, data, "--config", "10m", "--set", "valid_from=0")
    assert done.returncode == 0, done.stderr
    facts = read_json(tmp_path / "exp" / "data.json")
    assert facts["train"]["utterances"] == 78 and facts["valid"]["utterances"] == 2
    assert "5 min of labels: 10min" in done.stderr


@pytest.mark.fault("F1")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "10h"), ("the split 10h, which is not here", "--set data.train=train-clean-100", "librilight")),
        (("--config", "960h"), ("the split train-clean-360, which is not here", "--set data.train=train-clean-100")),
        (
            ("--config", "100h"),
            ("12 s of labels in train-clean-100, where this recipe is for 100 h", "--set data.train=train-clean-100"),
        ),
        (("--config", "10h", "--set", "data.train=train-clean-100", "--set", "data.hours=10"), ("for 10 h",)),
    ],
)
def test_other_amounts_are_refused_with_the_way_out(words, said, tmp_path: Path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-clean-100": [3.0] * 4, "dev-clean": [1.0]})
    done = finetune(sew_here, tmp_path, data, *words)
    assert done.returncode == 2 and all(text in done.stderr for text in said), done.stderr
    assert not (tmp_path / "exp").exists()


@pytest.mark.fault("F1")
def test_labels_of_ones_own_are_taken_when_they_are_named_and_without_a_recipe(tmp_path: Path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train": [3.0] * 4, "dev": [1.0]})
    done = finetune(sew_here, tmp_path, data, "--config", "100h", "--set", "data.train=train", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "12 s of labels in train; rate and updates of this recipe are for 100 h" in done.stderr
    plain = finetune(sew_here, tmp_path, data, "--dry-run")
    assert plain.returncode == 0, plain.stderr
    assert "12 s of labels: all train splits" in plain.stderr
    assert "which the papers take for 100 hours of labels; --config 10m, 1h or 10h for less" in plain.stderr


@pytest.mark.fault("F6")
def test_960_hours_have_the_rate_that_fairseq_corrected() -> None:
    assert finetuning("960h").optim.lr == 1e-4


@pytest.mark.fault("W2")
def test_distillation_has_the_papers_epochs_seed_rate_and_split() -> None:
    configs = {
        name: compose(DistillConfig, "distill", name, {"teacher": "t", "model": "m"}, [])
        for name in ("bigfoot", "bigfoot-100h-10", "bigfoot-demo")
    }
    epochs = {"bigfoot": (32, 281_241), "bigfoot-100h-10": (10, 28_539), "bigfoot-demo": (60, 281_241)}
    for name, (number, utterances) in epochs.items():
        assert configs[name].updates == pytest.approx(number * utterances / 4, abs=1), name
        assert configs[name].seed == 42 and configs[name].optim.lr == 5e-5
    paper = configs["bigfoot"]
    epoch = paper.updates // 32
    rates = [linear(n * epoch, paper.optim.lr, paper.schedule, paper.updates) for n in (0, 1, 32)]
    assert rates == pytest.approx([2.5e-5, 5e-5, 0.0], abs=1e-9)
    assert configs["bigfoot-100h-10"].data.train == ("train-clean-100",)
    found = read("distill", "bigfoot").about.wer
    assert found["original, 24 layers"] == "2.63 (dev-clean)" and found["distilled, 4 layers"] == "9.51 (dev-clean)"
    assert list(read("distill", "bigfoot-100h-10").about.wer.values()) == [
        f"{wer} (dev-clean)" for wer in ("6.6", "7.59", "10.42", "16.54")
    ]


def test_a_warm_up_from_nothing_is_as_before() -> None:
    assert [linear(n, 1.0, LinearSchedule(warmup=0.5), 4) for n in (0, 1, 2, 4)] == [0.5, 0.5, 1.0, 0.0]


def test_figures_of_recipes_are_those_of_the_table() -> None:
    assert measured("SEW table 10", "linear", None, None) == "21.9 / 13.2"
    assert measured("wav2vec 2.0 table 5", "Baseline, p = 0.075", None, None) == "7.97 ± 0.02"
    by_model = read("finetune", "100h").about.wer
    assert by_model["sew-tiny (100K)"] == "10.6 / 23.7" and by_model["sew-d-base-plus (400K)"] == "4.4 / 9.2"
    assert read("finetune", "10m-stable").about.wer == {"sew-d-base-plus (100K)": "43.4 / 49.3"}
    assert measured("none, ours", "x", None, None) == {}
