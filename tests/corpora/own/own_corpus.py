"""A small corpus in every form that one's own data come in: the same words and the same sound in each."""

import io
import json
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


def write_commonvoice(folder: Path) -> list[str]:
    """A release, its clips in another format than MP3 (which keeps no samples)."""
    release = folder / "cv-corpus" / "ka"
    write_clips(release / "clips", "flac")
    head = "client_id\tpath\tsentence_id\tsentence\tup_votes\tage\tlocale\tsegment"
    for split in ("train", "dev", "test"):
        rows = [f"{s.speaker}\t{s.id}.flac\tx\t{s.text}\t2\t\tka\t" for s in CORPUS if s.split == split]
        (release / f"{split}.tsv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return [str(release)]


def write_nemo(folder: Path) -> list[str]:
    """Manifests with durations that are rounded, as many tools write them, and no offset."""
    write_clips(folder / "wavs")
    for split in ("train", "dev", "test"):
        rows = [
            {
                "audio_filepath": f"wavs/{s.id}.wav",
                "duration": round(len(s.wave) / RATE, 1),
                "text": s.text,
                "speaker": s.speaker,
                "lang": "ka",
            }
            for s in CORPUS
            if s.split == split
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}_manifest.json").write_text(lines, encoding="utf-8")
    return [str(folder / f"{split}_manifest.json") for split in ("train", "dev", "test")]


def write_pairs(folder: Path) -> list[str]:
    """SPLIT/SPEAKER/x.wav with x.txt, x.lab or x.TextGrid."""
    for number, said in enumerate(CORPUS):
        place = folder / "recordings" / said.split / said.speaker
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{said.id}.wav", said.wave, RATE)
        if number % 3 == 2:
            (place / f"{said.id}.TextGrid").write_text(text_grid(said), encoding="utf-16")
        else:
            (place / f"{said.id}{('.txt', '.lab')[number % 3]}").write_text(f"{said.text}\n", encoding="utf-8")
    return [str(folder / "recordings"), "--language", "ka"]


def text_grid(said: Said) -> str:
    """In Praat's long form, one interval."""
    end = len(said.wave) / RATE
    text = said.text.replace('"', '""')
    return f"""File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "sentence"
        xmin = 0
        xmax = {end}
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = {end}
            text = "{text}"
"""


def write_subtitles(folder: Path) -> list[str]:
    """A recording a speaker, its cues touching each other, so that none is padded; in WebVTT or SRT."""
    for number, speaker in enumerate(sorted({said.speaker for said in CORPUS})):
        mine = [said for said in CORPUS if said.speaker == speaker]
        place = folder / "talks" / mine[0].split / speaker
        place.mkdir(parents=True)
        soundfile.write(place / "talk.flac", np.concatenate([said.wave for said in mine]), RATE)
        at, cues = 0.0, []
        for index, said in enumerate(mine, start=1):
            times = [at, at := at + len(said.wave) / RATE]
            stamps = [f"00:00:{time:06.3f}" for time in times]
            if number % 2:
                cues.append(f"{index}\r\n{' --> '.join(stamps).replace('.', ',')}\r\n<i>{said.text}</i>\r\n")
            else:
                cues.append(f"{stamps[0]} --> {stamps[1]} align:start\n<v {speaker}>{said.text}</v>\n")
        if number % 2:
            (place / "talk.srt").write_bytes("\ufeff".encode() + "\r\n".join(cues).encode())
        else:
            (place / "talk.ka.vtt").write_text("WEBVTT\n\nNOTE made\n\n" + "\n".join(cues), encoding="utf-8")
    return [str(folder / "talks"), "--language", "ka"]


def write_cuts(folder: Path) -> list[str]:
    """lhotse's recordings and supervisions for train, cuts for the others, by lhotse itself."""
    from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet

    write_clips(folder / "wavs")
    for split in ("train", "dev", "test"):
        mine = [said for said in CORPUS if said.split == split]
        recordings = RecordingSet.from_recordings(Recording.from_file(folder / "wavs" / f"{s.id}.wav") for s in mine)
        supervisions = SupervisionSet.from_segments(
            SupervisionSegment(s.id, s.id, 0.0, len(s.wave) / RATE, text=s.text, speaker=s.speaker, language="ka")
            for s in mine
        )
        if split == "train":
            recordings.to_file(folder / "recordings_train.jsonl.gz")
            supervisions.to_file(folder / "supervisions_train.jsonl.gz")
        else:
            cuts = CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
            cuts.to_file(folder / f"cuts_{split}.jsonl.gz")
    names = ("recordings_train", "supervisions_train", "cuts_dev", "cuts_test")
    return [str(folder / f"{name}.jsonl.gz") for name in names]


def table_of(said: list[Said]):
    """As a data set of Hugging Face keeps it: the bytes of a file in a struct."""
    import pyarrow as pa

    sounds = []
    for each in said:
        packed = io.BytesIO()
        soundfile.write(packed, each.wave, RATE, format="FLAC")
        sounds.append({"bytes": packed.getvalue(), "path": f"{each.id}.flac"})
    return pa.table(
        {
            "audio": pa.array(sounds, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "sentence": [each.text for each in said],
            "speaker_id": [each.speaker for each in said],
            "locale": ["ka"] * len(said),
        }
    )


def write_hf(folder: Path) -> list[str]:
    """train and dev as Parquet, test as save_to_disk writes it: a stream of Arrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "ka" / "test").mkdir(parents=True)
    for split in ("train", "validation"):
        table = table_of([said for said in CORPUS if said.split == split.replace("validation", "dev")])
        pq.write_table(table, folder / "ka" / f"{split}-00000-of-00001.parquet", row_group_size=3)
    table = table_of([said for said in CORPUS if said.split == "test"])
    path = str(folder / "ka" / "test" / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (folder / "ka" / "test" / "state.json").write_text("{}")
    return [str(folder / "ka")]


WRITERS = {
    "table": write_table,
    "kaldi": write_kaldi,
    "commonvoice": write_commonvoice,
    "nemo": write_nemo,
    "pairs": write_pairs,
    "subtitles": write_subtitles,
    "cuts": write_cuts,
    "hf": write_hf,
}
