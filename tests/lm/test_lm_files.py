"""Lexicons, finding a model by name, building one; what does not fit is said with its hint."""

import json
import os
from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.errors import DataError, UsageError
from sewcli.lm.arpa import write_arpa
from sewcli.lm.binary import PROGRAM, binary_path, build_binary
from sewcli.lm.build import build_ngram
from sewcli.lm.files import resolve
from sewcli.lm.lexicon import read_lexicon, write_lexicon
from sewcli.lm.ngram import estimate
from sewcli.text.tokens import Vocabulary

GOLDEN = Path(__file__).parent / "golden"
LETTERS = Vocabulary.letters()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A prepared corpus, as far as language models look at it."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = (GOLDEN / "text.txt").read_text().splitlines(keepends=True)
    (folder / "text_train-a.txt").write_text("".join(lines[:150]))
    (folder / "text_train-b.txt").write_text("".join(lines[150:300]))
    (folder / "text_dev.txt").write_text("".join(lines[300:]))
    return folder


def test_a_model_of_the_training_transcripts_is_found_by_its_name(data: Path) -> None:
    summary = build_ngram([], 3, data, None)
    files = resolve("3gram", data, LETTERS)
    assert (files.name, files.lexicon) == ("3gram", data / "lm" / "lexicon.txt")
    words = {word for name in "ab" for word in (data / f"text_train-{name}.txt").read_text().split()}
    assert {entry.word for entry in read_lexicon(files.lexicon, LETTERS)} == words
    assert summary["lexicon_words"] == len(words) and summary["ngrams"][0] == len(words) + 3
    assert [len(summary["dev"]), summary["dev"][0]["words"]] == [
        1,
        len((data / "text_dev.txt").read_text().split()) + 20,
    ]
    assert 2 < summary["dev"][0]["perplexity_of_known"] < 100
    json.dumps(summary, allow_nan=False)


def test_a_path_works_like_a_name(data: Path) -> None:
    build_ngram([data / "text_train-a.txt"], 2, data, data / "elsewhere" / "own.arpa.gz")
    files = resolve(str(data / "elsewhere" / "own.arpa.gz"), data, LETTERS)
    assert (files.name, files.lexicon.parent.name) == ("own", "elsewhere")


def test_what_is_missing_is_said_with_the_command(data: Path) -> None:
    with pytest.raises(UsageError, match="--order 4") as caught:
        resolve("4gram", data, LETTERS)
    assert "sew lm ngram --order 4" in str(caught.value)
    build_ngram([], 3, data, None)
    with pytest.raises(UsageError, match="there are: 3gram"):
        resolve("4gram", data, LETTERS)
    with refused(UsageError, "lm-not-found"):
        resolve("lm/nothing.bin", data, LETTERS)
    (data / "lm" / "lexicon.txt").unlink()
    with pytest.raises(UsageError, match=r"no lexicon\.txt"):
        resolve("3gram", data, LETTERS)
    with pytest.raises(UsageError, match="sew prep librispeech"):
        build_ngram([], 3, data / "nowhere", None)


def test_a_neural_models_folder_is_for_rescoring(data: Path) -> None:
    folder = data / "exp" / "lm"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    for given in (folder, folder / "model"):
        with pytest.raises(UsageError, match="rescores n-best lists") as caught:
            resolve(str(given), data, LETTERS)
        assert f"sew rescore FOLDER --lm {given}" in str(caught.value)


def test_a_lower_case_model_is_refused_before_anything_slow(data: Path) -> None:
    lower = data / "lower.txt"
    lower.write_text((data / "text_train-a.txt").read_text().lower())
    (data / "lm").mkdir()
    write_arpa(estimate([line.split() for line in lower.read_text().splitlines()], 3), data / "lm" / "3gram.arpa")
    with pytest.raises(DataError, match="lower case, the model writes upper case"):
        resolve("3gram", data, LETTERS)


@pytest.mark.parametrize("order", [1, 7])
def test_an_order_that_kenlm_cannot_read_is_refused(order: int, data: Path) -> None:
    path = data / "big.arpa"
    counts = "".join(f"ngram {k}=1\n" for k in range(1, order + 1))
    path.write_text(f"\\data\\\n{counts}\n\\1-grams:\n-1\tA\t0\n")
    with pytest.raises(DataError, match=f"an order of {order}; KenLM reads 2 to 6"):
        resolve(str(path), data, LETTERS)


