"""Lists of symbols as other toolkits write them: the letters are the same, whatever stands beside them."""

from pathlib import Path

import pytest

from sewcli.base.errors import DataError
from sewcli.text.tokens import Vocabulary

LISTS = {
    "fairseq": "A 94802\nB 7\n| 5\n",
    "icefall": "<blk> 0\n<sos/eos> 1\n<unk> 2\nA 3\nB 4\n| 5\n",
    "ESPnet": "<blank>\n<unk>\n<space>\nA\nB\n<sos/eos>\n",
    "letters of sentencepiece": "<pad>\n<s>\n</s>\n<unk>\n▁\nA\nB\n",
    "NeMo": " \nA\nB\n",
    "the tutorial": "|\nA\nB\n[UNK]\n[PAD]\n",
}


def read(content: str, folder: Path) -> Vocabulary:
    """The vocabulary of a list."""
    (folder / "list.txt").write_text(content, encoding="utf-8")
    return Vocabulary.read(folder / "list.txt")


@pytest.mark.fault("report-8", "report-25", "report-29")
@pytest.mark.parametrize("kind", LISTS)
def test_letters_are_letters_under_any_toolkits_names(kind: str, tmp_path: Path) -> None:
    vocabulary = read(LISTS[kind], tmp_path)
    assert vocabulary == read("A\nB\n", tmp_path)
    assert vocabulary.encode("AB A") == [5, 6, 4, 5] and not vocabulary.separated


@pytest.mark.fault("report-8")
def test_phones_of_kaldi(tmp_path: Path) -> None:
    vocabulary = read("<eps> 0\nSIL 1\nAA 2\nB 3\n#0 4\n#1 5\n", tmp_path)
    assert vocabulary.separated and vocabulary.symbols == ["SIL", "AA", "B"]


@pytest.mark.fault("report-25")
def test_digits_with_counts_are_symbols(tmp_path: Path) -> None:
    assert read("0 812\n1 93\n2 5\n", tmp_path).symbols == ["0", "1", "2"]


@pytest.mark.fault("report-8", "report-25")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0 <pad>\n1 A\n2 B\n", "ids stand before the symbols"),
        ("A,0\nB,1\n", "a table with commas"),
        ("<unk> 0\n▁THE 1\n▁A 2\nS 3\n", "pieces of words"),
    ],
)
def test_what_is_no_list_of_symbols_is_named(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read(content, tmp_path)
