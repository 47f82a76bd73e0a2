"""TED-LIUM's texts and dictionary for language models, and what is told of its transcripts."""

import json
import shutil
from pathlib import Path

import pytest

from sewcli.base.errors import DataError
from sewcli.base.files import read_json
from sewcli.corpora.miniatures.tedlium3 import LM_FILES
from sewcli.corpora.preparation import prepare
from sewcli.corpora.tedlium3 import find_splits, lm_sources, lm_vocabulary
from sewcli.data.utterances import read_split as read_cuts
from sewcli.text.normalize import outside


def test_texts_for_language_models(spoken_talks: Path) -> None:
    sentences = list(lm_sources(spoken_talks) or ())
    assert len(sentences) == 5 * len(LM_FILES)
    assert all(not outside(sentence) and "</S>" not in sentence for sentence in sentences)
    vocabulary = lm_vocabulary(spoken_talks)
    assert vocabulary and {word for sentence in sentences for word in sentence.split()} <= set(vocabulary)


def test_every_word_that_is_transcribed_is_in_the_dictionary(spoken_talks: Path, tmp_path: Path) -> None:
    prepare(tmp_path, "tedlium3", find_splits(spoken_talks, None), jobs=2)
    words = {word for part in ("train", "dev", "test") for u in read_cuts(tmp_path, part) for word in u.text.split()}
    assert words <= set(lm_vocabulary(spoken_talks) or ())


def test_the_dictionarys_true_form(tmp_path: Path) -> None:
    lines = [
        "<s> SIL",
        "a AH",
        "a(2) EY",
        "it's IH T S",
        "60s ERROR./text2pho.sh",
        "café K AE F EY",
        "x-ray EH K S",
        "",
    ]
    (tmp_path / "TEDLIUM.152k.dic").write_text("\n".join(lines), encoding="utf-8")
    assert lm_vocabulary(tmp_path) == ["A", "CAFE", "IT'S", "RAY", "X"]
    (tmp_path / "TEDLIUM.152k.dic").write_bytes("a AH\ncafé K\nb B\n".encode("latin-1"))
    assert lm_vocabulary(tmp_path) == ["A", "B"]


def test_without_texts_or_dictionary(tmp_path: Path) -> None:
    assert lm_sources(tmp_path) is None and lm_vocabulary(tmp_path) is None


@pytest.mark.parametrize("harm", [lambda b: b[:-20], lambda b: b[:40] + b"xxxx" + b[44:], lambda b: b"plain text"])
def test_a_damaged_text_is_named(spoken_talks: Path, tmp_path: Path, harm) -> None:
    corpus = Path(shutil.copytree(spoken_talks, tmp_path / "corpus", symlinks=True))
    path = corpus / f"LM/{LM_FILES[2]}.en.gz"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataError, match="cannot be read beyond line") as error:
        list(lm_sources(corpus) or ())
    assert error.value.where == path


def test_summary_is_plain_json(spoken_talks: Path, tmp_path: Path) -> None:
    prepare(tmp_path, "tedlium3", find_splits(spoken_talks, None), jobs=2)
    summary = read_json(tmp_path / "prep.json")
    assert summary["corpus"] == "tedlium3" and json.dumps(summary)
    changes = summary["splits"]["train"]["changes"]
    assert any("<unk>" in rule for rule in changes) and any("clitics" in rule for rule in changes)
