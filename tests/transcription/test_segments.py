"""Where the frames of a recording are cut, and what is written of them."""

import numpy as np
import pytest

from sewcli.alignment.alignment import FrameTimes
from sewcli.base.errors import DataError
from sewcli.decoding.beam import BeamDecoder, BeamOptions
from sewcli.lm.files import LanguageModelFiles
from sewcli.text.tokens import Vocabulary
from sewcli.transcription.segments import Segment, Segmenter
from sewcli.transcription.words import SegmentDecoder

LETTERS = Vocabulary.letters()
TIMES = FrameTimes(320, 40)
PAUSE = "." * 25


def frames(text: str, sure: float = 0.9) -> np.ndarray:
    """A frame for each character; `.` is the blank, `?` one of the symbols that are not written."""
    emission = np.full((len(text), len(LETTERS)), np.log((1 - sure) / (len(LETTERS) - 1)), dtype=np.float32)
    names = {".": 0, "?": 3}
    for row, character in zip(emission, text, strict=True):
        row[names.get(character) if character in names else LETTERS.tokens.index(character)] = np.log(sure)
    return emission


def cut(text: str, pieces: int = 1, longest: float = 30.0) -> list[Segment]:
    segmenter = Segmenter(LETTERS, 0.02, longest)
    emission = frames(text)
    made = [s for part in np.array_split(emission, pieces) for s in segmenter.push(part)]
    return [*made, *segmenter.close()]


def texts(segments: list[Segment]) -> list[str]:
    lines = [SegmentDecoder(LETTERS, TIMES).read("test", segment) for segment in segments]
    return [line.text for line in lines if line]


@pytest.mark.parametrize("pieces", [1, 7, 150])
def test_pauses_end_stretches_and_words(pieces: int) -> None:
    text = PAUSE * 9 + "TH.E|C.A.T" + PAUSE + "SA.T." + "." * 23 + "ON|" + PAUSE * 3
    assert texts(cut(text, pieces)) == ["THE CAT", "SATON"]  # half a second ends a word, less does not
    assert texts(cut("AB" + "." * 10 + "|" + "." * 10 + "CD", pieces)) == ["AB CD"]
    assert cut(PAUSE * 20, pieces) == []


def test_frames_keep_their_places_and_silence_is_dropped() -> None:
    text = "." * 300 + "AB" + "." * 500 + "CD" + "." * 60
    first, second = cut(text, 13)
    for segment, letters, at in ((first, "AB", 300), (second, "CD", 802)):
        assert segment.start == at - 10
        assert len(segment.emission) == 2 + 20
        np.testing.assert_array_equal(segment.emission[10:12], frames(letters))


def test_talk_without_a_pause_is_cut_between_words() -> None:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("ETAONI"), rng.integers(1, 9))) for _ in range(400)]
    spoken = "|".join("".join(letter + "..." for letter in word) + "." * int(rng.integers(0, 9)) for word in words)
    segments = cut(spoken, 31, longest=10.0)
    assert " ".join(texts(segments)).split() == words
    assert len(segments) > 5
    assert max(len(s.emission) for s in segments) <= 500 + 20


def test_noise_without_silence_is_cut_all_the_same() -> None:
    segments = cut("AB" * 2000, 3, longest=10.0)
    assert sum(len(s.emission) for s in segments) == 4000
    assert max(len(s.emission) for s in segments) <= 500


def test_words_have_the_times_and_the_confidence_of_their_letters() -> None:
    emission = frames("..A.BB|C..")
    emission[4:6] = frames("BB", 0.5)
    line = SegmentDecoder(LETTERS, TIMES).read("test", Segment(100, emission))
    assert line is not None
    first, second = line.words
    assert (first.text, second.text) == ("AB", "C")
    assert first.start == pytest.approx((40 + 102 * 320) / 16_000)
    assert first.end == pytest.approx((40 + 106 * 320) / 16_000)
    assert first.confidence == pytest.approx((0.9 * 0.5) ** 0.5)
    assert second.confidence == pytest.approx(0.9)
    assert (line.text, line.start, line.end) == ("AB C", first.start, second.end)
    assert line.confidence == pytest.approx((first.confidence * 0.9) ** 0.5)


@pytest.mark.parametrize(("spoken", "written"), [("A?A", "AA"), ("|A||.|B|", "A B"), ("?|?", None), ("..||..", None)])
def test_symbols_that_are_not_letters(spoken: str, written: str | None) -> None:
    line = SegmentDecoder(LETTERS, TIMES).read("test", Segment(0, frames(spoken)))
    assert (line.text if line else None) == written


def test_nan_is_told() -> None:
    emission = frames("AB")
    emission[1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        SegmentDecoder(LETTERS, TIMES).read("test", Segment(0, emission))


def test_a_language_model_writes_its_words_where_they_are_heard(
    lm: LanguageModelFiles, letters: Vocabulary, sentences: list[str]
) -> None:
    words = sentences[3].split()[:6]
    spoken = ".|..".join("".join(letter + ".." for letter in word) for word in words)
    wrong = spoken.replace(words[2][0], "Q", 1) if words[2][0] in spoken else spoken
    beam = BeamDecoder(lm, letters, BeamOptions(lm_weight=1.0, word_score=0.0))
    emission = frames(wrong, 0.6)
    greedy = SegmentDecoder(letters, TIMES).read("test", Segment(50, emission))
    found = SegmentDecoder(letters, TIMES, beam).read("test", Segment(50, emission))
    exact = SegmentDecoder(letters, TIMES).read("test", Segment(50, frames(spoken, 0.6)))
    assert greedy is not None and found is not None and exact is not None
    assert "Q" in greedy.text
    assert found.text == " ".join(words)
    for word, expected in zip(found.words, exact.words, strict=True):
        assert word.start == pytest.approx(expected.start, abs=0.05)
        assert word.end == pytest.approx(expected.end, abs=0.05)
    assert min(word.confidence for word in found.words) < 0.5 < max(word.confidence for word in found.words)
