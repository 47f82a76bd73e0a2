"""Captions that can be read, and the forms that hold them."""

import json

import numpy as np
import pytest

from sewcli.alignment.writers import Span
from sewcli.transcription.captions import LONGEST, WIDTH, Caption, captions, srt, vtt
from sewcli.transcription.formats import Channel, make
from sewcli.transcription.words import Line

RNG = np.random.default_rng(1)


def talk(count: int) -> list[Span]:
    words, at = [], 0.5
    for _ in range(count):
        length, seconds = int(RNG.integers(1, 14)), float(RNG.uniform(0.05, 0.9))
        words.append(Span("A" * length, at, at + seconds, 0.9))
        at += seconds + float(RNG.choice([0.05, 0.3, 1.5]))
    return words


def test_captions_are_readable_and_hold_every_word_once() -> None:
    for _ in range(50):
        words = talk(60)
        made = captions(words, words[-1].end + 0.1)
        assert " ".join(line for c in made for line in c.lines).split() == [w.text for w in words]
        for caption, after in zip(made, [*made[1:], None], strict=True):
            assert len(caption.lines) <= 2
            assert all(len(line) <= WIDTH for line in caption.lines)
            assert caption.end > caption.start
            assert caption.end - caption.start <= LONGEST + 0.31
            if after:
                assert caption.end <= after.start
                assert caption.end - caption.start >= 1.0 or caption.end == after.start


def test_a_word_that_is_wider_than_a_line_is_parted() -> None:
    first, second = captions([Span("SO", 0, 1, 1), Span("W" * 60, 1, 2, 1)], 9)
    assert [*first.lines, *second.lines] == ["SO", "W" * 42, "W" * 18]
    assert (first.end, second.start) == (pytest.approx(1.7), pytest.approx(1.7))


def test_srt_and_vtt_are_written_as_players_read_them() -> None:
    caption = Caption(3661.0396, 3662.5, ["A < B", "C & D"])
    assert srt(7, caption) == "7\n01:01:01,040 --> 01:01:02,500\nA < B\nC & D\n\n"
    assert vtt(caption) == "01:01:01.040 --> 01:01:02.500\nA &lt; B\nC &amp; D\n\n"


LINES = [
    Line([Span("ONE", 1.0, 1.5, 0.9), Span("TWO", 1.6, 2.0, 0.8)]),
    Line([Span("THREE", 2.4, 2.9, 0.5)]),
]


def written(form: str, voice: Channel) -> str:
    made = make(form, voice)
    return "".join([*map(made.line, LINES), made.close(4.0)])


def test_forms() -> None:
    voice = Channel("a b.wav", "a b")
    assert written("text", voice) == "ONE TWO\nTHREE\n"
    assert written("text", Channel("a.wav", "a", 2, labelled=True)) == "a.wav:2: ONE TWO\na.wav:2: THREE\n"
    assert written("ctm", voice).splitlines()[1] == "a_b 1 1.600 0.400 TWO 0.800"
    assert written("ctm", Channel("a.wav", "a", 2)).splitlines()[2] == "a 2 2.400 0.500 THREE 0.500"
    assert written("srt", voice) == (
        "1\n00:00:01,000 --> 00:00:02,300\nONE TWO\n\n2\n00:00:02,400 --> 00:00:03,400\nTHREE\n\n"
    )
    assert written("vtt", voice).startswith("WEBVTT\n\n00:00:01.000 --> 00:00:02.300\nONE TWO\n\n")
    grid = written("textgrid", voice)
    assert 'text = "THREE"' in grid
    assert "xmax = 4.000000" in grid


def test_json_lines() -> None:
    rows = [json.loads(line) for line in written("jsonl", Channel("a.wav", "a", 1)).splitlines()]
    assert rows[0] == {
        "file": "a.wav",
        "channel": 1,
        "start": 1.0,
        "end": 2.0,
        "text": "ONE TWO",
        "confidence": pytest.approx((0.9 * 0.8) ** 0.5, abs=1e-4),
        "words": [
            {"word": "ONE", "start": 1.0, "end": 1.5, "confidence": 0.9},
            {"word": "TWO", "start": 1.6, "end": 2.0, "confidence": 0.8},
        ],
    }
    assert "channel" not in json.loads(written("jsonl", Channel("a.wav", "a")).splitlines()[0])


@pytest.mark.parametrize("form", ["text", "jsonl", "ctm", "srt", "textgrid", "vtt"])
def test_a_recording_without_words_is_a_valid_file(form: str) -> None:
    empty = make(form, Channel("a.wav", "a")).close(1.0)
    assert empty == {"vtt": "WEBVTT\n\n"}.get(form, empty if form == "textgrid" else "")
