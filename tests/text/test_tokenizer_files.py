"""Side files of a folder, held against the tokenizers of `transformers`: the same text of the same ids."""

import json
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sewcli.base.errors import DataError
from sewcli.decoding.greedy import collapse
from sewcli.text.tokens import Vocabulary

TUTORIAL = {
    "|": 0,
    **{letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz'", start=1)},
    "[UNK]": 28,
    "[PAD]": 29,
}


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def any_folder(random: Random, folder: Path) -> int:
    """Random side files; returns the outputs of the head."""
    capitals = random.random() < 0.5
    letters = list("ABCDEFGHIJ" if capitals else "abcdefghij") + random.sample(
        ["ch", ".", "'", "ß"], random.randint(0, 3)
    )
    pad, unknown = random.choice(["[PAD]", "<pad>", "<blank>"]), random.choice(["[UNK]", "<unk>"])
    delimiter = random.choice(["|", "|", " "])
    tokens = [*letters, pad, unknown, delimiter, *(["<s>", "</s>"] if random.random() < 0.5 else [])]
    random.shuffle(tokens)
    ids = {token: i for i, token in enumerate(tokens)}
    added = {}
    if random.random() < 0.4:
        added = {token: len(ids) + i for i, token in enumerate(["<ctc>", "</s>", "<s>"]) if token not in ids}
        added = {token: len(ids) + i for i, token in enumerate(added)}
    rows = len(ids) + len(added) + random.choice([0, 0, 0, 4])
    names = {"pad_token": pad, "unk_token": unknown}
    settings: dict[str, object] = {"tokenizer_class": "Wav2Vec2CTCTokenizer"}
    if delimiter != "|" or random.random() < 0.5:
        settings["word_delimiter_token"] = delimiter
    if random.random() < 0.3:
        names |= {"bos_token": None, "eos_token": None}
    if random.random() < 0.3:
        settings["do_lower_case"] = capitals
    if random.random() < 0.3:
        settings["clean_up_tokenization_spaces"] = True
    if random.random() < 0.3:
        settings["additional_special_tokens"] = [random.choice(["<s>", "<ctc>", letters[0]])]
    if random.random() < 0.5:  # in a map of its own, written as transformers 4 did
        flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
        write(folder, special_tokens_map={k: v and {"content": v, **flags} for k, v in names.items()})
    else:
        settings |= names
    if added and random.random() < 0.5:
        decoder = {str(i): {"content": token, "special": random.random() < 0.5} for token, i in added.items()}
        settings |= {"added_tokens_decoder": decoder, **names}
    elif added:
        write(folder, added_tokens=added)
    if random.random() < 0.2:
        settings["target_lang"], ids = "xyz", {"xyz": ids, "abc": {"a": 0}}
    config = {"model_type": "wav2vec2", "vocab_size": rows}
    write(folder, vocab=ids, tokenizer_config=settings, config=config)
    return rows


@pytest.mark.fault("report-1", "report-4", "report-6", "report-9", "report-11", "report-12")
def test_any_side_files_give_the_text_of_transformers(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    random, seen = Random(0), set()
    for number in range(80):
        folder = tmp_path / str(number)
        rows = any_folder(random, folder)
        ours = Vocabulary.load(folder)
        theirs = AutoTokenizer.from_pretrained(folder)
        assert len(ours) == rows and ours.tokens[ours.blank] == theirs.pad_token
        special = set(theirs.all_special_tokens) - {"|", " "} | {
            t.content for t in theirs.added_tokens_decoder.values() if t.special
        }
        special -= {"|", " "}
        for _ in range(4):
            path = [random.randrange(rows) for _ in range(60)]
            # what special symbols are written as is no text here, and blanks beside them fall together
            text = theirs.decode(
                [i for i in path if theirs.convert_ids_to_tokens(i) not in special - {theirs.pad_token}]
            )
            kept = np.array([i for i in path if i == ours.blank or i not in ours.silent])
            assert ours.text(collapse(kept, ours.blank)) == " ".join(text.split()), (number, path)
            seen.add(text)
    assert len(seen) > 300


@pytest.mark.fault("report-1", "report-3")
@pytest.mark.parametrize("name", ["vocab.json", "v_hf.json"])
def test_the_tutorials_vocabulary_has_its_blank_last(name: str, tmp_path: Path) -> None:
    """huggingface.co/blog/fine-tune-xlsr-wav2vec2; nothing lies beside the file."""
    (tmp_path / name).write_text(json.dumps(TUTORIAL), encoding="utf-8")
    vocabulary = Vocabulary.read(tmp_path / name)
    assert (vocabulary.blank, vocabulary.boundary, len(vocabulary)) == (29, 0, 30)
    labels = vocabulary.encode("un cat")
    assert [vocabulary.tokens[i] for i in labels] == ["u", "n", "|", "c", "a", "t"] and vocabulary.blank not in labels
    assert vocabulary.text([0, *labels, 28, 29, 0]) == "un cat"


@pytest.mark.fault("report-1")
@pytest.mark.parametrize(
    ("files", "blank"),
    [
        ({"config": {"pad_token_id": 29}}, 29),  # no tokenizer's file: the config says it
        ({"tokenizer_config": {"pad_token": "[PAD]"}}, 29),
        ({"special_tokens_map": {"pad_token": "[PAD]"}}, 29),
        ({"special_tokens_map": {"pad_token": {"content": "[PAD]", "lstrip": False}}}, 29),
        ({"tokenizer_config": {"pad_token": "<nowhere>"}, "config": {"pad_token_id": 5, "vocab_size": 30}}, 5),
    ],
)
def test_where_the_blank_is_named(files: dict, blank: int, tmp_path: Path) -> None:
    assert Vocabulary.load(write(tmp_path, vocab=TUTORIAL, **files)).blank == blank


@pytest.mark.fault("report-1")
def test_two_files_that_do_not_agree_on_the_blank_are_named(tmp_path: Path, capsys) -> None:
    files = {"tokenizer_config": {"pad_token": "[PAD]"}, "config": {"pad_token_id": 0, "vocab_size": 30}}
    assert Vocabulary.load(write(tmp_path, vocab=TUTORIAL, **files)).blank == 29
    assert "pad_token_id 0 ('|')" in capsys.readouterr().err


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    random = Random(1)
    for number in range(40):
        folder = tmp_path / str(number)
        rows = any_folder(random, folder)
        with warnings.catch_warnings():
            vocabulary = Vocabulary.load(folder)
        again = tmp_path / f"{number}-again"
        again.mkdir()
        vocabulary.save(again)
        write(again, config={"vocab_size": rows})
        assert Vocabulary.load(again) == vocabulary, number


PHONES = "sil sh iy hh ae d y er aa r k s uw t ih n"


@pytest.mark.fault("W7", "report-7", "report-8")
def test_phones_are_separated_by_blanks_and_have_no_boundary(tmp_path: Path) -> None:
    (tmp_path / "phones.txt").write_text("\n".join(PHONES.split()), encoding="utf-8")
    vocabulary = Vocabulary.read(tmp_path / "phones.txt")
    ids = vocabulary.encode("sil sh iy hh")
    assert [vocabulary.tokens[i] for i in ids] == ["sil", "sh", "iy", "hh"] and vocabulary.boundary is None
    assert vocabulary.text(ids) == "sil sh iy hh" and vocabulary.outside("sh zz iy") == ["zz"]
    with pytest.raises(DataError, match="'zz'"):
        vocabulary.encode("sh zz")
    vocabulary.save(tmp_path)
    assert Vocabulary.load(tmp_path) == vocabulary and Vocabulary.load(tmp_path).separated
    assert not Vocabulary.read(tmp_path / "vocab.json").silent & set(ids)


@pytest.mark.fault("report-8")
def test_two_phones_beside_the_one_that_looks_like_both(tmp_path: Path) -> None:
    (tmp_path / "phones.txt").write_text("t\ns\nts\nʃ\naɪ\niː\n", encoding="utf-8")
    vocabulary = Vocabulary.read(tmp_path / "phones.txt")
    assert [vocabulary.tokens[i] for i in vocabulary.encode("t s ts ʃ")] == ["t", "s", "ts", "ʃ"]


@pytest.mark.fault("W7")
@pytest.mark.parametrize(
    ("listed", "phones"),
    [
        (PHONES, False),  # with the boundary in the list
        ("a b c d e f g h i j k l m n lj nj dž", False),  # letters, three of two characters
        ("e\u0301 a\u0300 o\u0302", False),  # letters with marks
    ],
)
def test_what_is_a_list_of_letters(listed: str, phones: bool, tmp_path: Path) -> None:
    symbols = [*listed.split(), *(["|"] if listed == PHONES else [])]
    (tmp_path / "list.txt").write_text("\n".join(symbols), encoding="utf-8")
    vocabulary = Vocabulary.read(tmp_path / "list.txt")
    assert vocabulary.separated == phones and vocabulary.boundary == 4


@pytest.mark.fault("report-7")
def test_a_phoneme_tokenizer_of_transformers(tmp_path: Path) -> None:
    settings = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "word_delimiter_token": None, "do_phonemize": True}
    ids = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "n", "aɪ", "s"])}
    vocabulary = Vocabulary.load(write(tmp_path, vocab=ids, tokenizer_config=settings, config={"vocab_size": 7}))
    assert vocabulary.text([4, 5, 5, 6]) == "n aɪ aɪ s" and vocabulary.encode("n aɪ s") == [4, 5, 6]


BROKEN = {
    "ids twice": ({"vocab": {"a": 0, "b": 0}}, "each once"),
    "ids that are no numbers": ({"vocab": {"a": 0, "b": "1"}}, "each once"),
    "a negative id": ({"vocab": {"a": 0, "b": -1}}, "each once"),
    "an absurd id": ({"vocab": {"a": 0, "b": 1 << 40}}, "each once"),
    "truth as an id": ({"vocab": {"a": 0, "b": True}}, "each once"),
    "no symbols": ({"vocab": {}}, "each once"),
    "added tokens of nothing": (
        {"vocab": TUTORIAL, "tokenizer_config": {"added_tokens_decoder": {"x": 1}}},
        "what transformers",
    ),
    "added tokens as a list": ({"vocab": TUTORIAL, "tokenizer_config": {}, "added_tokens": ["<s>"]}, "expected"),
    "a list of settings": ({"vocab": TUTORIAL, "tokenizer_config": []}, "expected"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_side_files_are_named(name: str, tmp_path: Path) -> None:
    files, said = BROKEN[name]
    with pytest.raises(DataError) as caught:
        Vocabulary.load(write(tmp_path, **files))
    assert said in str(caught.value) and str(tmp_path) in str(caught.value)