def test_words_that_letters_cannot_spell_are_left_out(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = data / "odd.txt"
    text.write_text("THE CAFÉ IS AT 5\nTHE IS\n")
    summary = build_ngram([text], 2, data, None)
    assert summary["lexicon_words"] == 3
    assert "2 of 5 words cannot be spelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WORD", "no spelling"),
        ("WORD\tW O R D", "does not end in its one"),
        ("WORD\tW O | R D |", "does not end in its one"),
        ("CAFÉ\tC A F É |", "no symbol of the model"),
    ],
)
def test_broken_lines_of_a_lexicon_are_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text(f"A\tA |\n{line}\n")
    with pytest.raises(DataError, match=said) as caught:
        read_lexicon(path, LETTERS)
    assert "line 2" in str(caught.value) and caught.value.where == path


def test_a_lexicon_in_another_case_is_read_in_that_of_the_recogniser(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("word\tw o r d |\n")
    (entry,) = read_lexicon(tmp_path / "lexicon.txt", LETTERS)
    assert (entry.word, LETTERS.text(entry.spelling)) == ("word", "WORD")


def test_more_homographs_than_a_trie_node_holds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text("".join(f"A{i}\tA |\n" for i in range(6)))
    assert len(read_lexicon(path, LETTERS)) == 6
    path.write_text("".join(f"A{i}\tA |\n" for i in range(7)))
    with pytest.raises(DataError, match="7 words are spelled"):
        read_lexicon(path, LETTERS)


def test_a_lexicon_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert write_lexicon(["DON'T", "A", "A", "É"], LETTERS, tmp_path / "l.txt") == ["É"]
    assert (tmp_path / "l.txt").read_text() == "A\tA |\nDON'T\tD O N ' T |\n"
    entries = read_lexicon(tmp_path / "l.txt", LETTERS)
    assert [LETTERS.text(e.spelling) for e in entries] == [e.word for e in entries] == ["A", "DON'T"]


def test_a_binary_of_an_earlier_model_does_not_outlive_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arpa = data / "lm" / "2gram.arpa"
    build_ngram([], 2, data, None)
    binary_path(arpa).write_bytes(b"old")
    monkeypatch.setenv("PATH", "")
    assert build_binary(arpa) is None
    assert not binary_path(arpa).exists()


@pytest.mark.parametrize(("code", "made"), [(0, True), (1, False)])
def test_kenlms_program_is_used_where_it_is(
    code: int, made: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program stands in for KenLM's, which is rarely installed: what is tried is how we call it and what we believe."""
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncp "$1" "$2"; echo told >&2; exit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    summary = build_ngram([], 2, data, None)
    assert (summary["binary"] == str(data / "lm" / "2gram.bin")) == made
    assert (data / "lm" / "2gram.bin").exists() == made
    assert resolve("2gram", data, LETTERS).model.suffix == (".bin" if made else ".arpa")


@pytest.mark.parametrize("content", [b"\xff\xfeA", b""])
def test_texts_that_cannot_be_read_are_named(content: bytes, data: Path) -> None:
    text = data / "bad.txt"
    text.write_bytes(content)
    with pytest.raises(DataError):
        build_ngram([text], 2, data, None)
    with refused(DataError, "file-not-found"):
        build_ngram([data / "none.txt"], 2, data, None)


def test_a_corpus_brings_text_and_vocabulary(tmp_path: Path) -> None:
    from sewcli.corpora.lm_text import write_lm_text
    from sewcli.lm.build import build_ngram

    (tmp_path / "text_train.txt").write_text("GO HOME NOW\nGO HOME UH\n")
    write_lm_text(tmp_path, iter(["GO AWAY", "", "STAY HOME"]), ["GO", "HOME", "AWAY", "ZEBRA"])
    before = (tmp_path / "lm/text.txt.gz").read_bytes()
    write_lm_text(tmp_path, iter(["NOT AGAIN"]), None)  # what is there is kept
    assert (tmp_path / "lm/text.txt.gz").read_bytes() == before
    summary = build_ngram([], 2, tmp_path, None)
    assert [Path(text).name for text in summary["texts"]] == ["text_train.txt", "text.txt.gz"]
    assert (tmp_path / "lm/lexicon.txt").read_text().split("\n")[:-1] == [
        f"{word}\t{' '.join(word)} |" for word in ("AWAY", "GO", "HOME", "ZEBRA")
    ]
    assert summary["lexicon_words"] == 4
