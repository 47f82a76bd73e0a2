"""A miniature of TED-LIUM 3: synthetic talks in the true folders, names, formats and quirks, in under a minute.

One talk is one speaker, one 16 kHz 16-bit PCM SPHERE file and one STM file with many segments. legacy/train links to
data/, as published; labels, gaps, `<unk>`, `{NOISE}`, split clitics and segments that overlap are as in the releases
(see egs/tedlium3/README.md). Speakers and sentences of train, dev and test are disjoint.
"""

from __future__ import annotations

import gzip
import io
import os
import re
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sewcli.base.files import os_errors_as_usage_errors
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures.casting import Booth, Casting, Speaker, in_fresh_processes, written_once
from sewcli.corpora.miniatures.sentences import sentences
from sewcli.corpora.miniatures.tedlium3_words import DICTIONARY, FIRST_NAMES, LAST_NAMES
from sewcli.corpora.stm import IGNORED

VERSION = 1  # raise it when the audio or the text of a plan changes
SHORTEST, LONGEST = 0.4, 4.5  # seconds of a spoken sentence
EDGE = 0.08  # seconds of silence that the segments of train lack at both ends, which padding gives back
INTRODUCTIONS = ("LET'S", "WE'LL", "I'D", "YOU'RE TO")  # before a command; their clitics are split in the stm files
CLITIC = re.compile(r"(?<=\w)('(?:s|re|ll|d|ve|m))\b")
LM_FILES = (
    "commoncrawl-9pc",
    "europarl-v7-6pc",
    "giga-fren-4pc",
    "news-18pc",
    "news-commentary-v8-9pc",
    "yandex-1m-31pc",
)


@dataclass(frozen=True)
class Part:
    """A legacy split: its name, talks, and segments a talk."""

    name: str
    talks: int
    segments: int


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a miniature. The default: about 50 minutes of train, 2 of dev, 4 of test."""

    parts: tuple[Part, ...] = (Part("train", 64, 26), Part("dev", 6, 10), Part("test", 10, 14))
    lm_sentences: int = 1000  # in each file of LM/
    seed: int = 1

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        return {"version": VERSION, **asdict(self), "parts": [asdict(part) for part in self.parts]}


@dataclass(frozen=True)
class Talk:
    """One speaker on a stage. `old` talks have the labels, gaps and names of utterances of the releases before."""

    name: str
    speaker: Speaker
    part: Part
    old: bool

    @property
    def label(self) -> str:
        """Of its segments: only the old ones tell the sex, those of dev in another form."""
        if self.part.name == "dev":
            return f"<F0_{self.speaker.sex}>"
        return f"<o,f0,{'female' if self.speaker.sex == 'F' else 'male'}>" if self.old else "<NA>"

    @property
    def person(self) -> str:
        """The third column: the talk in train, the speaker's name in dev (`Ada_Abara`) and test (`AdaAbara`)."""
        if self.part.name == "train":
            return self.name
        person = self.name.split("_")[0]
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", person) if self.part.name == "dev" else person


