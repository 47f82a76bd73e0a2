"""What NIST's tests of telephone speech share: two-channel calls, and references in STM files that decide the segments.

Segments, utterance names and speakers are those of Kaldi's egs/fisher_swbd/s5/local/{eval2000,rt03}_data_prep.sh: every line of
the STM is an utterance, but those that scoring passes over; a side of a call is a speaker. Segments without a word, or with
nothing but optional ones, stay: NIST's sclite counts them, and as errors what is recognised there. The STM is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sewcli.base.errors import DataError, UsageError
from sewcli.base.log import warn
from sewcli.corpora.calls import DEPTH, Marks, Turns, by_call, files_below, find_folders
from sewcli.corpora.preparation import fingerprint
from sewcli.corpora.stm import Segment, read_stm
from sewcli.corpora.utterances import ParsedTranscripts, Published, Split
from sewcli.text.hub5 import RULES

IGNORED = "not scored (IGNORE_TIME_SEGMENT_IN_SCORING)"
GAP = "between two segments (inter_segment_gap)"
CHANNELS = {"A": "A", "B": "B", "1": "A", "2": "B"}  # of an STM: the side of the call


@dataclass(frozen=True)
class TelephoneTest:
    """A test as NIST and the LDC published it. Patterns match whole file names."""

    split: str
    marks: Marks
    audio: re.Pattern[str]
    """Of the calls; group 1 is what the STM calls them."""
    references: re.Pattern[str]
    spellings: re.Pattern[str]
    """The GLM: which spellings of a word scoring takes for the same."""
    numbers: tuple[str, str]
    """What the LDC calls the audio and the references."""
    published: Published
    below: str = ""
    """A folder in the way to references that count, where others lie beside them."""


def find_test(corpus: Path, test: TelephoneTest) -> list[Split]:
    """The split of a test; none when nothing of it is below `corpus`.

    Raises:
        UsageError: only its audio or only its references are there.
    """
    folders = find_folders(corpus, test.marks)
    stms = _references(folders, test)
    has_audio = _has_audio(folders, test)
    if not stms and not has_audio:
        return []
    if not stms or not has_audio:
        here, absent = ("references", "audio") if stms else ("audio", "references")
        number = test.numbers[0 if stms else 1]
        near = _nearby(corpus, test, references=has_audio)
        raise UsageError(
            "corpus-part-missing",
            f"of {test.split} only the {here} can be found, and no {absent}",
            where=corpus,
            hint=f"give the folder that holds both, or links to both: {near} is near"
            if near
            else f"unpack or link {number} here too",
        )
    glms = [path for _, path in files_below(folders, test.spellings)][:1]
    if not glms:
        warn(f"{test.split}: no GLM ({test.spellings.pattern}); scoring needs its map of spellings")
    return [
        Split(
            test.split,
            folders[0],
            partial(_read, folders=folders, stms=stms, audio=test.audio),
            test.published,
            choice="\n".join(map(fingerprint, folders[1:])),
            rate=8000,
            convert=True,
            score={".stm": stms} | ({".glm": glms} if glms else {}),
        )
    ]


def read_test(folders: Sequence[Path], stms: Sequence[Path], audio: re.Pattern[str]) -> ParsedTranscripts:
    """The utterances of a test, of the calls below `folders` with names that `audio` matches."""
    turns = Turns(RULES, keep_empty=True)
    calls = by_call(((match[1].lower(), path) for match, path in files_below(folders, audio)), turns)
    without_reference = set(calls)
    for stm in stms:
        try:
            segments, faults = read_stm(stm)
        except DataError as error:
            turns.reject(stm.stem, stm, error.what)
            without_reference.clear()  # nobody knows
            continue
        for fault in faults:
            turns.reject(f"{stm.stem}:{fault.line}", stm, fault.reason)
        for segment in segments:
            without_reference.discard(segment.file.lower())
            _add(turns, segment, stm, calls)
    for call in sorted(without_reference):
        turns.reject(call, calls[call], "a call without reference")
    return turns.listing()


def utterance_id(call: str, side: str, start: float, end: float) -> str:
    """As awk prints it in Kaldi's scripts: centiseconds, cut off.

    >>> utterance_id("sw_4390", "B", 12.345, 0.29 + 13)
    'sw_4390-B_001234-001329'
    """
    return f"{call}-{side}_{int(start * 100):06d}-{int(end * 100):06d}"


def _add(turns: Turns, segment: Segment, stm: Path, calls: Mapping[str, Path]) -> None:
    side = CHANNELS.get(segment.channel.upper())
    identity = utterance_id(segment.file, side or segment.channel, segment.start, segment.end)
    if segment.gap:
        turns.left_out[GAP] += 1
    elif segment.ignored:
        turns.left_out[IGNORED] += 1
    elif side is None:
        turns.reject(identity, stm, f"line {segment.line}: no such channel: {segment.channel}")
    elif segment.file.lower() not in calls:
        turns.reject(identity, stm, f"no sound file of this call ({segment.file}.sph)")
    else:
        turns.add(
            identity,
            stm,
            calls[segment.file.lower()],
            segment.text,
            side=side,
            times=(segment.start, segment.end),
            speaker=f"{segment.file}-{side}",
            custom={"stm": [segment.file, segment.channel], **_gender(segment)},
        )


def _gender(segment: Segment) -> dict[str, str]:
    """Of `<O,sw,F,sw-F>`, as the other parts of the corpus have it."""
    sexes = {"F", "M"}.intersection(segment.label)
    return {"gender": sexes.pop()} if len(sexes) == 1 else {}


def _read(_: Path, folders: Sequence[Path], stms: Sequence[Path], audio: re.Pattern[str]) -> ParsedTranscripts:
    return read_test(folders, stms, audio)


def _references(folders: Sequence[Path], test: TelephoneTest) -> list[Path]:
    found = (path for _, path in files_below(folders, test.references))
    return [path for path in found if not test.below or test.below in path.parent.as_posix().lower()]


def _has_audio(folders: Sequence[Path], test: TelephoneTest) -> bool:
    return next(files_below(folders, test.audio), None) is not None


def _nearby(corpus: Path, test: TelephoneTest, *, references: bool) -> Path | None:
    """A folder with the references, or the audio, of a test one level above or too far below."""
    folders = [*find_folders(corpus.absolute().parent, test.marks, 1), *find_folders(corpus, test.marks, 2 * DEPTH)]
    has = _references if references else _has_audio
    return next((folder for folder in folders if has([folder], test)), None)
