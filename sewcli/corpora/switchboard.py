"""Switchboard-1 Release 2 (LDC97S62) with the transcripts of Mississippi State University (`swb_ms98_transcriptions`).

Godfrey et al. 1992; Deshmukh et al. 1998. Utterances and their names are those of Kaldi's swbd1_data_prep.sh. Both sides of a
call have speakers of their own: lhotse's recipe calls both by the first, and stops at a call without transcript.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.base.log import warn
from sewcli.corpora.calls import EMPTY, SIDES, Marks, Turns, by_call, commonest, files_below, find_folders, read_lines
from sewcli.corpora.utterances import ParsedTranscripts, Published, Split
from sewcli.text.telephone import read_acronyms, switchboard

# Kaldi's egs/swbd counts 313 h 23 min, about 260,000 utterances, with noises and laughter alone that are left out here.
PUBLISHED = Published(None, 313.38, None, hours_tolerance=6)
SPLIT = "train-swbd"
MARKS = Marks(
    r"LDC97S62|^swb1_d\d|^swb_ms98_transcriptions$",
    r"sw0\d{4}\.sph|sw\d{4}[AB]-ms98-a-trans\.text",
)
AUDIO = re.compile(r"(?i)sw0?(\d{4})\.sph")
TRANSCRIPT = re.compile(r"sw(\d{4})([AB])-ms98-a-trans\.text")
DICTIONARY = re.compile(r"sw-ms98-dict\.text")
SIDE_TABLE = re.compile(r"call_con_tab\.csv")  # call, side, caller, ...
CALLER_TABLE = re.compile(r"caller_tab\.csv")  # caller, PIN, target, sex, year of birth, ...
LINE = re.compile(r"(sw\d{4}[AB]-ms98-a-\d+)\s+([\d.]+)\s+([\d.]+)(?:\s+(.*))?")


def find_splits(corpus: Path) -> list[Split]:
    """The split `train-swbd`; none when there is no Switchboard below `corpus`.

    Raises:
        UsageError: only its audio or only its transcripts are there.
    """
    folders = find_folders(corpus, MARKS)
    audio = next(files_below(folders, AUDIO), None)
    transcript = next(files_below(folders, TRANSCRIPT), None)
    if not audio and not transcript:
        return []
    if not audio or not transcript:
        raise UsageError(
            "corpus-part-missing",
            "Switchboard's transcripts are here and its audio is not"
            if transcript
            else "Switchboard's audio is here and its transcripts are not",
            where=corpus,
            hint="unpack or link LDC97S62 (sw02001.sph and others) here too"
            if transcript
            else "unpack switchboard_word_alignments.tar.gz (OpenSLR 5) here: it makes swb_ms98_transcriptions",
        )
    choice = "\n".join(map(str, folders))
    read = partial(_read, folders=folders)
    return [Split(SPLIT, commonest(folders), read, PUBLISHED, choice, rate=8000, convert=True)]


def _read(_: Path, folders: Sequence[Path]) -> ParsedTranscripts:
    return read_calls(folders)


def read_calls(folders: Sequence[Path]) -> ParsedTranscripts:
    """Read the transcripts of all calls below `folders`, and find the audio without one."""
    dictionary = next((path for _, path in files_below(folders, DICTIONARY)), None)
    if dictionary is None:
        warn("no sw-ms98-dict.text: acronyms such as IBM stay whole, instead of I B M")
    turns = Turns(switchboard(read_acronyms(read_lines(dictionary)) if dictionary else {}))
    audio = by_call(((f"sw0{match[1]}", path) for match, path in files_below(folders, AUDIO)), turns)
    found = ((f"sw0{match[1]}-{match[2]}", path) for match, path in files_below(folders, TRANSCRIPT))
    transcripts = by_call(found, turns)
    callers = read_callers(folders)
    for name, transcript in transcripts.items():
        call, side = name.split("-")
        if call not in audio:
            turns.reject(name, transcript, "transcript without audio")
        else:
            speaker, sex = callers.get((call, side), (name, ""))
            _read_side(turns, call, side, transcript, audio[call], speaker, {"gender": sex} if sex else {})
    for call, path in audio.items():
        missing = [side for side in SIDES if f"{call}-{side}" not in transcripts]
        if len(missing) == len(SIDES):
            turns.reject(call, path, "audio without a transcript")
        elif missing:
            turns.reject(f"{call}-{missing[0]}", path, f"no transcript of side {missing[0]}")
    return turns.listing()


def read_callers(folders: Sequence[Path]) -> dict[tuple[str, str], tuple[str, str]]:
    """Who spoke, where the tables of the LDC's documentation are at hand: `{(call, side): (caller, sex)}`.

    Without them each side of a call is a speaker, as in Kaldi.
    """
    sexes = {row[0]: row[3][:1] for row in _rows(files_below(folders, CALLER_TABLE)) if len(row) > 3}
    sides = (row for row in _rows(files_below(folders, SIDE_TABLE)) if len(row) > 2 and row[2].isdigit())
    return {(f"sw0{row[0]}", row[1]): (f"swbd-{row[2]}", sexes.get(row[2], "")) for row in sides}


def _rows(found: Iterable[tuple[re.Match[str], Path]]) -> Iterable[list[str]]:
    for _, path in found:
        for row in csv.reader(read_lines(path), skipinitialspace=True):
            yield [field.strip().strip('"') for field in row]


def _read_side(
    turns: Turns, call: str, side: str, transcript: Path, audio: Path, speaker: str, custom: dict[str, str]
) -> None:
    for number, line in enumerate(read_lines(transcript), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None or match[1][2:7] != transcript.name[2:7]:
            reason = f"line {number} is not `{transcript.name[:7]}-ms98-a-NNNN START END WORDS`"
            turns.reject(f"{call}-{side}", transcript, reason)
            continue
        said = match[4] or ""
        if said.casefold() in ("", "[silence]"):
            turns.left_out[EMPTY] += 1
            continue
        start, end = float(match[2]), float(match[3])
        name = f"{call}-{side}_{int(100 * start + 0.5):06d}-{int(100 * end + 0.5):06d}"  # as swbd1_data_prep.sh rounds
        turns.add(
            name,
            transcript,
            audio,
            said,
            side=side,
            times=(start, end),
            speaker=speaker,
            custom={"call": call, **custom},
        )