def write_miniature(corpus: str | Path, plan: Plan = Plan(), *, jobs: int | None = None) -> bool:
    """Write a corpus in the layout of TED-LIUM 3 to the folder `corpus`; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    with written_once(Path(corpus), plan.mark()) as folder:
        if folder is None:
            return False
        with os_errors_as_usage_errors(Path(corpus)):
            for place in ("data", "legacy/dev", "legacy/test"):
                for kind in ("sph", "stm"):
                    (folder / place / kind).mkdir(parents=True)
            (folder / "legacy/train").mkdir()
            for kind in ("sph", "stm"):
                (folder / "legacy/train" / kind).symlink_to(f"../../data/{kind}", target_is_directory=True)
            _write_texts(folder, plan)
        talks = cast_talks(plan)
        work = partial(give_talk, folder, seed=plan.seed)
        in_fresh_processes(work, talks, jobs or os.cpu_count() or 1, "speaking the miniature")
    return True


def cast_talks(plan: Plan) -> list[Talk]:
    """The talks of a plan in the order of its parts: no voice and no name twice, half women, half men."""
    rng = numpy_rng(plan.seed, "speakers")
    casting = Casting(rng, sum(part.talks for part in plan.parts))
    names = {
        sex: iter(rng.permutation([f"{first}{last}" for first in firsts for last in LAST_NAMES]).tolist())
        for sex, firsts in FIRST_NAMES.items()
    }
    talks = []
    for part in plan.parts:
        for i in range(part.talks):
            year, stage = int(rng.integers(2006, 2018)), str(rng.choice(["", "G", "P", "U", "W", "X", "Z"]))
            speaker = casting.next("FM"[i % 2])
            person = "911Callers" if part.name == "train" and i == 0 else next(names[speaker.sex])  # some are groups
            talks.append(Talk(f"{person}_{year}{stage}", speaker, part, old=part.name != "train" or i % 3 == 2))
    return talks


def give_talk(folder: Path, talk: Talk, seed: int) -> None:
    """Write the sph and the stm file of one talk below `folder`. Call it in a fresh process."""
    booth, rng = Booth(talk.speaker, seed), numpy_rng(seed, "talk", talk.speaker.number)
    stage = _Stage(booth, rng)
    lines: list[str] = []
    words = sentences(talk.part.name, seed, talk.speaker.number)
    stage.applause(rng.uniform(1, 3))
    quiet, told = 0.0, 0  # seconds at which the last segment ended; segments so far
    while told < talk.part.segments:
        text = _introduced(next(words), rng)
        wave = booth.say(text)
        if not SHORTEST <= len(wave) / SAMPLE_RATE <= LONGEST:
            continue
        written = CLITIC.sub(r" \1", text.lower())
        begin = stage.seconds
        kind = rng.random()
        if kind < 0.06 and talk.part.name != "test":
            stage.play(_mumbled(booth.say(text)))
            written = f"<unk> {written}"
        stage.play(wave)
        if kind > 0.94:
            stage.play(stage.cough())
            written += " {NOISE}"
        start, end = _times(begin, stage.seconds, talk, rng)
        if talk.old and start > quiet:
            lines.append(f"{talk.name} 1 inter_segment_gap {quiet:.2f} {start:.2f} <o,,unknown> {IGNORED}\n")
        name = f" ({talk.name}-{start:.2f}-{end:.2f}-F0_{talk.speaker.sex}-S{told + 1})"
        trailer = name if talk.old and talk.part.name == "train" else ""
        lines.append(f"{talk.name} 1 {talk.person} {start:.2f} {end:.2f} {talk.label} {written}{trailer}\n")
        quiet, told = end, told + 1
        if rng.random() < 0.6:
            stage.play(booth.room(int(rng.uniform(0.2, 1.0) * SAMPLE_RATE)))
    stage.applause(rng.uniform(0.5, 2))
    place = folder / ("data" if talk.part.name == "train" else f"legacy/{talk.part.name}")
    with os_errors_as_usage_errors(folder.parent):
        (place / "sph" / f"{talk.name}.sph").write_bytes(stage.sphere())
        (place / "stm" / f"{talk.name}.stm").write_text("".join(lines), encoding="utf-8")


class _Stage:
    """What the microphone of a talk has heard so far: float64, 16 kHz."""

    def __init__(self, booth: Booth, rng: np.random.Generator) -> None:
        self._booth, self._rng, self._heard = booth, rng, list[np.ndarray]()
        self._samples = 0

    @property
    def seconds(self) -> float:
        return self._samples / SAMPLE_RATE

    def play(self, wave: np.ndarray) -> None:
        self._heard.append(wave)
        self._samples += len(wave)

    def applause(self, seconds: float) -> None:
        """Louder and louder, and away, between two stretches of room."""
        samples = int(seconds * SAMPLE_RATE)
        clapping = 0.02 * np.sin(np.linspace(0, np.pi, samples)) * self._rng.standard_normal(samples)
        for wave in (self._booth.room(SAMPLE_RATE // 2), clapping, self._booth.room(SAMPLE_RATE // 2)):
            self.play(wave)

    def cough(self) -> np.ndarray:
        """A burst of noise that dies away."""
        samples = int(self._rng.uniform(0.15, 0.3) * SAMPLE_RATE)
        burst = 0.2 * np.exp(-np.linspace(0, 5, samples)) * self._rng.standard_normal(samples)
        return np.concatenate([burst, self._booth.room(int(0.15 * SAMPLE_RATE))])

    def sphere(self) -> bytes:
        """The recording as a SPHERE file; encoded in memory, because libsndfile does not tell when a disk is full."""
        wave = np.concatenate(self._heard)
        samples = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
        encoded = io.BytesIO()
        soundfile.write(encoded, samples, SAMPLE_RATE, format="NIST", subtype="PCM_16")
        return encoded.getvalue()


def _introduced(sentence: str, rng: np.random.Generator) -> str:
    """Some commands as a speaker on a stage puts them: `LET'S TURN LEFT IN TEN MILES`."""
    if rng.random() < 0.25 and len(sentence.split()) > 2 and not sentence.startswith("IT'S"):
        return f"{INTRODUCTIONS[int(rng.integers(len(INTRODUCTIONS)))]} {sentence}"
    return sentence


def _mumbled(wave: np.ndarray) -> np.ndarray:
    """A third of a second out of the middle of a sentence, backwards: a voice, but no words."""
    middle, half = len(wave) // 2, SAMPLE_RATE // 6
    piece = wave[max(0, middle - half) : middle + half][::-1]
    return np.asarray(piece * np.hanning(len(piece)))


def _times(begin: float, end: float, talk: Talk, rng: np.random.Generator) -> tuple[float, float]:
    """What the stm file says: all of the sound in dev and test; in train tight, or past its ends into the neighbours."""
    if talk.part.name != "train":
        return round(begin, 2), round(end, 2)
    past = 0.03 if rng.random() < 0.4 else -EDGE
    return round(begin - past, 2), round(end + past, 2)


def _write_texts(folder: Path, plan: Plan) -> None:
    """README, dictionary, and the texts for language models."""
    (folder / "README").write_text(README, encoding="utf-8")
    (folder / "TEDLIUM.152k.dic").write_text(DICTIONARY, encoding="utf-8")
    (folder / "LM").mkdir()
    rng = numpy_rng(plan.seed, "texts")
    for number, name in enumerate(LM_FILES):
        drawn = islice(sentences("train", plan.seed, -1 - number), plan.lm_sentences)
        lines = [CLITIC.sub(r" \1", _introduced(sentence, rng).lower()) for sentence in drawn]
        packed = gzip.compress("".join(f"{line} </s>\n" for line in lines).encode(), mtime=0)
        (folder / "LM" / f"{name}.en.gz").write_bytes(packed)


README = """This is a miniature in the layout of the TED-LIUM corpus release 3. It is not TED-LIUM, and nobody said any of this.

The sentences come from a small grammar, the voices from the eSpeak NG synthesiser at 16 kHz with some room and noise.
Speakers and sentences of legacy/train, dev and test are disjoint. Written by `sew prep tedlium3 --mini` and placed in
the public domain (CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/).

SPH format info:

Channels       : 1
Sample Rate    : 16000
Precision      : 16-bit
Bit Rate       : 256k
Sample Encoding: 16-bit Signed Integer PCM
"""
