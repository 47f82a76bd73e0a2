"""Labels on disk: a data folder that every other verb takes, made once, the same in shards and after a SIGKILL."""

import fcntl
import gzip
import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
from support.emission_splits import emission_split
from support.refusals import refused

from sewcli.base.config import build
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl, sha256, write_json, write_jsonl
from sewcli.data.utterances import read_split
from sewcli.lm.tokenizer import train_tokenizer
from sewcli.self_training import pseudo_labels as module
from sewcli.self_training.label_config import LabelConfig
from sewcli.self_training.manifest import CUSTOM, WORK
from sewcli.self_training.pseudo_labels import Labelled, candidates_of, model_digest, pseudo_label

sys.path.append(str(Path(__file__).parents[1] / "chaos"))
from forks import Forks

CPU = torch.device("cpu")
WIDE = {"letters_per_second": [0, 999], "words_per_second": [0, 999]}
CUTS, TEXTS = "cuts_train-clean-100.jsonl.gz", "text_train-clean-100.txt"


def label(model: Path, data: Path, out: Path, split: str = "train-clean-100", **settings) -> Labelled:
    places = {key: settings.pop(key) for key in ("shard", "without", "number") if key in settings}
    config = build(LabelConfig, {"lm": "none", **settings, "filter": {**WIDE, **settings.get("filter", {})}})
    (done,) = pseudo_label(model, data, [split], config, out=out, device=lambda: CPU, **places)
    return done


@pytest.fixture
def heard_data(tmp_path: Path, heard: Path, sentences: list[str], small_model: Path) -> Path:
    """data/ with a 3-gram, and what a model heard of its split `test`, kept where labelling looks for it."""
    emission_split(heard, "test", sentences[40:65], small_model, tmp_path / "out" / WORK)
    return heard


