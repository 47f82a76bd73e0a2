"""Fisher English, parts 1 and 2: LDC2004S13 and LDC2005S13 (audio), LDC2004T19 and LDC2005T19 (transcripts).

Cieri et al. 2004. Utterances, their names and what is left out are those of Kaldi's fisher_data_prep.sh; speakers are the PINs
of `calldata.tbl`. A PIN that was heard with both sexes is two speakers, as the corpus's own readme warns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sewcli.base.errors import UsageError
from sewcli.corpora.calls import EMPTY, SIDES, Marks, Turns, by_call, commonest, files_below, find_folders, read_lines
from sewcli.corpora.utterances import ParsedTranscripts, Published, Split
from sewcli.text.telephone import FISHER, is_unclear

# Kaldi's fisher_data_prep.sh: 1915 h of 11,699 calls without the (( lines, with noises alone that are left out here.
PUBLISHED = Published(None, 1915, None, hours_tolerance=40)
SPLIT = "train-fisher"
MARKS = Marks(
    r"LDC200[45](S13|T19)|^fe_03_p[12]_(sph\d|tran)|^fisher_eng_tr_sp_d\d",
    r"fe_03_\d{5}\.(sph|txt)",
)
AUDIO = re.compile(r"(?i)(fe_03_\d{5})\.sph")
TRANSCRIPT = re.compile(r"(?i)(fe_03_\d{5})\.txt")
ORIGINALS = "bbn_orig"  # the same transcripts before they were made alike
CALL_TABLE = re.compile(
    r"fe_03_p[12]_calldata\.tbl"
)  # CSV with a header: CALL_ID, ..., APIN, ASX.DL, ..., BPIN, BSX.DL, ...
SEX_TABLE = re.compile(r"filetable2?\.txt|fe_03_p[12]_filelist\.tbl")
LINE = re.compile(r"([\d.]+)\s+([\d.]+)\s+([AB]):\s*(.*)")
SEXES = re.compile(r"(?:\S+\s+(fe_03_\d{5})\.sph|fe_03_p[12]_sph\d\t(\d{5}))\s+([fm])([fm])")  # of both tables
BAD_AUDIO = ("fe_03_00446", "fe_03_01243", "fe_03_06716")  # noise or another call; Kaldi's egs/sre names them
MISTYPED = {("fe_03_11487", "31.09", "234.06"): 231.09}  # a start of 31.09 s between turns of 230 s
UNCLEAR = "(( )): words that the transcriber guessed"


@dataclass(frozen=True)
class Person:
    """Who spoke on a side of a call, as far as is known."""

    speaker: str
    sex: str = ""


def find_splits(corpus: Path) -> list[Split]:
    """The split `train-fisher`; none when there is no Fisher below `corpus`.

    Raises:
        UsageError: only its audio or only its transcripts are there.
    """
    folders = find_folders(corpus, MARKS)
    audio = next(files_below(folders, AUDIO), None)
    transcript = next(files_below(folders, TRANSCRIPT), None)
    if not audio and not transcript:
        return []
    if not audio or not transcript:
        there, absent = ("transcripts", "audio") if transcript else ("audio", "transcripts")
        numbers = "LDC2004T19 and LDC2005T19" if audio else "LDC2004S13 and LDC2005S13"
        raise UsageError(
            "corpus-part-missing",
            f"Fisher's {there} is here and its {absent} is not".replace("transcripts is", "transcripts are"),
            where=corpus,
            hint=f"unpack or link {numbers} here too",
        )
    choice = "\n".join(map(str, folders))
    read = partial(_read, folders=folders)
    return [Split(SPLIT, commonest(folders), read, PUBLISHED, choice, rate=8000, convert=True)]


def _read(_: Path, folders: Sequence[Path]) -> ParsedTranscripts:
    return read_calls(folders)


def read_calls(folders: Sequence[Path]) -> ParsedTranscripts:
    """Read the transcripts of all calls below `folders`, and find the audio without one."""
    turns = Turns(FISHER)
    audio = by_call(((match[1].lower(), path) for match, path in files_below(folders, AUDIO)), turns)
    found = (
        (match[1].lower(), path) for match, path in files_below(folders, TRANSCRIPT) if ORIGINALS not in path.parts
    )
    transcripts = by_call(found, turns)
    people = read_people(folders)
    for call, transcript in transcripts.items():
        if call not in audio:
            turns.reject(call, transcript, "transcript without audio")
        else:
            _read_call(turns, call, transcript, audio[call], people)
    for call in sorted(audio.keys() - transcripts.keys()):
        turns.reject(call, audio[call], "audio without a transcript")
    return turns.listing()


def read_people(folders: Sequence[Path]) -> dict[tuple[str, str], Person]:
    """Who spoke: `{(call, side): Person}`, by PIN from the tables of calls, or with the sex alone from those of the discs."""
    people = {}
    for _, path in files_below(folders, SEX_TABLE):
        for match in filter(None, map(SEXES.match, read_lines(path))):
            call = match[1] or f"fe_03_{match[2]}"
            for side, sex in zip(SIDES, match.groups()[2:], strict=True):
                people[call, side] = Person(f"{call}-{side}", sex.upper())
    for _, path in files_below(folders, CALL_TABLE):
        for row in csv.DictReader(read_lines(path)):
            call = f"fe_03_{row.get('CALL_ID') or ''}"
            for side in SIDES:
                pin, sex = row.get(f"{side}PIN") or "", (row.get(f"{side}SX.DL") or "")[:1].upper()
                if pin.isdigit():
                    people[call, side] = Person(f"fisher-{pin}{sex}", sex)
    return people


def _read_call(turns: Turns, call: str, transcript: Path, audio: Path, people: dict[tuple[str, str], Person]) -> None:
    lines = read_lines(transcript)
    if lines and lines[0].startswith("#") and lines[0].strip("# ") != f"{call}.sph":
        turns.reject(call, transcript, f"its first line names another call: {lines[0].strip('# ')}")
        return
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            turns.reject(call, transcript, f"line {number} is not `START END A: WORDS`")
        elif call in BAD_AUDIO:
            turns.left_out["calls whose audio is known to be bad"] += 1
        elif is_unclear(match[4]):
            turns.left_out[UNCLEAR] += 1
        elif not match[4]:
            turns.left_out[EMPTY] += 1
        else:
            start = MISTYPED.get((call, match[1], match[2]), float(match[1]))
            _add(turns, call, match[3], (start, float(match[2])), match[4], transcript, audio, people)


def _add(
    turns: Turns,
    call: str,
    side: str,
    times: tuple[float, float],
    said: str,
    transcript: Path,
    audio: Path,
    people: dict[tuple[str, str], Person],
) -> None:
    # Centiseconds cut off, not rounded, so that the names equal those of fisher_data_prep.sh (0.29 s is 28 there).
    name = f"{call}-{side}-{int(times[0] * 100.0):06d}-{int(times[1] * 100.0):06d}"
    person = people.get((call, side), Person(f"{call}-{side}"))
    custom = {"call": call, **({"gender": person.sex} if person.sex else {})}
    turns.add(name, transcript, audio, said, side=side, times=times, speaker=person.speaker, custom=custom)
