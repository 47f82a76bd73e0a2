"""Letters and their ids."""

import json

import pytest

from sewcli.base.errors import DataError
from sewcli.text.tokens import Vocabulary, frames_needed


def test_the_order_of_the_published_models() -> None:
    vocabulary = Vocabulary.letters()
    assert len(vocabulary) == 32
    assert vocabulary.tokens[:8] == ("<pad>", "<s>", "</s>", "<unk>", "|", "E", "T", "A")
    assert vocabulary.tokens[27:] == ("'", "X", "J", "Q", "Z")
    assert (vocabulary.blank, vocabulary.boundary) == (0, 4)


def test_vocab_json_has_the_size_of_the_published_file(tmp_path) -> None:
    Vocabulary.letters().save(tmp_path)
    compact = json.dumps(json.loads((tmp_path / "vocab.json").read_text()))
    assert len(compact) == 291 and Vocabulary.load(tmp_path) == Vocabulary.letters()
    assert Vocabulary.load(tmp_path / "vocab.json") == Vocabulary.letters()


def test_words_to_ids_and_back() -> None:
    vocabulary = Vocabulary.letters()
    ids = vocabulary.encode("  DON'T   GO ")
    assert ids.count(vocabulary.boundary) == 1 and ids[0] == vocabulary.tokens.index("D")
    assert vocabulary.text(ids) == "DON'T GO"
    assert vocabulary.text([4, *ids, 4, 0, 2]) == "DON'T GO"
    assert vocabulary.encode("") == [] and vocabulary.text([]) == ""


@pytest.mark.parametrize("text,symbols", [("café", "'É'"), ("A|B", "'|'"), ("ROOM 12", "'1' '2'")])
def test_symbols_outside_are_named(text: str, symbols: str) -> None:
    with pytest.raises(DataError) as caught:
        Vocabulary.letters().encode(text)
    assert symbols in str(caught.value)


@pytest.mark.parametrize("content", ['{"A": 0, "|": 2}', '{"A": 1, "|": 1}', '["A"]', "{", '{"A": 0, "B": 1}'])
def test_broken_vocabularies_are_refused(tmp_path, content: str) -> None:
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(DataError) as caught:
        Vocabulary.load(tmp_path)
    assert caught.value.where == tmp_path / "vocab.json"


def test_repeated_letters_need_a_frame_more() -> None:
    assert frames_needed([5, 5, 6]) == 4 and frames_needed([5, 6]) == 2 and frames_needed([]) == 0


def test_a_vocabulary_of_ones_own(tmp_path) -> None:
    file = tmp_path / "dict.ltr.txt"
    file.write_text("<s> 0\n| 94802\nE 51860\nÄ 38431\nCH 7\nC 3\n\n")
    own = Vocabulary.read(file)
    assert own.tokens == ("<pad>", "<s>", "</s>", "<unk>", "|", "E", "Ä", "CH", "C")
    ids = own.encode("ECH ÄC")
    assert [own.tokens[i] for i in ids] == ["E", "CH", "|", "Ä", "C"] and own.text(ids) == "ECH ÄC"
    assert own.outside("ECHO HE") == ["O", "H"]
    own.save(tmp_path)
    assert Vocabulary.read(tmp_path / "vocab.json") == own == Vocabulary.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"), [("\n", "no symbol"), ("A\nB\nA\n", "stands twice"), (None, "no such file")]
)
def test_a_vocabulary_that_is_none_is_refused(tmp_path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "v.txt").write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        Vocabulary.read(tmp_path / "v.txt")
    assert caught.value.where == tmp_path / "v.txt"
