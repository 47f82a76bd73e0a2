"""STM files: every column as written, labels of all corpora, and each broken line named with its number."""

from pathlib import Path

import pytest

from sewcli.base.errors import DataError
from sewcli.corpora.stm import Fault, Segment, parse_stm, read_stm

TED = "Ada_2009 1 Ada_2009 12.34 20.10 <o,f0,male> it 's a sentence <unk> with {NOISE} (Ada_2009-12.34-20.10-F0_M-S1)"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            TED,
            Segment(
                *("Ada_2009", "1", "Ada_2009", 12.34, 20.1, ("o", "f0", "male")),
                "it 's a sentence <unk> with {NOISE} (Ada_2009-12.34-20.10-F0_M-S1)",
                1,
            ),
        ),
        ("Ada 1 Ada 0 17.82 <F0_M> so", Segment("Ada", "1", "Ada", 0, 17.82, ("F0_M",), "so", 1)),
        (  # Hub5 Eval2000: two blanks before the text
            "en_4156 A en_4156_A 357.64 359.64 <O,en,F,en-F>  HE IS A (TH-) (%HESITATION)",
            Segment(
                "en_4156", "A", "en_4156_A", 357.64, 359.64, ("O", "en", "F", "en-F"), "HE IS A (TH-) (%HESITATION)", 1
            ),
        ),
        (  # RT-03S, with tabs and an empty label part
            "fsh_60354\t1\tinter_segment_gap\t0.0\t1.5\t<O,,>\t",
            Segment("fsh_60354", "1", "inter_segment_gap", 0, 1.5, ("O", "", ""), "", 1),
        ),
        ("a 1 b 0 1 <o, f0, female> words", Segment("a", "1", "b", 0, 1, ("o", "f0", "female"), "words", 1)),
        ("a 1 b 0 1", Segment("a", "1", "b", 0, 1, (), "", 1)),
        ("a 1 b 0 1 no label here", Segment("a", "1", "b", 0, 1, (), "no label here", 1)),
        ("a 1 b 0 1 <unk> is a word", Segment("a", "1", "b", 0, 1, (), "<unk> is a word", 1)),
        ("a A b 0 1 <B_ASIDE> a word", Segment("a", "A", "b", 0, 1, (), "<B_ASIDE> a word", 1)),
        ("a 1 b 0 1 <NA> <unk> is a word", Segment("a", "1", "b", 0, 1, ("NA",), "<unk> is a word", 1)),
        ("é\u00a0é 1 b 0 1 c".replace("\u00a0", "_"), Segment("é_é", "1", "b", 0, 1, (), "c", 1)),
    ],
)
def test_a_line(line: str, expected: Segment) -> None:
    assert parse_stm([line]) == ([expected], [])


def test_comments_and_empty_lines_count() -> None:
    segments, faults = parse_stm(
        [';; LABEL "o" "Overall" "Overall"', "", " ;; more", "a 1 b 0 1 c", "  ", "a 1 b 1 2 d"]
    )
    assert [segment.line for segment in segments] == [4, 6] and not faults


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a 1 b 0", "fewer than five columns"),
        ("a 1 b zero 1 <o,,> text", "'zero' and '1' are not both numbers"),
        ("a 1 b 0 nan <o,,> text", "no such time: 0 to nan"),
        ("a 1 b 0 inf text", "no such time: 0 to inf"),
        ("a 1 b -0.5 1 text", "no such time: -0.5 to 1"),
        ("a 1 b 2.0 1.5 text", "ends at 1.5 s, not after its start at 2.0 s"),
        ("a 1 b 2.0 2.0 text", "ends at 2.0 s, not after its start at 2.0 s"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_read(line: str, reason: str) -> None:
    segments, faults = parse_stm(["a 1 b 0 1 before", line, "a 1 b 3 4 after"])
    assert [segment.text for segment in segments] == ["before", "after"]
    assert [fault.line for fault in faults] == [2] and reason in faults[0].reason


@pytest.mark.parametrize("text", ["ignore_time_segment_in_scoring", "IGNORE_TIME_SEGMENT_IN_SCORING "])
def test_ignored_time_in_either_case(text: str) -> None:
    (segment,), _ = parse_stm([f"a 1 inter_segment_gap 0 1 <NA> {text}"])
    assert segment.ignored and segment.gap
    (segment,), _ = parse_stm(["a 1 b 0 1 <NA> they ignore it"])
    assert not segment.ignored and not segment.gap


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "odd name.stm"
    path.write_bytes("\ufeffa 1 b 0 1 <o,,> caf\u00e9\r\na 1 b 1\r\n".encode())  # as a Windows editor leaves it
    segments, faults = read_stm(path)
    assert segments == [Segment("a", "1", "b", 0, 1, ("o", "", ""), "caf\u00e9", 1)]
    assert faults == [Fault(2, "fewer than five columns: file, channel, speaker, start and end")]


def test_text_with_a_line_separator_of_unicode_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.stm"
    path.write_text("a 1 b 0 1 one\u2028two\x85three\n", encoding="utf-8")
    segments, faults = read_stm(path)
    assert len(segments) == 1 and not faults


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file") as missing:
        read_stm(tmp_path / "no.stm")
    assert missing.value.where == tmp_path / "no.stm"
    path = tmp_path / "latin.stm"
    path.write_bytes(b"a 1 b 0 1 fine\na 1 b 1 2 caf\xe9\n")
    with pytest.raises(DataError, match="line 2: not UTF-8 text"):
        read_stm(path)
    with pytest.raises(DataError, match="Is a directory"):
        read_stm(tmp_path)
