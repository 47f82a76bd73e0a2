"""Europarl: sentences out of paragraphs, once each, in the letter vocabulary."""

from pathlib import Path

import pytest
from support.refusals import refused

from sewcli.base.errors import DataError
from sewcli.corpora.europarl import read_sentences, split_sentences


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("I thank Mr. Barroso. (Applause)", ["I thank Mr. Barroso.", "(Applause)"]),
        (
            "See e.g. Article 5. No. 7 is next, says J. M. Smith.",
            ["See e.g. Article 5.", "No. 7 is next, says J. M. Smith."],
        ),
        ("It costs 1.5 million. 27 states pay.", ["It costs 1.5 million.", "27 states pay."]),
        ("He said: “Go.” “No.” I left...", ["He said: “Go.”", "“No.”", "I left..."]),
        ("so. it goes on", ["so. it goes on"]),
        ("", []),
    ],
)
def test_sentences_of_a_paragraph(paragraph: str, expected: list[str]) -> None:
    assert list(split_sentences(paragraph)) == expected


def test_sentences_of_files(tmp_path: Path) -> None:
    one, other = tmp_path / "ep-00-01-17.txt", tmp_path / "europarl-v7.de-en.en"
    one.write_text('<CHAPTER ID="1">\nResumption of the session\n<P>\nIt is 10 o’clock. We vote (loud applause).\n')
    other.write_text("We vote.\n\nResumption of the session\nThe year-on-year rate\n")
    assert list(read_sentences([one, other])) == [
        "RESUMPTION OF THE SESSION",
        "IT IS TEN O'CLOCK",
        "WE VOTE",
        "THE YEAR ON YEAR RATE",
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with refused(DataError, "file-not-found"):
        list(read_sentences([tmp_path / "none.txt"]))
    (tmp_path / "latin.txt").write_bytes("Bürger\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt: not UTF-8 text[\s\S]*unpack it again"):
        list(read_sentences([tmp_path / "latin.txt"]))
