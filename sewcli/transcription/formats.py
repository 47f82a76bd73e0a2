"""The forms of a transcript: plain text, JSON lines, SRT and WebVTT captions, NIST's CTM, Praat's TextGrid.

A form is told of each line as it becomes final, and answers with what can be written then, so that nothing waits for the end
of a recording, except a TextGrid, whose head counts its words (an hour of talk has 10,000: 2 MB of memory).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sewcli.alignment.writers import Span, ctm, textgrid
from sewcli.text.spacing import has_words
from sewcli.transcription.captions import VTT_HEAD, Caption, captions, srt, vtt
from sewcli.transcription.units import units
from sewcli.transcription.words import Line


@dataclass(frozen=True)
class Channel:
    """What is written down: a recording, or one of its channels.

    Args:
        name: of the recording, as it was given.
        title: of the recording among all others, without folders where it is unlike them.
        channel: from 1; None when all are mixed.
        labelled: whether a plain text shall say before each line whose it is.
    """

    name: str
    title: str
    channel: int | None = None
    labelled: bool = False

    @property
    def label(self) -> str:
        """`a.wav`, or `a.wav:2` of its second channel."""
        return self.name if self.channel is None else f"{self.name}:{self.channel}"


_ANY = 1 << 30  # no word is longer


class Format(Protocol):
    """A transcript in the making."""

    def line(self, line: Line) -> str:
        """What a new line adds."""

    def close(self, seconds: float) -> str:
        """What the end adds, of a recording so long."""


class _Text:
    def __init__(self, voice: Channel) -> None:
        self._before = f"{voice.label}: " if voice.labelled else ""

    def line(self, line: Line) -> str:
        return f"{self._before}{line.text}\n"

    def close(self, seconds: float) -> str:
        return ""


class _JsonLines:
    def __init__(self, voice: Channel) -> None:
        self._voice: dict[str, object] = {"file": voice.name}
        if voice.channel is not None:
            self._voice["channel"] = voice.channel

    def line(self, line: Line) -> str:
        words = [
            {"word": w.text, "start": round(w.start, 3), "end": round(w.end, 3), "confidence": round(w.confidence, 4)}
            for w in line.words
        ]
        times = {"start": round(line.start, 3), "end": round(line.end, 3)}
        row = {**self._voice, **times, "text": line.text, "confidence": round(line.confidence, 4), "words": words}
        return json.dumps(row, ensure_ascii=False) + "\n"

    def close(self, seconds: float) -> str:
        return ""


class _Ctm:
    """Words; by character where a line has none, as NIST's sclite -c scores them."""

    def __init__(self, voice: Channel) -> None:
        self._voice = voice

    def line(self, line: Line) -> str:
        words = line.words if has_words([line.text]) else [unit for word in line.words for unit in units(word, _ANY)]
        return ctm(self._voice.title, words, self._voice.channel or 1)

    def close(self, seconds: float) -> str:
        return ""


class _Captions:
    """Captions of a line are written when the next one begins, until when they may stay."""

    def __init__(self, head: str, write: Callable[[int, Caption], str]) -> None:
        self._waiting: Line | None = None
        self._head, self._write, self._count = head, write, 0

    def line(self, line: Line) -> str:
        return self._next(line, line.start)

    def close(self, seconds: float) -> str:
        return self._next(None, seconds)

    def _next(self, line: Line | None, until: float) -> str:
        text, self._head = self._head, ""
        for caption in captions(self._waiting.words, until) if self._waiting else []:
            self._count += 1
            text += self._write(self._count, caption)
        self._waiting = line
        return text


class _TextGrid:
    def __init__(self) -> None:
        self._words: list[Span] = []

    def line(self, line: Line) -> str:
        self._words += line.words
        return ""

    def close(self, seconds: float) -> str:
        return textgrid(seconds, [("words", self._words)])


ENDINGS = {"text": ".txt", "jsonl": ".jsonl", "srt": ".srt", "vtt": ".vtt", "ctm": ".ctm", "textgrid": ".TextGrid"}


def make(form: str, voice: Channel) -> Format:
    """A new transcript of a form, a key of ENDINGS."""
    makers: dict[str, Callable[[], Format]] = {
        "text": lambda: _Text(voice),
        "jsonl": lambda: _JsonLines(voice),
        "srt": lambda: _Captions("", srt),
        "vtt": lambda: _Captions(VTT_HEAD, lambda _, caption: vtt(caption)),
        "ctm": lambda: _Ctm(voice),
        "textgrid": _TextGrid,
    }
    return makers[form]()
