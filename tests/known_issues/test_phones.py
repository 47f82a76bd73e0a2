"""A vocabulary of phones from end to end: labels, decoding, PER, a language model of phones, and what has no words."""

import json
from pathlib import Path

import pytest
import torch
from support.refusals import refused

from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl, write_jsonl
from sewcli.lm.build import build_ngram
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

PHONES = ("t", "ts", "tʃ", "s", "iː", "ə", "ʃ", "d͡ʒ")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    file = tmp_path_factory.mktemp("phones") / "phones.txt"
    file.write_text("".join(f"{phone}\n" for phone in PHONES))
    return Vocabulary.read(file)


@pytest.fixture(scope="module")
def model(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exp") / "phones" / "model"
    torch.manual_seed(3)
    network = CTCModel(lookup("sew-micro"), len(vocabulary))
    with torch.no_grad():
        network.head.weight.mul_(5)
    save_ctc(network, vocabulary, folder)
    return folder


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """A prepared corpus whose transcripts are phones."""
    out = tmp_path / "data"
    out.mkdir()
    rows = list(read_jsonl(prepared / "cuts_dev-clean.jsonl.gz"))
    for row in rows:
        row["supervisions"][0]["text"] = "tʃ iː\ts ts ə"
    write_jsonl(out / "cuts_dev-clean.jsonl.gz", rows)
    (out / "prep.json").write_text((prepared / "prep.json").read_text())
    (out / "text_train.txt").write_text("tʃ iː s ts ə\nt s ə ʃ iː\n" * 5)
    return out


@pytest.mark.fault("W7", "report-8")
def test_each_phone_is_a_symbol(vocabulary: Vocabulary, model: Path) -> None:
    assert vocabulary.separated and vocabulary.boundary is None
    for own in (vocabulary, load_ctc(model)[1]):
        ids = own.encode("t s  ts tʃ\td͡ʒ")
        assert [own.tokens[i] for i in ids] == ["t", "s", "ts", "tʃ", "d͡ʒ"]
        assert own.text(ids) == "t s ts tʃ d͡ʒ" and own.outside("t q") == ["q"]


@pytest.mark.fault("W7", "report-8")
def test_a_phone_error_rate_from_decode_to_the_table(model: Path, data: Path, tmp_path: Path, sew_here) -> None:
    done = sew_here("decode", "--model", model, "--data", data, "--split", "dev-clean", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "PER" in done.stdout and "WER" not in done.stdout and "errors / phones" in done.stdout
    (folder,) = (tmp_path / "out").iterdir()
    assert read_json(folder / "decode.json")["text"]["unit"] == "phone"
    score = read_json(folder / "score.json")
    assert score["unit"] == "phone" and score["words"] == 5 * score["utterances"]
    rows = list(read_jsonl(folder / "hyps.jsonl"))
    assert all(set(row["text"].split()) <= set(PHONES) for row in rows)


@pytest.mark.fault("W7", "report-27")
def test_a_language_model_of_phones(model: Path, data: Path, tmp_path: Path, sew_here) -> None:
    with refused(UsageError, "no-word-boundary") as caught:
        build_ngram([], 2, data, None, symbols=model)
    assert "--unit letter" in str(caught.value.hint)
    done = sew_here("lm", "ngram", "--unit", "letter", "--order", "2", "--data", data, "--vocab", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ngrams"][0] == 7 + 3  # the phones of the text, <unk>, <s>, </s>
    decode = ("decode", "--model", model, "--data", data, "--split", "dev-clean", "--out", tmp_path / "out")
    done = sew_here(*decode, "--lm", "2gram-letter", "--lexicon-free", "--jobs", "0")
    assert done.returncode == 0, done.stderr
    assert "PER" in done.stdout
