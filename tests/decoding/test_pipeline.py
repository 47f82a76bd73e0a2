"""`sew decode` and `sew score` on real files: a small model with random weights, a corpus with every kind of trouble."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sewcli.base.errors import DataError
from sewcli.base.files import read_json, read_jsonl, write_jsonl
from sewcli.base.rng import numpy_rng
from sewcli.cli.app import main
from sewcli.data.utterances import read_split
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.emissions import emissions, plan_batches
from sewcli.decoding.greedy import greedy
from sewcli.decoding.nbest import read_nbest
from sewcli.decoding.pipeline import decode
from sewcli.lm.build import build_ngram
from sewcli.models.ctc import CTCModel
from sewcli.models.fairseq import save_fairseq
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.scoring.score import score_folder
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[1] / "lm" / "golden"
LENGTHS = {"a": 16_000, "b": 9_000, "c": 23_456, "tiny": 100, "d": 16_000, "e": 5_000}


@pytest.fixture
def corpus(tmp_path: Path, sentences: list[str]) -> Path:
    """data/: one split `test-x`, in an order that is not that of the lengths."""
    folder = tmp_path / "data"
    folder.mkdir()
    cuts = []
    for (name, samples), text in zip(LENGTHS.items(), sentences, strict=False):
        path = tmp_path / f"{name}.wav"
        wave = 0.3 * numpy_rng(0, "decode-test", name).standard_normal(samples)
        soundfile.write(path, np.clip(wave, -1, 1), 16_000, subtype="PCM_16")
        cuts.append(cut(name, path, samples, text))
    write_jsonl(folder / "cuts_test-x.jsonl.gz", cuts)
    (folder / "text_train.txt").write_text("\n".join(sentences))
    build_ngram([], 3, folder, None)
    return folder


def cut(name: str, path: Path, samples: int, text: str, rate: int = 16_000) -> dict:
    source = {"type": "file", "channels": [0], "source": str(path)}
    recording = {
        "id": name,
        "sources": [source],
        "sampling_rate": rate,
        "num_samples": samples,
        "duration": samples / rate,
    }
    supervision = {"id": name, "recording_id": name, "start": 0, "duration": samples / rate, "channel": 0, "text": text}
    return {
        "id": name,
        "start": 0,
        "duration": samples / rate,
        "channel": 0,
        "recording": recording,
        "supervisions": [supervision],
        "type": "MonoCut",
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """exp/small/model/: random weights, the head enlarged so that something is written."""
    torch.manual_seed(3)
    vocabulary = Vocabulary.letters()
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    with torch.no_grad():
        network.head.weight.mul_(5)
    folder = tmp_path_factory.mktemp("exp") / "small" / "model"
    save_ctc(network, vocabulary, folder)
    return folder


def rows(folder: Path) -> dict[str, dict]:
    return {row["id"]: row for row in read_jsonl(folder / "hyps.jsonl")}


def test_viterbi_writes_what_greedy_writes(model: Path, corpus: Path, tmp_path: Path) -> None:
    (greedily,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU)
    (searched,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU, lm="viterbi")
    assert searched.folder == tmp_path / "out" / "data-test-x-viterbi" != greedily.folder
    assert rows(searched.folder) == rows(greedily.folder)  # scores too
    assert read_json(searched.folder / "decode.json")["decoder"] == "viterbi"


def test_an_empty_transcript_is_one_and_none_is_not(model: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = corpus / "cuts_test-x.jsonl.gz"
    cuts = list(read_jsonl(manifest))
    cuts[0]["supervisions"][0]["text"] = ""
    del cuts[1]["supervisions"][0]["text"]
    write_jsonl(manifest, cuts)
    (done,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU)
    found = rows(done.folder)
    assert found["a"]["reference"] == "" and "reference" not in found["b"] and found["c"]["reference"]
    score = score_folder(done.folder)
    assert score["insertions"] >= len(found["a"]["text"].split()) > 0 and score["without_reference"] == 1


def test_options_without_effect_are_told(model: Path, corpus: Path, sew) -> None:
    command = ("decode", "--model", str(model), "--data", str(corpus), "--device", "cpu")
    assert "no effect" not in sew(*command)[2]
    _, _, err = sew(*command, "--beam", "50", "--weights", "paper")
    assert "--beam has no effect" in err and "--weights has no effect" in err


def test_greedy_folder_holds_every_utterance_in_the_corpus_order(model: Path, corpus: Path, tmp_path: Path) -> None:
    (done,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU)
    assert (done.folder, done.failed) == (tmp_path / "out" / "data-test-x-greedy", 0)
    found = rows(done.folder)
    assert list(found) == list(LENGTHS)
    network, vocabulary = load_ctc(model)
    network.eval()
    for utterance in read_split(corpus, "test-x"):  # one by one, without our batches
        assert found[utterance.id]["reference"] == utterance.text
        if utterance.id == "tiny":
            assert found["tiny"]["text"] == ""
            continue
        with torch.inference_mode():
            logits = network(torch.from_numpy(utterance.wave())[None], torch.tensor([utterance.samples])).logits[0]
        assert found[utterance.id]["text"] == vocabulary.text(greedy(logits.numpy(), blank=0))
    assert sum(len(row["text"]) for row in found.values()) > 20
    summary = read_json(done.folder / "decode.json")
    assert summary["lm"] is None and summary["split"] == "test-x" and summary["utterances"] == len(LENGTHS)
    assert summary["audio_seconds"] == pytest.approx(sum(LENGTHS.values()) / 16_000, abs=1e-3)
    expected = (summary["model_seconds"] + summary["decoder_seconds"]) / summary["audio_seconds"]
    assert summary["real_time_factor"] == pytest.approx(expected, rel=1e-3) and summary["model_seconds"] > 0
    assert not (done.folder / "failed.jsonl").exists()


@pytest.mark.parametrize("jobs", [0, 2])
def test_beam_folders_hold_words_of_the_lexicon_whatever_the_jobs(
    jobs: int, model: Path, corpus: Path, tmp_path: Path
) -> None:
    options = BeamOptions(beam=20, lm_weight=1.5)
    (done,) = decode(
        model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU, lm="3gram", options=options, jobs=jobs
    )
    assert done.folder.name == "data-test-x-3gram-beam20-lm_weight1.5"
    known = {line.split()[0] for line in (corpus / "lm" / "lexicon.txt").read_text().splitlines()}
    texts = {name: row["text"] for name, row in rows(done.folder).items()}
    assert {word for text in texts.values() for word in text.split()} <= known
    assert any(texts.values())
    summary = read_json(done.folder / "decode.json")
    assert Path(summary["lm"]).name == "3gram.arpa" and summary["beam"] == 20 and summary["jobs"] == jobs
    again = decode(
        model, corpus, ["test-x"], out=tmp_path / "2", device=lambda: CPU, lm="3gram", options=options, jobs=1
    )
    assert {name: row["text"] for name, row in rows(again[0].folder).items()} == texts


def test_nbest_lists_lie_beside_the_hypotheses_and_shards_join_them(model: Path, corpus: Path, tmp_path: Path) -> None:
    options = BeamOptions(beam=30, nbest=5)
    settings = {"device": lambda: CPU, "lm": "3gram", "options": options, "jobs": 1}
    (whole,) = decode(model, corpus, ["test-x"], out=tmp_path / "whole", **settings)
    lists = dict(read_nbest(whole.folder))
    best = rows(whole.folder)
    assert list(lists) == list(LENGTHS) and any(len(found) == 5 for found in lists.values())
    for name, found in lists.items():
        assert (found[0].text, found[0].score) == (best[name]["text"], pytest.approx(best[name]["score"], abs=1e-4))
    for number in (2, 1):
        (done,) = decode(model, corpus, ["test-x"], out=tmp_path / "parts", shard=(number, 2), **settings)
    assert {name: [h.text for h in found] for name, found in read_nbest(done.folder)} == {
        name: [h.text for h in found] for name, found in lists.items()
    }
    assert list(dict(read_nbest(done.folder))) == list(LENGTHS)


@pytest.mark.parametrize("shards", [1, 2])
def test_kept_emissions_stand_in_for_the_model(shards: int, model: Path, corpus: Path, tmp_path: Path) -> None:
    options = BeamOptions(beam=20, nbest=3)
    settings = {"lm": "3gram", "options": options, "jobs": 0}
    (expected,) = decode(model, corpus, ["test-x"], out=tmp_path / "other", device=lambda: CPU, **settings)
    for number in range(1, shards + 1):
        shard = (number, shards)
        decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU, keep="float32", shard=shard)
    for name in LENGTHS:
        (tmp_path / f"{name}.wav").unlink()

    def no_device() -> torch.device:
        raise AssertionError("the model was to run")

    (found,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=no_device, **settings)
    kept, run = (read_json(folder / "decode.json") for folder in (found.folder, expected.folder))
    assert kept["device"] == run["device"] and kept["model_seconds"] > 0 and kept["inputs"] == run["inputs"]
    if shards == 1:  # the same batches
        assert (found.folder / "hyps.jsonl").read_bytes() == (expected.folder / "hyps.jsonl").read_bytes()
    assert {n: r["text"] for n, r in rows(found.folder).items()} == {
        n: r["text"] for n, r in rows(expected.folder).items()
    }
    with pytest.raises(AssertionError, match="was to run"):  # float16 is wanted, and not there
        decode(model, corpus, ["test-x"], out=tmp_path / "out", device=no_device, keep="float16", **settings)
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), tmp_path / "another" / "model")
    with pytest.raises(AssertionError, match="was to run"):  # those of other weights do not
        decode(tmp_path / "another/model", corpus, ["test-x"], out=tmp_path / "out", device=no_device)


def test_emissions_in_float16_do_not_change_hypotheses_in_silence(model: Path, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (first,) = decode(model, corpus, ["test-x"], out=out, device=lambda: CPU, keep="float16")
    assert read_json(out / "data-test-x.emissions/1-of-1/emissions.json")["type"] == "float16"
    before = (first.folder / "decode.json").stat().st_mtime_ns
    (again,) = decode(model, corpus, ["test-x"], out=out, device=lambda: CPU, keep="float16")
    assert not again.new and (first.folder / "decode.json").stat().st_mtime_ns == before
    for name in LENGTHS:
        (tmp_path / f"{name}.wav").unlink()
    with pytest.raises(DataError, match="none of the 6"):  # the model runs, and has nothing to hear
        decode(model, corpus, ["test-x"], out=out, device=lambda: CPU, lm="3gram", jobs=0)


def test_batches_change_no_emission_and_hide_no_padding(model: Path, corpus: Path) -> None:
    network, _ = load_ctc(model)
    network.eval()
    acoustic = TorchModel(network, CPU)
    utterances = read_split(corpus, "test-x")
    together = {u.id: e for u, e in emissions(acoustic, utterances, batch_seconds=60)}
    alone = {u.id: e for u, e in emissions(acoustic, utterances, batch_seconds=0.001)}
    for utterance in utterances:
        own = together[utterance.id]
        assert own.shape == (max(0, int(network.encoder.frames(utterance.samples))), 32)
        assert own.dtype == np.float32 and own.flags.c_contiguous
        np.testing.assert_allclose(own, alone[utterance.id], atol=2e-5)
        np.testing.assert_allclose(np.exp(own).sum(axis=1), 1, atol=1e-5)
    assert [name for name in together if name != "tiny"] == ["c", "a", "d", "b", "e"]  # the longest first


def test_batch_plans_keep_the_budget_and_every_utterance() -> None:
    samples = [5, 100, 7, 7, 30, 31, 1, 400]
    batches = plan_batches(samples, 100)
    assert sorted(i for batch in batches for i in batch) == list(range(len(samples)))
    assert all(len(batch) == 1 or max(samples[i] for i in batch) * len(batch) <= 100 for batch in batches)
    assert batches == [[7], [1], [5, 4, 2], [3, 0, 6]]


def test_audio_that_cannot_be_read_is_listed_and_the_rest_is_done(model: Path, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes((tmp_path / "b.wav").read_bytes()[:500])
    (tmp_path / "d.wav").unlink()
    cuts = list(read_jsonl(corpus / "cuts_test-x.jsonl.gz"))
    soundfile.write(tmp_path / "slow.wav", np.zeros(8000), 8000)
    write_jsonl(corpus / "cuts_test-x.jsonl.gz", [*cuts, cut("slow", tmp_path / "slow.wav", 8000, "SO", 8000)])
    (done,) = decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU)
    assert done.failed == 3
    assert list(rows(done.folder)) == ["a", "c", "tiny", "e"]
    failed = {row["id"]: row["reason"] for row in read_jsonl(done.folder / "failed.jsonl")}
    assert set(failed) == {"b", "d", "slow"} and "8000 Hz" in failed["slow"]
    score = score_folder(done.folder)
    assert (score["utterances"], score["failed"]) == (4, 3)
    network, _ = load_ctc(model)
    with pytest.raises(DataError):  # without a listener it is an error
        list(emissions(TorchModel(network, CPU), read_split(corpus, "test-x")))


def test_a_split_of_which_nothing_can_be_decoded_is_an_error(model: Path, corpus: Path, tmp_path: Path) -> None:
    for name in LENGTHS:
        (tmp_path / f"{name}.wav").write_bytes(b"")
    with pytest.raises(DataError, match="none of the 6 utterances"):
        decode(model, corpus, ["test-x"], out=tmp_path / "out", device=lambda: CPU)
    assert not (tmp_path / "out").exists()


def test_a_model_of_nan_is_an_error_in_both_decoders(model: Path, corpus: Path, tmp_path: Path) -> None:
    network, vocabulary = load_ctc(model)
    torch.nn.init.constant_(network.head.bias, float("nan"))
    save_ctc(network, vocabulary, tmp_path / "nan" / "model")
    for lm in (None, "3gram"):
        with pytest.raises(DataError, match=r"lm_head\.bias holds weights that are NaN"):
            decode(
                tmp_path / "nan" / "model", corpus, ["test-x"], out=tmp_path / "o", device=lambda: CPU, lm=lm, jobs=0
            )


@pytest.fixture
def sew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sew", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return int(str(code)), shown.out, shown.err

    return run


def test_the_commands_decode_score_and_say_what_failed(model: Path, corpus: Path, tmp_path: Path, sew) -> None:
    common = ["--model", str(model), "--data", "data", "--device", "cpu", "--out", "exp/x/decode"]
    code, out, err = sew("decode", *common, "--json")
    assert code == 0, err
    (shown,) = [json.loads(line) for line in out.splitlines()]
    assert (shown["split"], shown["decoder"], shown["utterances"]) == ("test-x", "greedy", 6)
    assert shown["wer"] == read_json(tmp_path / "exp/x/decode/data-test-x-greedy/score.json")["wer"]

    (tmp_path / "a.wav").write_bytes(b"")
    code, out, err = sew("decode", *common, "--lm", "3gram", "--beam", "10", "--jobs", "1")
    assert code == 4 and "WER" in out and "failed.jsonl" in err

    code, out, err = sew("decode", *common, "--lm", "3gram", "--beam", "10", "--jobs", "1", "--search", "exhaustive")
    fast, wide = (
        read_json(tmp_path / f"exp/x/decode/data-test-x-3gram-beam10{n}/decode.json") for n in ("", "-exhaustive")
    )
    assert (fast["beam_tokens"], fast["threshold"], wide["beam_tokens"], wide["threshold"]) == (5, 15.0, None, 25.0)
    code, out, err = sew("decode", *common, "--search", "exhaustive")
    assert code == 2 and "--lm 4gram" in err

    code, out, err = sew("score", "--json")
    assert code == 0 and len(out.splitlines()) == 3

    code, out, err = sew("decode", *common, "--nbest", "3")
    assert code == 2 and "--lm 4gram --nbest" in err
    code, out, err = sew("decode", *common, "--lexicon-free", "--nbest", "2", "--beam", "5", "--jobs", "0")
    assert code == 4 and (tmp_path / "exp/x/decode/data-test-x-no-lm-free-beam5-nbest2/nbest.jsonl").is_file(), err
    code, out, err = sew("decode", *common, "--lexicon-free", "--lm", "3gram")
    assert code == 3 and "--unit letter" in err
    code, out, err = sew("decode", *common, "--lm", "4gram")
    assert code == 2 and "sew lm ngram --order 4" in err and out == ""
    code, out, err = sew("decode", *common, "--split", "test-y")
    assert code == 2 and "'test-x'" in err
    code, out, err = sew("decode", *common, "--out", "elsewhere", "--device", "cuda:77")
    assert code == 2 and "cuda:77" in err
    code, out, err = sew("decode", *common, "--beam", "0")
    assert code == 2 and "--beam" in err


def test_a_model_may_be_named_in_several_ways(model: Path, corpus: Path, tmp_path: Path, sew, monkeypatch) -> None:
    common = ["--data", "data", "--device", "cpu"]
    save_ctc(*load_ctc(model), tmp_path / "exp" / "mine" / "model")
    code, _, err = sew("decode", "--model", "exp/mine", *common)  # the experiment, not the model in it
    assert code == 0 and (tmp_path / "exp/mine/decode/data-test-x-greedy/score.json").is_file(), err
    expected = rows(tmp_path / "exp/mine/decode/data-test-x-greedy")
    save_fairseq(*load_ctc(model), tmp_path / "theirs")
    code, _, err = sew("decode", "--model", "theirs/model.pt", *common)
    assert code == 0 and rows(tmp_path / "exp/model/decode/data-test-x-greedy") == expected, err
    for name in ("sew-tiny", "sew-d-base+", "sew-tiny+k127"):
        code, _, err = sew("decode", "--model", name, *common)
        assert code == 2 and "a model of the zoo, without weights" in err and f"sew finetune --model {name}" in err
    code, _, err = sew("decode", "--model", "exp/yours", *common)
    assert code == 2 and "no such model folder" in err


@pytest.mark.parametrize("given", ["nan,0", "inf,-1", "2,-inf", "2", "2,", "1e999,0"])
def test_weights_of_the_search_are_two_finite_numbers(given: str, model: Path, corpus: Path, sew) -> None:
    code, _, err = sew("decode", "--model", str(model), "--data", "data", "--lm", "3gram", "--weights", given)
    assert code == 2 and f"no weights '{given}'" in err and "2.5,-1" in err


def test_shards_by_hand(model: Path, corpus: Path, sew, monkeypatch) -> None:
    common = ["--model", str(model), "--data", "data", "--device", "cpu", "--out", "out"]
    code, out, err = sew("decode", *common, "--shard", "1/2")
    assert code == 0 and out == "" and "1-of-2" in err
    code, out, err = sew("decode", *common, "--shard", "2/2")
    assert code == 0 and out.count("test-x") == 1, err
    code, out, err = sew("decode", *common, "--shard", "3/2")
    assert code == 2 and "no shard 3 of 2" in err
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, out, err = sew("decode", *common, "--shard", "1/2")
    assert code == 2 and "--shard within torchrun" in err


def test_the_newest_recogniser_is_the_default(model: Path, corpus: Path, tmp_path: Path, sew) -> None:
    code, _, err = sew("decode", "--data", "data")
    assert code == 2 and "sew finetune" in err
    network, vocabulary = load_ctc(model)
    save_ctc(network, vocabulary, tmp_path / "exp" / "mine" / "model")
    code, out, err = sew("decode", "--data", "data", "--device", "cpu")
    assert code == 0, err
    assert "test-x" in out and (tmp_path / "exp/mine/decode/data-test-x-greedy/score.json").is_file()


def test_the_lm_command_writes_what_decode_finds(corpus: Path, sew) -> None:
    code, out, err = sew("lm", "ngram", "--order", "2", "--data", "data", "--json")
    assert code == 0, err
    assert json.loads(out)["order"] == 2 and (corpus / "lm" / "2gram.arpa").is_file()
    code, out, _ = sew("lm", "ngram", "--order", "2", "--data", "data")
    assert code == 0 and "1-grams" in out
    for order in ("1", "7"):
        assert sew("lm", "ngram", "--order", order, "--data", "data")[0] == 2
    code, _, err = sew("lm", "ngram", "--out", "x.txt", "--data", "data")
    assert code == 2 and ".arpa" in err
