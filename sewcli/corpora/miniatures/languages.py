"""Miniatures of one's own speech in four languages that break assumptions, as people have such recordings.

French (accents, apostrophes, digits) as a table of 48 kHz MP3 files; Georgian (a script of its own, without capitals) as a
Kaldi folder with segments; Hindi (combining marks) as a release of Common Voice; Mandarin (no blanks between words) as long
recordings with subtitles. Spoken by eSpeak NG; every byte is a function of the plan.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.base.rng import key, numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.miniatures.casting import Booth, Speaker, cast, in_fresh_processes, written_once

VERSION = 1  # raise it when the audio or the text of a plan changes
STUDIO = 48_000  # Hz of the MP3 files
PAUSES = (0.4, 1.2)  # seconds between the sentences of a long recording


@dataclass(frozen=True)
class Language:
    """A language of a miniature: a small grammar, in the words and the punctuation of its writers.

    Args:
        voice: of eSpeak NG.
        name: as `--language` takes it.
        templates: sentences with `{slot}`s.
        slots: what may stand in one.
        blank: what stands between two clauses.
    """

    voice: str
    name: str
    templates: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    blank: str = " "

    def sentences(self, part: str, seed: int, speaker: int) -> Iterator[str]:
        """Distinct sentences of a part (train, dev or test) for one speaker; no sentence belongs to two parts."""
        rng = numpy_rng(seed, "sentences", self.voice, part, speaker)
        said: set[str] = set()
        while True:
            sentence = self.blank.join(self._clause(rng) for _ in range(int(rng.integers(1, 3))))
            if _part_of(sentence) == part and sentence not in said:
                said.add(sentence)
                yield sentence

    def _clause(self, rng: np.random.Generator) -> str:
        template = self.templates[int(rng.integers(len(self.templates)))]
        return template.format(**{slot: words[int(rng.integers(len(words)))] for slot, words in self.slots.items()})


def _part_of(sentence: str) -> str:
    place = key(0, "part of a sentence", sentence) % 100
    return "dev" if place < 8 else "test" if place < 20 else "train"


LANGUAGES = {
    "fr": Language(
        "fr",
        "fr",
        (
            "Allume {thing} dans {room}.",
            "Éteins {thing} dans {room}, s'il te plaît.",
            "Est-ce que {thing} est dans {room} ?",
            "Réveille-moi à {number} heures.",
            "L'hôtel est à {number} kilomètres.",
            "C'est là-bas, près de {room}.",
            "J'ai oublié {thing} dans {room} !",
        ),
        {
            "thing": ("la lampe", "la radio", "le chauffage", "l'écran", "la télé", "l'ampoule", "le café"),
            "room": ("la cuisine", "la chambre", "l'entrée", "le garage", "la forêt", "l'école", "le château"),
            "number": ("2", "3", "5", "7", "8", "11", "12", "20", "21", "30"),
        },
    ),
    "ka": Language(
        "ka",
        "ka",
        (
            "ჩართე {thing} {room}.",
            "გამორთე {thing} {room}, გთხოვ.",
            "სად არის {thing}?",
            "{thing} არის {room}.",
            "გამაღვიძე {number} საათზე.",
            "დღეს {weather} ამინდია.",
            "მე მინდა {food} და {drink}.",
        ),
        {
            "thing": ("ნათურა", "რადიო", "კარი", "ფანჯარა", "ტელევიზორი", "გასაღები", "წიგნი"),
            "room": ("სამზარეულოში", "ოთახში", "ეზოში", "სახლში", "ბაღში", "ქუჩაზე"),
            "number": ("ორ", "სამ", "ოთხ", "ხუთ", "ექვს", "შვიდ", "რვა", "ცხრა"),
            "weather": ("კარგი", "ცუდი", "ცივი", "თბილი"),
            "food": ("პური", "ყველი", "ხაჭაპური", "ვაშლი"),
            "drink": ("წყალი", "ჩაი", "ყავა", "ღვინო"),
        },
    ),
    "hi": Language(
        "hi",
        "hi",
        (
            "{room} में {thing} जलाओ।",
            "{room} में {thing} बंद करो।",
            "क्या {thing} {room} में है?",
            "मुझे {number} बजे जगाना।",
            "आज मौसम {weather} है।",
            "मुझे {food} और {drink} चाहिए।",
            "{person} {room} में बैठा है।",
        ),
        {
            "thing": ("बत्ती", "रेडियो", "पंखा", "दरवाज़ा", "खिड़की", "किताब"),
            "room": ("रसोई", "कमरे", "बगीचे", "स्कूल", "दफ़्तर", "घर"),
            "number": ("दो", "तीन", "चार", "पाँच", "छह", "सात", "आठ", "नौ", "दस"),
            "weather": ("अच्छा", "ख़राब", "ठंडा", "गर्म"),
            "food": ("रोटी", "चावल", "सब्ज़ी", "फल"),
            "drink": ("पानी", "चाय", "दूध"),
            "person": ("लड़का", "पिता", "दोस्त", "भाई"),
        },
    ),
    "zh": Language(
        "cmn",
        "zh",
        (
            "请打开{room}的{thing}。",
            "请关上{room}的{thing}。",
            "{thing}在{room}吗？",
            "明天{number}点叫我起床。",
            "今天天气很{weather}。",
            "我想吃{food}，喝{drink}。",
            "{person}在{room}里看书。",
        ),
        {
            "thing": ("电灯", "门", "窗户", "电视", "音乐"),
            "room": ("厨房", "房间", "花园", "学校", "办公室"),
            "number": ("两", "三", "五", "七", "八", "九", "十"),
            "weather": ("好", "冷", "热", "坏"),
            "food": ("米饭", "面条", "苹果"),
            "drink": ("水", "茶", "牛奶"),
            "person": ("他", "妈妈", "老师", "朋友"),
        },
        blank="",
    ),
}


@dataclass(frozen=True)
class Plan:
    """All that decides the bytes of a miniature: speakers of each part, and sentences of each speaker."""

    language: str
    train: int = 24
    dev: int = 4
    test: int = 4
    sentences: int = 24
    seed: int = 1

    def mark(self) -> dict[str, Any]:
        """What `MINIATURE.json` holds."""
        return {"version": VERSION, "kind": "languages", **asdict(self)}

    @property
    def parts(self) -> list[str]:
        """The part of each speaker."""
        return [*["train"] * self.train, *["dev"] * self.dev, *["test"] * self.test]


@dataclass(frozen=True)
class Session:
    """What one speaker reads: their part of the corpus, sentences and waves (float64, 16 kHz)."""

    part: str
    speaker: Speaker
    texts: list[str]
    waves: list[np.ndarray]

    @property
    def name(self) -> str:
        """Of the speaker, in tables."""
        return f"spk{self.speaker.number:04d}"


def write_recordings(folder: str | Path, plan: Plan, *, jobs: int | None = None) -> bool:
    """Write the recordings of a plan as its language has them; all of it, or nothing.

    Returns:
        False when the very same miniature is there already.

    Raises:
        UsageError: eSpeak NG is missing, the disk is full, or the folder holds something else.
    """
    with written_once(Path(folder), plan.mark()) as place:
        if place is None:
            return False
        people = cast(plan.seed, len(plan.parts))
        work = partial(_read, plan=plan)
        items = list(zip(plan.parts, people, strict=True))
        sessions = in_fresh_processes(work, items, jobs or os.cpu_count() or 1, f"speaking {plan.language}")
        FORMS[plan.language](place, sessions, plan.seed)
    return True


def _read(item: tuple[str, Speaker], plan: Plan) -> Session:
    part, speaker = item
    language = LANGUAGES[plan.language]
    variant = speaker.voice.name.split("+")[-1]
    own = replace(speaker, voice=replace(speaker.voice, name=f"{language.voice}+{variant}"))
    booth = Booth(own, plan.seed)
    texts = language.sentences(part, plan.seed, speaker.number)
    chosen = [next(texts) for _ in range(plan.sentences)]
    return Session(part, own, chosen, [booth.say(text) for text in chosen])


def write_table(folder: Path, sessions: Sequence[Session], seed: int) -> None:
    """`recordings.tsv` and 48 kHz MP3 files in `clips/`; no splits: they are drawn by speaker."""
    rows = []
    (folder / "clips").mkdir()
    for session in sessions:
        for number, (text, wave) in enumerate(zip(session.texts, session.waves, strict=True)):
            path = f"{session.name}_{number:02d}.mp3"
            (folder / "clips" / path).write_bytes(_mp3(wave))
            rows.append([path, text, session.name])
    _write_rows(folder / "recordings.tsv", ["path", "sentence", "speaker"], rows)


def write_kaldi(folder: Path, sessions: Sequence[Session], seed: int) -> None:
    """`train/`, `dev/` and `test/` with wav.scp, segments, utt2spk and text; one long WAV file a speaker."""
    (folder / "wav").mkdir()
    tables: dict[str, dict[str, list[str]]] = {}
    for session in sessions:
        wave, spans = joined(session, seed)
        _write_pcm(folder / "wav" / f"{session.name}.wav", wave)
        files = tables.setdefault(session.part, {"wav.scp": [], "segments": [], "utt2spk": [], "text": []})
        files["wav.scp"].append(f"{session.name} wav/{session.name}.wav")
        for text, (start, end) in zip(session.texts, spans, strict=True):
            name = f"{session.name}-{round(100 * start):06d}-{round(100 * end):06d}"
            files["segments"].append(f"{name} {session.name} {start:.2f} {end:.2f}")
            files["utt2spk"].append(f"{name} {session.name}")
            files["text"].append(f"{name} {text}")
    for part, files in tables.items():
        (folder / part).mkdir()
        for file, lines in files.items():
            content = "".join(f"{line}\n" for line in sorted(lines))
            (folder / part / file).write_text(content.replace(" wav/", " ../wav/"), encoding="utf-8")


def write_common_voice(folder: Path, sessions: Sequence[Session], seed: int) -> None:
    """train.tsv, dev.tsv and test.tsv with Common Voice's columns, and MP3 files in `clips/`."""
    head = ["client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accents", "locale", "segment"]
    (folder / "clips").mkdir()
    rows: dict[str, list[list[str]]] = {}
    for session in sessions:
        for number, (text, wave) in enumerate(zip(session.texts, session.waves, strict=True)):
            path = f"common_voice_hi_{session.speaker.number}{number:02d}.mp3"
            (folder / "clips" / path).write_bytes(_mp3(wave))
            rows.setdefault(session.part, []).append([session.name, path, text, "2", "0", "", "", "", "hi", ""])
    for part, own in rows.items():
        _write_rows(folder / f"{part}.tsv", head, own)


