"""Models of letters: what their sentences are, and that the command's model is one that the search takes."""

from pathlib import Path

import pytest

from sewcli.base.errors import UsageError
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.lexicon_free import LexiconFreeDecoder
from sewcli.lm.build import build_ngram
from sewcli.lm.letters import spelled
from sewcli.text.tokens import Vocabulary

GOLDEN = Path(__file__).parent / "golden" / "text.txt"


def test_words_become_their_symbols_each_with_its_boundary(capfd: pytest.CaptureFixture[str]) -> None:
    text = [["IT'S", "A"], ["ÜBER"], ["NO", "42"]]
    found = list(spelled(text, Vocabulary.letters()))
    assert found == [[*"IT'S", "|", "A", "|"], [*"NO", "|"]]
    assert "2 of 5 words cannot be spelled" in capfd.readouterr().err
    own = Vocabulary(["<pad>", "|", "SCH", "S", "C", "H", "A"])
    assert list(spelled([["SCHASCH"]], own)) == [["SCH", "A", "SCH", "|"]]


def test_the_command_writes_a_model_that_the_search_takes(tmp_path: Path, sew_here) -> None:
    (tmp_path / "text_train.txt").write_text(GOLDEN.read_text())
    (tmp_path / "text_dev.txt").write_text("NOBODY KNEW WHY\n")
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "vocabulary.txt").write_text("WHY\n")  # words, which limit no letters
    done = sew_here("lm", "ngram", "--order", "5", "--unit", "letter", "--data", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "17 letters with the ends of sentences, 0 unknown" in done.stdout  # 13 letters, 3 boundaries, 1 end
    model = tmp_path / "lm" / "5gram-letter.arpa"
    assert not (tmp_path / "lm" / "lexicon.txt").exists()
    unigrams = model.read_text().partition("\\1-grams:\n")[2].partition("\n\n")[0].splitlines()
    assert {line.split("\t")[1] for line in unigrams} <= {"<unk>", "<s>", "</s>", "|", "'", *map(chr, range(65, 91))}
    LexiconFreeDecoder(model, Vocabulary.letters(), BeamOptions(lexicon_free=True))


def test_a_list_of_words_does_not_go_with_letters(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lists words"):
        build_ngram([GOLDEN], 3, tmp_path, None, GOLDEN, letters=True)
