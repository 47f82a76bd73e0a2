"""Transcripts as people have them: marks, encodings, line ends, symbols outside the alphabet, empty ones, segments."""

import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused

from sewcli.alignment.alignment import FrameTimes, align_utterance
from sewcli.base.errors import DataError
from sewcli.base.files import read_jsonl, write_json, write_jsonl
from sewcli.corpora.librispeech import read_part
from sewcli.corpora.stm import parse_stm, read_stm
from sewcli.scoring.score import score_folder
from sewcli.scoring.wer import word_errors
from sewcli.text.normalize import librispeech
from sewcli.text.tokens import SPECIAL, Vocabulary, frames_needed

LETTERS = Vocabulary.letters()


@pytest.fixture
def part(corpus_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(corpus_folder / "dev-clean", tmp_path / "dev-clean")
    return tmp_path / "dev-clean"


def transcripts(part: Path) -> list[Path]:
    return sorted(part.rglob("*.trans.txt"))


@pytest.mark.fault("report-29", "report-30", "input-37", "report-8")
@pytest.mark.parametrize(
    "change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"), lambda t: t.replace(" ", "\t")]
)
def test_marks_line_ends_and_tabs_of_transcripts_change_nothing(part: Path, change) -> None:
    expected = [(c.id, c.text) for c in read_part(part).candidates]
    for file in transcripts(part):
        file.write_bytes(change(file.read_text()).encode())
    listing = read_part(part)
    assert [(c.id, c.text) for c in listing.candidates] == expected and not listing.rejections


@pytest.mark.fault("input-37", "report-8")
@pytest.mark.parametrize(("encoding", "said"), [("utf-16", "UTF-16 text"), ("latin-1", "Latin-1")])
def test_another_encoding_is_the_reason_that_is_given(part: Path, encoding: str, said: str) -> None:
    file = transcripts(part)[0]
    count = len(file.read_text().splitlines())
    file.write_bytes(file.read_text().replace("A", "É", 1).encode(encoding))
    found = [rejection.reason for rejection in read_part(part).rejections]
    assert len(found) == count + 1 and all(said in reason for reason in found)


@pytest.mark.fault("report-35")
@pytest.mark.parametrize("blank", ["\u00a0", "\t", "\u2028", "\u3000", "\u2009"])
def test_white_space_of_labels(blank: str) -> None:
    assert LETTERS.encode(f"A{blank}B") == LETTERS.encode("A B") and librispeech(f"a{blank}b") == "A B"


@pytest.mark.fault("report-33", "report-32")
@pytest.mark.parametrize(("text", "named"), [("HELLO|WORLD", "'|'"), ("ROOM 5", "'5'"), ("A <s> B", "'<'")])
def test_what_is_outside_the_alphabet_is_named(text: str, named: str) -> None:
    with refused(DataError, "outside-vocabulary") as caught:
        LETTERS.encode(text)
    assert named in caught.value.what


@pytest.mark.fault("report-31")
def test_composed_and_decomposed_transcripts_have_the_same_labels() -> None:
    own = Vocabulary((*SPECIAL, *"abeüé"))
    for text in ("über é", "bé ü"):
        known = unicodedata.normalize("NFC", text.replace("r", ""))
        assert own.encode(unicodedata.normalize("NFD", known)) == own.encode(known)
    with pytest.raises(DataError, match="'ñ'"):  # composed, so that it can be read
        own.encode("n\u0303")


@pytest.mark.fault("report-34", "report-63")
def test_alignment_names_what_does_not_fit() -> None:
    times = FrameTimes(320.0, 0.0)
    emission = np.log(np.full((5, len(LETTERS)), 1 / len(LETTERS), dtype=np.float32))
    assert frames_needed(LETTERS.encode("HELLO")) == 6
    with pytest.raises(DataError, match="5 letters need 6 frames"):
        align_utterance("u1", emission, "HELLO", LETTERS, times, 1.0)
    with pytest.raises(DataError, match="'4' '2'") as caught:
        align_utterance("u1", emission, "AT 42", LETTERS, times, 1.0)
    assert caught.value.where == "u1"


@pytest.mark.fault("report-29", "report-35")
@pytest.mark.parametrize("text", ["\ufeffA B", "\ufeff A\u00a0B \ufeff", "a\u2028b"])
def test_alignment_of_odd_blanks_and_marks(text: str) -> None:
    emission = np.log(np.full((9, len(LETTERS)), 1 / len(LETTERS), dtype=np.float32))
    found = align_utterance("u1", emission, text, LETTERS, FrameTimes(320.0, 0.0), 1.0)
    assert [word.text.upper() for word in found.words] == ["A", "B"]


@pytest.mark.fault("report-36")
def test_empty_references_and_hypotheses(tmp_path: Path) -> None:
    assert word_errors([""], [""]).wer == 0 and word_errors([" \t"], ["A"]).wer == 1
    rows = [("A B", "A B"), ("", ""), ("C", ""), (None, "D")]
    write_jsonl(
        tmp_path / "hyps.jsonl",
        ({"id": f"u{n}", "text": h} | ({} if r is None else {"reference": r}) for n, (r, h) in enumerate(rows)),
    )
    write_json(tmp_path / "decode.json", {"split": "dev", "decoder": "greedy", "failed": 0})
    score = score_folder(tmp_path)
    assert (score["wer"], score["words"], score["without_reference"]) == (1 / 3, 3, 1)
    assert len(list(read_jsonl(tmp_path / "utterances.jsonl"))) == 3


@pytest.mark.fault("report-62")
def test_segments_of_an_stm(tmp_path: Path) -> None:
    line = "f 1 f_A 0.5 2.0 <o,f0,male> <unk> it 's"
    segments, faults = parse_stm([line, line.replace(" ", "\t", 4), "f 1 f_A 0,5 2.0 x", "f 1 f_A 3 2 x"])
    assert [s.text for s in segments] == ["<unk> it 's"] * 2
    assert [(f.line, "numbers" in f.reason) for f in faults] == [(3, True), (4, False)]
    (tmp_path / "a.stm").write_bytes(f"\ufeff{line}\r\n".encode())
    assert [replace(s, line=0) for s in read_stm(tmp_path / "a.stm")[0]] == [replace(segments[0], line=0)]
