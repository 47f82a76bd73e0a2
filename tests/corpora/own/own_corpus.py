"""A small corpus in every form that one's own data come in: the same words and the same sound in each."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from sewcli.base.files import read_jsonl

RATE = 48_000
WORDS = ("Ça va, l’été ?", "დიახ, კარგი", "नमस्ते दोस्त", "今天天气很好", "It's 5 o'clock.", "ÇA VA BIEN")


@dataclass(frozen=True)
class Said:
    """What somebody says."""

    id: str
    speaker: str
    text: str
    split: str

    @property
    def wave(self) -> np.ndarray:
        """Its sound, at RATE, of a length of whole milliseconds at any rate."""
        return _wave(self.id)


@lru_cache(maxsize=64)
def _wave(identity: str) -> np.ndarray:
    number = int(identity[-2:])
    rng = np.random.default_rng(number)
    return np.round(rng.normal(0, 0.05, RATE // 4 + number * RATE // 100), 4)


SPLITS = ("train", "train", "train", "train", "dev", "test")  # by speaker
CORPUS = [
    Said(f"utt{2 * speaker + turn:02d}", f"speaker{speaker}", WORDS[(speaker + turn) % len(WORDS)], split)
    for speaker, split in enumerate(SPLITS)
    for turn in range(2)
]


def write_clips(folder: Path, ending: str = "wav") -> None:
    """A file an utterance."""
    folder.mkdir(parents=True, exist_ok=True)
    for said in CORPUS:
        soundfile.write(folder / f"{said.id}.{ending}", said.wave, RATE)


def cuts(out: Path) -> dict[str, dict[str, object]]:
    """What of each cut does not depend on where it lies: by text and speaker, split, seconds and language."""
    found = {}
    for path in sorted(out.glob("cuts_*.jsonl.gz")):
        for row in read_jsonl(path):
            (supervision,) = row["supervisions"]
            found[row["id"]] = {
                "split": path.name.removeprefix("cuts_").partition(".")[0],
                "text": supervision["text"],
                "speaker": supervision.get("speaker"),
                "language": supervision.get("language"),
                "seconds": round(row["duration"], 3),
            }
    return found


def rejected(out: Path) -> dict[str, str]:
    """Reasons by id."""
    return {row["id"]: row["reason"] for row in read_jsonl(out / "rejected.jsonl")}


def write_table(folder: Path) -> list[str]:
    """A TSV with a column for each thing; the arguments after `sew prep table`."""
    write_clips(folder / "clips")
    rows = ["path\tsentence\tclient_id\tsplit\tlocale\tid"]
    rows += [f"{s.id}.wav\t{s.text}\t{s.speaker}\t{s.split}\tka\t{s.id}" for s in CORPUS]
    (folder / "all.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return [str(folder / "all.tsv"), "--audio", str(folder / "clips")]


def write_kaldi(folder: Path) -> list[str]:
    """Data folders with segments of one recording a speaker."""
    sounds = folder / "sounds"
    sounds.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        mine = [said for said in CORPUS if said.split == split]
        data = folder / "data" / split
        data.mkdir(parents=True)
        segments, scp = [], []
        for speaker in sorted({said.speaker for said in mine}):
            at, waves = 0.0, []
            for said in mine:
                if said.speaker == speaker:
                    length = len(said.wave) / RATE
                    segments.append(f"{said.id} {speaker} {at:.2f} {at + length:.2f}")
                    waves.append(said.wave)
                    at += length
            soundfile.write(sounds / f"{speaker}.flac", np.concatenate(waves), RATE)
            scp.append(f"{speaker} sounds/{speaker}.flac")
        for name, lines in (
            ("wav.scp", scp),
            ("segments", segments),
            ("text", [f"{said.id} {said.text}" for said in mine]),
            ("utt2spk", [f"{said.id} {said.speaker}" for said in mine]),
            ("utt2lang", [f"{said.id} ka" for said in mine]),
        ):
            (data / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(folder / "data")]


WRITERS = {"table": write_table, "kaldi": write_kaldi}