def test_labels_are_the_searchs_texts_and_say_where_they_come_from(
    heard_data: Path, small_model: Path, tmp_path: Path, sentences: list[str]
) -> None:
    done = label(small_model, heard_data, tmp_path / "out", "test", lm="3gram", number=2, filter={"keep": 0.8})
    rows = list(read_jsonl(tmp_path / "out" / "cuts_test.jsonl.gz"))
    assert done.entry is not None and len(rows) == done.entry["utterances"] == 20 and done.entry["rejected"] == 5
    truth = {u.id: u.text for u in read_split(heard_data, "test")}
    for row in rows:
        (supervision,) = row["supervisions"]
        origin = supervision["custom"][CUSTOM]
        assert origin["model_sha256"] == model_digest(small_model) and origin["lm"] == "3gram" and origin["round"] == 2
        assert 0 <= origin["confidence"] <= 1 and origin["agreement"] <= 1
    kept = {row["id"]: row["supervisions"][0]["text"] for row in rows}
    rejected = {row["id"]: row for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")}
    assert kept.keys().isdisjoint(rejected) and kept.keys() | rejected.keys() == truth.keys()
    assert all(row["reason"].startswith("confidence below that of the share kept") for row in rejected.values())
    wrong = sum(text != truth[name] for name, text in kept.items())
    errors = done.entry[CUSTOM]["label_errors"]
    assert errors["kept"]["cuts_without_error"] == 20 - wrong and errors["all"]["cuts"] == 25
    assert errors["kept"]["wer"] < errors["all"]["wer"], "the share that is kept is the better one"
    (hypotheses,) = (tmp_path / "out" / WORK).glob("data-test-3gram-*/hyps.jsonl")
    assert kept.items() <= {row["id"]: row["text"] for row in read_jsonl(hypotheses)}.items()


@pytest.fixture
def tiny_lm(tmp_path: Path, sentences: list[str]) -> Path:
    """A causal language model with random weights, that knows the words."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = train_tokenizer(sentences, "word", 1000, 64)
    size = len(tokenizer.get_vocab())
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=size, n_positions=64, n_embd=8, n_layer=1, n_head=1, initializer_range=1.0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_neural_model_chooses_anew_and_only_once(
    heard_data: Path, small_model: Path, tiny_lm: Path, tmp_path: Path, monkeypatch, capfd
) -> None:
    out, weights, loads = tmp_path / "out", tmp_path / "weights.json", []
    write_json(weights, {"lm_weight": 0.5, "word_score": 0.0, "nn_weight": 3.0})
    search = {"rescore_weights": str(weights), "nbest": 8, "beam": 20, "jobs": 0}

    class Counted(module.NeuralLanguageModel):
        def __init__(self, *arguments) -> None:
            with open(out / ".lock") as lock, pytest.raises(BlockingIOError):  # no other shard rescores meanwhile
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            loads.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(module, "NeuralLanguageModel", Counted)

    def labelled(**settings) -> Labelled:
        return label(small_model, heard_data, out, "test", lm="3gram", rescore=str(tiny_lm), **settings)

    done = labelled(search=search)
    (chosen,) = (out / WORK).glob("data-test-3gram-*-tiny")
    folder = chosen.with_name(chosen.name.removesuffix("-tiny"))
    lists = {row["id"]: {e["text"]: e["am"] for e in row["nbest"]} for row in read_jsonl(folder / "nbest.jsonl")}
    before = {row["id"]: row["text"] for row in read_jsonl(folder / "hyps.jsonl")}
    candidates = candidates_of(folder, chosen, {u.id: u for u in read_split(heard_data, "test")})
    assert [c.text for c in candidates] == [row["text"] for row in read_jsonl(chosen / "hyps.jsonl")]
    assert any(c.text != before[c.id] for c in candidates), "the weights make it choose otherwise"
    assert all(c.am == lists[c.id][c.text] for c in candidates)
    texts = {c.id: c.text for c in candidates}
    for row in read_jsonl(out / "cuts_test.jsonl.gz"):
        (supervision,) = row["supervisions"]
        assert supervision["text"] == texts[row["id"]]
        origin = supervision["custom"][CUSTOM]
        assert origin["rescored_by"] == str(tiny_lm) and origin["rescored_by_sha256"] == model_digest(tiny_lm)
        assert origin["lm_sha256"] == sha256(next((heard_data / "lm").glob("3gram.*[!t]")))
    other = labelled(search=search, filter={"keep": 0.5})
    assert done.entry and other.entry and other.entry["utterances"] < done.entry["utterances"]
    assert len(loads) == 1 and "rescored already" in capfd.readouterr().err
    labelled(search={**search, "rescore_weights": None})
    assert len(loads) == 2 and "is a guess" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lm": "9gram"}, "no language model '9gram'"),
        ({"search": {"weights": "papr"}}, "did you mean 'paper'"),
        ({"rescore": "exp/nosuch"}, "no neural language model here"),
        ({"rescore": "MODEL"}, "not a causal language model"),
        ({"rescore": "LM", "search": {"rescore_weights": "nowhere.json"}}, "no such file"),
        ({"search": {"rescore_weights": "nowhere.json"}}, "has no effect without rescore"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_decoded(
    settings, said: str, heard_data: Path, small_model: Path, tiny_lm: Path, tmp_path: Path
) -> None:
    places = {"MODEL": str(small_model), "LM": str(tiny_lm)}
    settings = {key: places.get(value, value) if isinstance(value, str) else value for key, value in settings.items()}
    with pytest.raises((UsageError, DataError), match=said):
        label(small_model, heard_data, tmp_path / "out", "test", **{"lm": "3gram", **settings})
    assert not list((tmp_path / "out").rglob("hyps.jsonl"))


def test_true_texts_play_no_part(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind"
    rows = list(read_jsonl(prepared / CUTS))
    write_jsonl(blind / CUTS, [{**row, "supervisions": [{**row["supervisions"][0], "text": ""}]} for row in rows])
    seeing = label(small_model, prepared, tmp_path / "a")
    unseeing = label(small_model, blind, tmp_path / "b")
    assert seeing.entry and unseeing.entry
    assert seeing.entry[CUSTOM]["label_errors"]["all"]["wer"] > 0.5
    assert unseeing.entry[CUSTOM]["label_errors"] is None
    assert (tmp_path / "a" / TEXTS).read_bytes() == (tmp_path / "b" / TEXTS).read_bytes()
    truths = {u.text for u in read_split(prepared, "train-clean-100")}
    with gzip.open(tmp_path / "a" / CUTS, "rt") as cuts:
        written = cuts.read() + (tmp_path / "a" / "rejected.jsonl").read_text()
    assert truths and not any(f'"{text}"' in written for text in truths)


def test_done_once_and_other_filters_need_no_model(prepared: Path, small_model: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "out"
    first = label(small_model, prepared, out)
    before = (out / CUTS).stat().st_mtime_ns
    assert label(small_model, prepared, out).entry == first.entry and (out / CUTS).stat().st_mtime_ns == before
    assert "labelled already" in capfd.readouterr().err
    other = label(small_model, prepared, out, filter={"keep": 0.5})
    assert "decoded already" in capfd.readouterr().err
    assert other.entry and first.entry and other.entry["utterances"] == 16 and first.entry["utterances"] == 29
    (out / TEXTS).write_text("changed by hand\n")
    assert label(small_model, prepared, out, filter={"keep": 0.5}).entry == other.entry
    assert (out / TEXTS).read_text() != "changed by hand\n"


def test_cuts_with_true_labels_are_passed_over(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    rows = list(read_jsonl(data / CUTS))
    write_jsonl(data / "cuts_few.jsonl.gz", rows[:8])
    done = label(small_model, data, tmp_path / "out", without=["few"], filter={"keep": 1.0})
    named = {row["id"] for row in read_jsonl(tmp_path / "out" / CUTS)}
    named |= {row["id"] for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")}
    assert named == {row["id"] for row in rows[8:]}
    assert done.entry and done.entry["utterances"] + done.entry["rejected"] == len(rows) - 8


def test_cuts_of_other_lengths_are_not_decoded(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    lengths = sorted(u.seconds for u in read_split(prepared, "train-clean-100"))
    label(small_model, prepared, tmp_path / "out", filter={"max_seconds": lengths[20], "min_seconds": lengths[3]})
    reasons = [row["reason"].partition(":")[0] for row in read_jsonl(tmp_path / "out" / "rejected.jsonl")]
    assert reasons.count("too long") == 11 and reasons.count("too short") == 3
    hypotheses = next((tmp_path / "out" / WORK).glob("*/hyps.jsonl"))
    assert len(list(read_jsonl(hypotheses))) == 18
    with pytest.raises(DataError, match="no cut to label: 32"):
        label(small_model, prepared, tmp_path / "none", filter={"max_seconds": 0.2})


def test_shards_and_pieces_give_what_one_process_gives(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    label(small_model, prepared, tmp_path / "whole")
    small = {"search": {"save_hours": 0.002}}
    assert label(small_model, prepared, tmp_path / "shards", shard=(1, 2), **small).entry is None
    assert not (tmp_path / "shards" / CUTS).exists()
    assert label(small_model, prepared, tmp_path / "shards", shard=(2, 2), **small).entry is not None
    # Figures of a text may differ in the last digit with the batch it was in; texts and what is kept may not.
    one, joined = (tmp_path / "whole", tmp_path / "shards")
    assert (one / TEXTS).read_bytes() == (joined / TEXTS).read_bytes()
    ids = [[row["id"] for row in read_jsonl(place / CUTS)] for place in (one, joined)]
    assert ids[0] == ids[1] and len(ids[0]) == len(set(ids[0])) == 29
    lost = [[(row["id"], row["text"]) for row in read_jsonl(place / "rejected.jsonl")] for place in (one, joined)]
    assert lost[0] == lost[1] and len(lost[0]) == 3


def test_labels_never_take_the_place_of_a_corpus(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    before = (data / CUTS).read_bytes()
    with refused(UsageError, "split-exists"):
        label(small_model, data, data)
    assert (data / CUTS).read_bytes() == before


def test_no_label_is_an_error_that_tells_the_reasons(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no label is kept .*confidence below the least"):
        label(small_model, prepared, tmp_path / "out", filter={"min_confidence": 1.0})
    assert not (tmp_path / "out" / CUTS).exists()


def test_the_command_and_a_check_of_what_it_wrote(prepared: Path, small_model: Path, tmp_path: Path, sew_here) -> None:
    out = tmp_path / "made"
    place = ("--model", small_model, "--data", prepared, "--split", "train-clean-100", "--out", out, "--device", "cpu")
    sets = [word for key in ("letters", "words") for word in ("--set", f"filter.{key}_per_second=[0,999]")]
    done = sew_here("pseudo-label", *place, "--lm", "none", "--keep", "0.75", *sets, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["utterances"] == 24 and told["rejected"] == 8 and told["pseudo_label"]["share_kept"] == 0.75
    checked = sew_here("check", out)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shown = sew_here("pseudo-label", *place, "--lm", "none", "--keep", "0.75", *sets)
    assert "labelled" in shown.stdout and "75.0 %" in shown.stdout and "word error rate of the labels" in shown.stdout
    told = sew_here("pseudo-label", "--split", "any", "--keep", "0.75", "--print-config")
    assert told.returncode == 0 and "keep: 0.75\n" in told.stdout and "lm: 4gram\n" in told.stdout
    refused = sew_here("pseudo-label", *place, "--lm", "none", "--set", "filter.kep=1")
    assert refused.returncode == 2 and "did you mean 'keep'" in refused.stderr


def test_a_cut_that_cannot_be_read_is_set_aside(prepared: Path, small_model: Path, tmp_path: Path, sew_here) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    rows = list(read_jsonl(prepared / CUTS))
    broken = tmp_path / "broken.flac"
    broken.write_bytes(Path(rows[5]["recording"]["sources"][0]["source"]).read_bytes()[:900])
    rows[5]["recording"]["sources"][0]["source"] = str(broken)
    write_jsonl(data / CUTS, rows)
    place = ("--model", small_model, "--data", data, "--split", "train-clean-100", "--out", out, "--device", "cpu")
    sets = [word for key in ("letters", "words") for word in ("--set", f"filter.{key}_per_second=[0,999]")]
    done = sew_here("pseudo-label", *place, "--lm", "none", "--keep", "1", *sets)
    assert done.returncode == 4 and "1 cuts cannot be read" in done.stderr
    (bad,) = [row for row in read_jsonl(out / "rejected.jsonl") if row["reason"].startswith("unreadable")]
    assert bad["id"] == rows[5]["id"] and len(list(read_jsonl(out / CUTS))) == 31


def test_killed_anywhere_no_cut_is_lost_or_doubled(prepared: Path, small_model: Path, tmp_path: Path) -> None:
    forks = Forks()
    place = (
        "--model",
        small_model,
        "--data",
        prepared,
        "--split",
        "train-clean-100",
        "--lm",
        "none",
        "--device",
        "cpu",
    )
    sets = ["filter.letters_per_second=[0,999]", "filter.words_per_second=[0,999]", "search.save_hours=0.003"]
    command = ("pseudo-label", *place, *(word for setting in sets for word in ("--set", setting)))
    try:
        whole = forks.sew(*command, "--out", tmp_path / "whole", below=tmp_path / "whole")
        assert whole.code == 0 and whole.operations > 60, whole
        for number, share in enumerate((0.15, 0.4, 0.6, 0.8, 0.9, 0.96)):
            out = tmp_path / f"cut-{number}"
            killed = forks.sew(*command, "--out", out, below=out, kill_before=int(share * whole.operations))
            assert killed.code == -signal.SIGKILL
            again = forks.sew(*command, "--out", out, below=out)
            assert again.code == 0, again.err
            if share > 0.3:
                assert again.operations < whole.operations, "what was decoded is not decoded again"
            for name in (CUTS, TEXTS, "rejected.jsonl"):
                assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (name, share)
            entries = [read_json(place / "prep.json")["splits"] for place in (out, tmp_path / "whole")]
            assert entries[0] == entries[1]
            assert not list(out.glob(".tmp-*"))
    finally:
        forks.close()