def write_subtitles(folder: Path, sessions: Sequence[Session], seed: int) -> None:
    """A FLAC file and an SRT file a speaker, in a folder for each part."""
    import soundfile

    for session in sessions:
        place = folder / session.part
        place.mkdir(exist_ok=True)
        wave, spans = joined(session, seed)
        soundfile.write(place / f"{session.name}.flac", wave, SAMPLE_RATE)
        blocks = [
            f"{n}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
            for n, (text, (start, end)) in enumerate(zip(session.texts, spans, strict=True), 1)
        ]
        (place / f"{session.name}.srt").write_text("\n".join(blocks), encoding="utf-8")


FORMS: dict[str, Callable[[Path, Sequence[Session], int], None]] = {
    "fr": write_table,
    "ka": write_kaldi,
    "hi": write_common_voice,
    "zh": write_subtitles,
}


def joined(session: Session, seed: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """The sentences of a session as one recording with pauses, and where each begins and ends, in seconds."""
    rng = numpy_rng(seed, "pauses", session.speaker.number)
    pieces: list[np.ndarray] = []
    spans = []
    place = 0
    for wave in session.waves:
        pause = np.zeros(int(rng.uniform(*PAUSES) * SAMPLE_RATE))
        pieces += [pause, wave]
        place += len(pause)
        spans.append((place / SAMPLE_RATE, (place + len(wave)) / SAMPLE_RATE))
        place += len(wave)
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE // 2)]), spans


def _mp3(wave: np.ndarray) -> bytes:
    import soundfile
    import soxr

    file = io.BytesIO()
    soundfile.write(file, soxr.resample(wave, SAMPLE_RATE, STUDIO), STUDIO, format="MP3")
    return file.getvalue()


def _write_pcm(path: Path, wave: np.ndarray) -> None:
    import soundfile

    soundfile.write(path, wave, SAMPLE_RATE, subtype="PCM_16")


def _write_rows(path: Path, head: list[str], rows: list[list[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerows([head, *rows])


def _clock(seconds: float) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{milliseconds:03d}"
