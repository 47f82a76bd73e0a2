"""Rounds of self-training: each stage is the verb's own, what is done is passed over, killed anywhere it goes on."""

import json
import signal
import sys
from pathlib import Path

import pytest
import torch

from sewcli.base.config import build
from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.lm.build import build_ngram
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.self_training.config import SelfTrainingConfig
from sewcli.self_training.rounds import self_train
from sewcli.self_training.table import markdown
from sewcli.text.tokens import Vocabulary

sys.path.append(str(Path(__file__).parents[1] / "chaos"))
from forks import Forks

SPLIT, FEW = "dev-clean", "train-clean-100"
WIDE = {"letters_per_second": [0, 999], "words_per_second": [0, 999], "keep": 0.75}
FAST = {
    "updates": 2,
    "batch": {"seconds": 6, "micro_seconds": 3},
    "extractor_gradient": 1.0,
    "tensorboard": False,
    "checkpoint": {"every": 1},
    "data": {"valid": ["test-clean"]},
}


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("exp") / "start" / "model"
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), folder)
    return folder


def config(model: Path, data: Path, /, **settings) -> SelfTrainingConfig:
    basis = {
        "model": str(model),
        "data": str(data),
        "untranscribed": [SPLIT],
        "labelled": [FEW],
        "test": ["test-clean"],
        "label": {"lm": "none", "filter": WIDE},
        "finetune": FAST,
    }
    return build(SelfTrainingConfig, {**basis, **settings})


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_rounds_then_nothing_to_do_then_one_more(recogniser: Path, prepared: Path, tmp_path: Path, capfd) -> None:
    exp = tmp_path / "exp"
    rows = self_train(config(recogniser, prepared), exp, "cpu")
    assert [row["round"] for row in rows] == ["round-0", "round-1"]
    assert rows[0]["labels"] == [] and rows[0]["model"] == str(recogniser)
    (labels,) = rows[1]["labels"]
    assert labels["utterances"] == 5 and labels["rejected"] == 1 and labels["label_errors"]["kept"]["wer"] > 0.5
    assert set(rows[1]["wer"]["test-clean"]) == {"greedy"}
    made = list(read_jsonl(exp / "round-1" / "labels" / f"cuts_{SPLIT}.jsonl.gz"))
    origin = made[0]["supervisions"][0]["custom"]["pseudo_label"]
    assert origin["round"] == 1 and origin["model_sha256"] == rows[0]["model_sha256"]
    trained = read_json(exp / "round-1" / "data.json")["train"]
    assert trained["utterances"] == 32 + 5
    first = weights(exp / "round-1")
    capfd.readouterr()
    assert self_train(config(recogniser, prepared), exp, "cpu") == rows
    assert capfd.readouterr().err.count("done already") == 2
    more = self_train(config(recogniser, prepared, rounds=2), exp, "cpu")
    assert more[:2] == rows and weights(exp / "round-1") == first and len(more) == 3
    origin = next(read_jsonl(exp / "round-2" / "labels" / f"cuts_{SPLIT}.jsonl.gz"))
    assert origin["supervisions"][0]["custom"]["pseudo_label"]["model_sha256"] == rows[1]["model_sha256"]
    assert read_json(exp / "selftrain.json")["rounds"] == more
    assert (exp / "selftrain.md").read_text() == markdown(more)
    with pytest.raises(UsageError, match=r"another run is in this folder: label.filter.keep 0.75 -> 0.5"):
        self_train(config(recogniser, prepared, label={"lm": "none", "filter": {**WIDE, "keep": 0.5}}), exp, "cpu")


