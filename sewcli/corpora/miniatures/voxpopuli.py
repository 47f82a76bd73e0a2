"""A miniature of VoxPopuli: synthetic debates in the true folders, names and formats, the same utterances in both layouts.

`raw_audios/original/YYYY/<session>_original.ogg` with `transcribed_data/en/asr_en.tsv.gz`, and what the official
get_asr_data.py makes of them: `asr_{train,dev,test}.tsv` and `YYYY/<session>-<id_>.ogg` in `transcribed_data/en`.
Several speakers take the floor in a session, of any split, with gaps; pauses inside an utterance are not in its `vad`. Some
transcripts have the quirks that `text/voxpopuli.py` has rules for. Every byte is a function of the plan.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.audio.io import encode_vorbis, read_wave
from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.processes import in_processes
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures.casting import Booth, Casting, Speaker, in_fresh_processes, written_once
from sewcli.corpora.miniatures.sentences import DIGITS, TEENS, TENS, sentences
from sewcli.corpora.voxpopuli import ANNOTATIONS, CLIPS, LM_DATA, SESSIONS

VERSION = 1  # raise it when the audio or the text of a plan changes
FIRST_YEAR, YEARS = 2009, 12
SHORTEST, LONGEST = 0.4, 4.0  # seconds of a sentence
LENGTHS = {1: 0.6, 2: 0.3, 3: 0.1}  # sentences of an utterance, and how often
EVERY = 9  # one transcript of train in so many has a quirk
SPOKEN = "spoken"  # the speeches, until the sessions are put together


@dataclass(frozen=True)
class Part:
    """A split: its speakers, speeches a speaker, utterances a speech."""

    name: str
    speakers: int
    speeches: int
    utterances: int


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a miniature. The default: about 55 minutes of train, 2 of dev, 4 of test."""

    parts: tuple[Part, ...] = (Part("train", 100, 2, 7), Part("dev", 6, 1, 7), Part("test", 14, 1, 7))
    sessions: int = YEARS
    europarl: int = 400  # paragraphs
    seed: int = 1

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        return {"version": VERSION, **asdict(self), "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True)
class Member:
    """A speaker with the split they belong to."""

    speaker: Speaker
    part: Part


@dataclass(frozen=True)
class Utterance:
    """What was said in a speech: sentences, and the samples of each in the speech."""

    sentences: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Speech:
    """One speech: who gave it, where its samples are, what was said."""

    member: Member
    file: str
    utterances: tuple[Utterance, ...]


Row = dict[str, str]


def write_miniature(corpus: str | Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write both layouts of the corpus to the folder `corpus`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    jobs = jobs or os.cpu_count() or 1
    with written_once(Path(corpus), plan.mark()) as folder:
        if folder is None:
            return False
        speeches = [
            speech
            for given in in_fresh_processes(
                partial(speak, folder, seed=plan.seed), elect(plan), jobs, "speaking the miniature"
            )
            for speech in given
        ]
        order = numpy_rng(plan.seed, "agenda").permutation(len(speeches)).tolist()
        agenda = [[speeches[i] for i in order[number :: plan.sessions]] for number in range(plan.sessions)]
        hold = partial(hold_session, folder, seed=plan.seed)
        rows = [row for session in in_processes(hold, list(enumerate(agenda)), jobs) for row in session]
        shutil.rmtree(folder / SPOKEN)
        _write_tables(folder, _with_quirks(rows), plan)
    return True


def elect(plan: Plan) -> list[Member]:
    """The speakers of a plan: no voice twice, half women, half men."""
    casting = Casting(numpy_rng(plan.seed, "speakers"), sum(part.speakers for part in plan.parts))
    return [Member(casting.next("FM"[i % 2]), part) for part in plan.parts for i in range(part.speakers)]


def speak(folder: Path, member: Member, seed: int) -> list[Speech]:
    """Write the samples of one member's speeches below `folder`. Call it in a fresh process."""
    booth = Booth(member.speaker, seed)
    texts = sentences(member.part.name, seed, member.speaker.number)
    speeches = []
    for number in range(member.part.speeches):
        waves: list[np.ndarray] = []
        utterances = tuple(_say(booth, texts, waves) for _ in range(member.part.utterances))
        speech = Speech(member, f"{SPOKEN}/{member.speaker.number}-{number}.npy", utterances)
        with os_errors_as_usage_errors(folder.parent):
            (folder / SPOKEN).mkdir(exist_ok=True)
            np.save(folder / speech.file, np.concatenate(waves).astype(np.float32))
        speeches.append(speech)
    return speeches


def _say(booth: Booth, texts: Iterator[str], waves: list[np.ndarray]) -> Utterance:
    """One utterance: sentences with pauses between, and a longer pause at the end; appends to `waves`."""
    count = int(booth.rng.choice(list(LENGTHS), p=list(LENGTHS.values())))
    said, spans = list[str](), list[tuple[int, int]]()
    while len(said) < count:
        text = next(texts)
        wave = booth.say(text)
        if not SHORTEST <= len(wave) / SAMPLE_RATE <= LONGEST:
            continue
        begin = sum(map(len, waves))
        said.append(text)
        spans.append((begin, begin + len(wave)))
        longest = 1.2 if len(said) < count else 2.0
        waves += [wave, booth.room(int(booth.rng.uniform(0.4, longest) * SAMPLE_RATE))]
    return Utterance(tuple(said), tuple(spans))


def hold_session(folder: Path, item: tuple[int, Sequence[Speech]], seed: int) -> list[Row]:
    """Write a session and the clips cut out of it, as the official tool cuts; returns the rows of the annotations."""
    number, speeches = item
    rng = numpy_rng(seed, "session", number)
    year = FIRST_YEAR + number % YEARS
    date = f"{year}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    session = f"{date}-0900-PLENARY-{number // YEARS + int(rng.integers(1, 20))}"
    waves, rows = [_hall(rng)], []
    for speech in speeches:
        offset = sum(map(len, waves))
        rows += _rows(session, date, speech, offset)
        waves += [np.load(folder / speech.file).astype(np.float64), _hall(rng)]
    with os_errors_as_usage_errors(folder.parent):
        path = folder / SESSIONS / str(year) / f"{session}_original.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_vorbis(np.concatenate(waves), serial=number))
        wave = read_wave(path)
        clips = folder / CLIPS / str(year)
        clips.mkdir(parents=True, exist_ok=True)
        for serial, row in enumerate(rows):
            pairs = [tuple(map(float, pair)) for pair in re.findall(r"\(([\d.]+), ([\d.]+)\)", row["vad"])]
            clip = np.concatenate([wave[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] for start, end in pairs])
            (clips / f"{_identity(row)}.ogg").write_bytes(encode_vorbis(clip, serial=serial))
    return rows


def _hall(rng: np.random.Generator) -> np.ndarray:
    """Nobody speaks: 1 to 3 seconds."""
    return np.asarray(rng.normal(0, 1e-3, int(rng.uniform(1, 3) * SAMPLE_RATE)))


def _rows(session: str, date: str, speech: Speech, offset: int) -> list[Row]:
    begun = offset // SAMPLE_RATE + 9 * 3600
    clock = f"{begun // 3600:02d}:{begun // 60 % 60:02d}:{begun % 60:02d}"
    rows = []
    for number, utterance in enumerate(speech.utterances):
        vad = [(round((offset + a) / SAMPLE_RATE, 2), round((offset + b) / SAMPLE_RATE, 2)) for a, b in utterance.spans]
        rows.append(
            {
                "session_id": session,
                "id_": f"en_{date}-{clock}_{number}",
                "original_text": " ".join(f"{sentence.capitalize()}." for sentence in utterance.sentences),
                "normed_text": " ".join(utterance.sentences).lower(),
                "speaker_id": str(speech.member.speaker.number),
                "split": speech.member.part.name,
                "gender": {"F": "female", "M": "male"}[speech.member.speaker.sex],
                "start_time": str(vad[0][0]),
                "end_time": str(vad[-1][1]),
                "vad": str(vad),
                "is_gold_transcript": str(speech.member.part.name != "train"),
                "accent": "None",
            }
        )
    return rows


def _identity(row: Row) -> str:
    return f"{row['session_id']}-{row['id_']}"


def _in_figures(text: str) -> str:
    """`forty two` -> 42, `seven` -> 7."""
    units = {word.lower(): value for value, word in enumerate(DIGITS)}
    tens = {word.lower(): 10 * value for value, word in enumerate(TENS, start=2)}
    teens = dict(zip((word.lower() for word in TEENS), (10, 11, 12, 15), strict=True))
    both = rf"\b({'|'.join(tens)}) ({'|'.join(list(units)[1:])})\b"
    text = re.sub(both, lambda match: str(tens[match[1]] + units[match[2]]), text)
    single = tens | units | teens
    return re.sub(rf"\b({'|'.join(single)})\b", lambda match: str(single[match[1]]), text)


Quirk = Callable[[Row], Row]
QUIRKS: tuple[Quirk, ...] = (  # the first ones are undone by the rules for text
    lambda row: {"normed_text": _in_figures(row["normed_text"])},
    lambda row: {"normed_text": f"{row['normed_text']}."},
    lambda row: {"normed_text": row["normed_text"].replace("'", "’").replace("hotel", "hôtel").replace("o", "ó", 1)},
    lambda row: {"normed_text": f"{row['normed_text']} (applause)"},
    lambda row: {"original_text": f'"{row["original_text"]}" he said'},
    lambda row: {"original_text": ""},
    lambda row: {"speaker_id": "None", "gender": "None"},
    lambda row: {"normed_text": ""},  # left out
    lambda row: {"normed_text": f"€ {row['normed_text']}"},  # left out
)


def _with_quirks(rows: Sequence[Row]) -> list[Row]:
    changed, seen = [], 0
    for row in rows:
        if row["split"] == "train":
            seen += 1
            if seen % EVERY == 0:
                changed.append({**row, **QUIRKS[seen // EVERY % len(QUIRKS)](row)})
                continue
        changed.append(row)
    return changed


COLUMNS = ("id", "raw_text", "normalized_text", "speaker_id", "split", "gender", "is_gold_transcript", "accent")


def _write_tables(folder: Path, rows: Sequence[Row], plan: Plan) -> None:
    """The annotations, and the tables that the official tool makes of them; Europarl's text; a word about it all."""
    with os_errors_as_usage_errors(folder.parent):
        with open(folder / CLIPS / ANNOTATIONS, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
            packed.writelines("|".join(line).encode() + b"\n" for line in (rows[0], *(row.values() for row in rows)))
        for part in plan.parts:
            lines: list[tuple[str, ...]] = [COLUMNS]
            for row in rows:
                if row["split"] == part.name:
                    clip = {**row, "id": _identity(row), "raw_text": row["original_text"]}
                    clip["normalized_text"] = row["normed_text"]
                    lines.append(tuple(clip[name] for name in COLUMNS))
            text = "".join("\t".join(line) + "\n" for line in lines)
            (folder / CLIPS / f"asr_{part.name}.tsv").write_text(text, encoding="utf-8")
        europarl = folder / LM_DATA / "txt" / "en" / "ep-09-01-12-015.txt"
        europarl.parent.mkdir(parents=True)
        europarl.write_text("".join(_proceedings(plan)), encoding="utf-8")
        (folder / "README.txt").write_text(README, encoding="utf-8")


def _proceedings(plan: Plan) -> Iterator[str]:
    """Lines as in europarl.tgz: paragraphs of sentences of the train part between lines of markup."""
    rng = numpy_rng(plan.seed, "europarl")
    texts = sentences("train", plan.seed, 0)
    yield "<CHAPTER ID=1>\nOpening of the sitting\n"
    for number in range(plan.europarl):
        yield f'<SPEAKER ID={number + 1} NAME="President">\n' if number % 8 == 0 else "<P>\n"
        paragraph = [_in_figures(next(texts).lower()).capitalize() for _ in range(int(rng.integers(1, 5)))]
        yield " ".join(f"{sentence}." for sentence in paragraph) + (" (Applause)\n" if number % 8 == 7 else "\n")


README = """A miniature in the layout of VoxPopuli. It is not VoxPopuli, and nobody said any of this.

The sentences come from a small grammar, the voices from the eSpeak NG synthesiser at 16 kHz with some room and noise.
Speakers and sentences of train, dev and test are disjoint. Written by `sew prep voxpopuli --mini`.
The sentences and the synthetic audio of this folder are placed in the public domain (CC0 1.0),
see <https://creativecommons.org/publicdomain/zero/1.0/>.
"""
