"""What the tables of errors say, counted by hand."""

from sewcli.scoring.errors import by_group, by_length, side_by_side, table, top_errors
from sewcli.scoring.wer import word_errors

REFERENCES = ["A B C", "A B", "A B C D E F", "B"]
HYPOTHESES = ["A X C", "A X Y", "A B C D E", "B"]


def test_the_words_most_often_wrong() -> None:
    found = top_errors(word_errors(REFERENCES, HYPOTHESES).alignments)
    assert sum(count for _, count in found["substitutions"]) == 2 and found["substitutions"][0][0].startswith("B -> ")
    assert found["deletions"] == [("F", 1)]
    assert sum(count for _, count in found["insertions"]) == 1
    assert top_errors([[("A", "B"), ("C", "D"), ("A", "B")]], limit=1)["substitutions"] == [("A -> B", 2)]


def test_errors_by_speaker_and_by_length() -> None:
    counts = word_errors(REFERENCES, HYPOTHESES).utterances
    speakers = by_group(["s1", "s2", "s1", "s3"], counts)
    assert list(speakers) == ["s2", "s1", "s3"]  # the worst first
    assert speakers["s1"][0] == 2 and speakers["s1"][1].words == 9 and speakers["s1"][1].errors == 2
    lengths = by_length(counts)
    assert {name: (size, count.words) for name, (size, count) in lengths.items()} == {"1-5": (3, 6), "6-10": (1, 6)}
    assert list(by_length(word_errors(["A " * 51, ""], ["A", ""]).utterances)) == ["1-5", "over 50"]
    lines = list(table("speaker", speakers))
    assert len({len(line) for line in lines}) == 1 and "100.00 %" in lines[1]


def test_systems_side_by_side() -> None:
    a, b = (word_errors(["THE CAT SAT"], [text]).alignments[0] for text in ("THE CATS SAT", "OH THE CAT"))
    assert list(side_by_side("u", [("A", a), ("B", b)])) == [
        "u",
        "  REF  ** THE CAT  SAT",
        "  A    ** THE CATS SAT",
        "  B    OH THE CAT  ***",
    ]