def test_a_pretrained_start_a_language_model_and_another_final_model(prepared: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    start, other = tmp_path / "exp" / "pt" / "model", tmp_path / "exp" / "w2v2-micro" / "model"
    save_pretraining(PretrainingModel(lookup("sew-micro")), start)
    save_pretraining(PretrainingModel(lookup("w2v2-micro")), other)
    build_ngram([prepared / "text_dev-clean.txt"], 2, prepared, tmp_path / "lm" / "2gram.arpa")
    words = tmp_path / "weights.json"  # a model that has heard nothing writes words if they are rewarded
    words.write_text('{"lm_weight": 0.5, "word_score": 5.0}')
    search = {"jobs": 0, "beam": 5, "weights": str(words)}
    label = {"lm": str(tmp_path / "lm" / "2gram.arpa"), "filter": WIDE, "search": search}
    settings = {"label": label, "final": "w2v2-micro", "labelled_times": 3, "begin": "last"}
    exp = tmp_path / "exp" / "self"
    rows = self_train(config(start, prepared, **settings), exp, "cpu")
    assert [row["round"] for row in rows] == ["round-0", "round-1", "final"]
    assert set(rows[2]["wer"]["test-clean"]) == {"greedy", "lm"}
    assert read_json(exp / "round-0" / "data.json")["train"]["utterances"] == 32
    kept = rows[1]["labels"][0]["utterances"]
    assert read_json(exp / "round-1" / "data.json")["train"]["utterances"] == 3 * 32 + kept
    assert read_json(exp / "final" / "model" / "config.json")["model_type"] == "wav2vec2"
    begun = [(exp / name / "config.yaml").read_text() for name in ("round-1", "final")]
    assert f"model: {exp / 'round-0' / 'model'}" in begun[0] and f"model: {other}" in begun[1]
    with pytest.raises(UsageError, match="another number of rounds"):
        self_train(config(start, prepared, **settings, rounds=2), exp, "cpu")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"labelled": [SPLIT]}, "labelled and untranscribed at once"),
        ({"untranscribed": ["dev-clear"]}, "did you mean 'dev-clean'"),
        ({"model": "sew-micro"}, "no weights of 'sew-micro'"),
        ({"labelled": None, "untranscribed": [FEW]}, "no split with true labels is left"),
        ({"untranscribed": []}, "no split to label"),
        ({"final": "sew-d-micro"}, "no pre-training of sew-d-micro"),
        ({"final_finetune": {"update": 3}}, "did you mean 'updates'"),
        ({"finetune": {**FAST, "updats": 3}}, "did you mean 'updates'"),
        ({"finetune": {**FAST, "overrides": {"drop": 0}}}, "unknown key 'drop'"),
        ({"finetune": {**FAST, "data": {"valid": ["dev-claen"]}}}, "did you mean 'dev-clean'"),
        ({"label": {"lm": "4gram"}}, "sew lm ngram --order 4"),
        ({"label": {"lm": "4gram", "search": {"weights": "papr"}}}, "did you mean 'paper'"),
        ({"label": {"lm": "none", "search": {"rescore_weights": "nowhere.json"}}}, "no effect without rescore"),
    ],
)
def test_what_cannot_begin_is_refused_before_any_work(settings, said, recogniser, prepared, tmp_path) -> None:
    with pytest.raises(UsageError, match=said):
        self_train(config(recogniser, prepared, **settings), tmp_path / "exp", "cpu")
    assert not (tmp_path / "exp").exists(), "the corrected command begins as if there had been none"


def test_ranks_are_told_what_to_do(recogniser: Path, prepared: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="torchrun"):
        self_train(config(recogniser, prepared), tmp_path / "exp", "cpu")


def command(model: Path, data: Path, exp: Path) -> list[str]:
    sets = [f"labelled={FEW}", "test=test-clean", "label.filter.letters_per_second=[0,999]", "finetune.updates=2"]
    sets += ["label.filter.words_per_second=[0,999]", "finetune.batch={seconds: 6, micro_seconds: 3}"]
    sets += ["finetune.checkpoint.every=1", "finetune.data.valid=test-clean", "finetune.tensorboard=false"]
    place = ["--model", str(model), "--data", str(data), "--exp", str(exp), "--device", "cpu"]
    words = [word for setting in sets for word in ("--set", setting)]
    return ["selftrain", *place, "--untranscribed", SPLIT, "--lm", "none", "--rounds", "2", *words]


@pytest.mark.parametrize("shares", [(0.5,), pytest.param((0.1, 0.25, 0.4, 0.7, 0.8, 0.97), marks=pytest.mark.long)])
def test_killed_anywhere_the_last_weights_are_the_same(
    shares, recogniser: Path, prepared: Path, tmp_path: Path
) -> None:
    forks = Forks()
    try:
        whole = forks.sew(*command(recogniser, prepared, tmp_path / "whole"), below=tmp_path / "whole")
        assert whole.code == 0 and "WER of the labels" in whole.out, whole.err
        for share in shares:
            exp = tmp_path / f"cut-{share}"
            again = command(recogniser, prepared, exp)
            killed = forks.sew(*again, below=exp, kill_before=int(share * whole.operations))
            assert killed.code == -signal.SIGKILL
            done = forks.sew(*again, below=exp)
            assert done.code == 0, done.err
            assert weights(exp / "round-2") == weights(tmp_path / "whole" / "round-2")
            rates = [
                [row["wer"] for row in read_json(place / "selftrain.json")["rounds"]]
                for place in (exp, tmp_path / "whole")
            ]
            assert rates[0] == rates[1]
    finally:
        forks.close()


def test_without_a_model_the_run_goes_on_with_its_own(
    recogniser: Path, prepared: Path, tmp_path: Path, sew_here, monkeypatch
) -> None:
    monkeypatch.chdir(recogniser.parents[2])  # exp/ of a user is here, whose only recogniser is start/
    arguments = command(recogniser, prepared, tmp_path / "self")
    del arguments[1:3]
    (Path("exp")).symlink_to(recogniser.parents[1])
    told = sew_here(*arguments, "--print-config")
    assert told.returncode == 0 and "rounds: 2\n" in told.stdout and not (tmp_path / "self").exists()
    first = sew_here(*arguments, "--json")
    assert first.returncode == 0, first.stderr
    again = sew_here(*arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert [json.loads(line) for line in again.stdout.splitlines()] == [
        json.loads(line) for line in first.stdout.splitlines()
    ]
    assert again.stderr.count("done already") == 3
