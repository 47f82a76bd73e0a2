"""A prepared corpus to break, and one function a fault: it makes the fault and returns all that `sew check` must find."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sewcli.audio.io import encode_flac, read_wave
from sewcli.base.files import read_json, read_jsonl, sha256, write_json, write_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.utterances import splits

TRAIN, DEV, TEST = "train-clean-100", "dev-clean", "test-clean"

Rows = list[dict[str, Any]]
Found = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus with sound files of its own, to break."""

    data: Path

    def rows(self, split: str) -> Rows:
        return list(read_jsonl(self.data / f"cuts_{split}.jsonl.gz"))

    def sound(self, split: str, index: int) -> tuple[Path, str]:
        """The sound file of a cut, and its id."""
        row = self.rows(split)[index]
        return Path(row["recording"]["sources"][0]["source"]), row["id"]

    def write(self, split: str, rows: Rows) -> None:
        """Write the cuts, and all that must agree with them."""
        write_jsonl(self.data / f"cuts_{split}.jsonl.gz", rows)
        texts = [row["supervisions"][0].get("text", "") for row in rows]
        (self.data / f"text_{split}.txt").write_text("".join(f"{text}\n" for text in texts))
        prep = read_json(self.data / "prep.json")
        summary = prep["splits"][split]
        summary["utterances"] = len(rows)
        summary["hours"] = round(sum(round(row["duration"] * SAMPLE_RATE) for row in rows) / SAMPLE_RATE / 3600, 4)
        summary["words"] = sum(len(text.split()) for text in texts)
        summary["speakers"] = len({row["supervisions"][0]["speaker"] for row in rows})
        summary["outputs"] = {name: sha256(self.data / name) for name in summary["outputs"]}
        write_json(self.data / "prep.json", prep)

    def list_as(self, split: str, other: str) -> None:
        """Give a new split an account in `prep.json`, with the counts of another."""
        prep = read_json(self.data / "prep.json")
        prep["splits"][split] = {
            **prep["splits"][other],
            "outputs": dict.fromkeys((f"cuts_{split}.jsonl.gz", f"text_{split}.txt"), ""),
        }
        write_json(self.data / "prep.json", prep)
        (self.data / f"text_{split}.txt").touch()
        self.write(split, self.rows(split))

    def change(self, split: str, index: int, change: Callable[[dict[str, Any]], None]) -> str:
        """Change one cut; returns its id."""
        rows = self.rows(split)
        change(rows[index])
        self.write(split, rows)
        return str(rows[index]["id"])

    def relabel(self, split: str, index: int, text: str) -> str:
        return self.change(split, index, lambda row: row["supervisions"][0].update(text=text))

    def resound(
        self, split: str, index: int, change: Callable[[np.ndarray], np.ndarray], rate: int = SAMPLE_RATE
    ) -> str:
        """Change the samples of one cut; returns its id."""
        path, identity = self.sound(split, index)
        path.write_bytes(encode_flac(change(read_wave(path)), rate=rate))
        return identity


def copied(prepared: Path, corpus_folder: Path, folder: Path) -> Corpus:
    """A copy of the prepared corpus that points to copies of its sound files."""
    data, sounds = folder / "data", folder / "LibriSpeech"
    shutil.copytree(prepared, data)
    shutil.copytree(corpus_folder, sounds)
    copy = Corpus(data)
    for split in splits(data):
        rows = copy.rows(split)
        for row in rows:
            source = row["recording"]["sources"][0]
            source["source"] = source["source"].replace(str(corpus_folder), str(sounds))
        copy.write(split, rows)
    return copy


def take(row: dict[str, Any], **other: Any) -> None:
    """Other audio for a cut, and for the supervision of all of it."""
    row.update(other)
    row["supervisions"][0]["duration"] = row["duration"]


def missing_file(c: Corpus) -> Found:
    path, identity = c.sound(TRAIN, 3)
    path.unlink()
    return {("unreadable", TRAIN, identity)}


def empty_file(c: Corpus) -> Found:
    path, identity = c.sound(DEV, 0)
    path.write_bytes(b"")
    return {("unreadable", DEV, identity)}


def not_a_sound(c: Corpus) -> Found:
    path, identity = c.sound(DEV, 1)
    path.write_text("this is no sound")
    return {("unreadable", DEV, identity)}


def truncated(c: Corpus) -> Found:
    path, identity = c.sound(TEST, 2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return {("unreadable", TEST, identity)}


def damaged_in_the_middle(c: Corpus) -> Found:
    path, identity = c.sound(TRAIN, 5)
    content = bytearray(path.read_bytes())
    content[30] ^= 1  # every frame still decodes; only the checksum of the whole tells
    path.write_bytes(content)
    return {("unreadable", TRAIN, identity)}


def not_a_number(c: Corpus) -> Found:
    path, identity = c.sound(TRAIN, 2)
    wave = read_wave(path)
    wave[[100, 200]] = np.nan, np.inf
    soundfile.write(path, wave, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return {("nan", TRAIN, identity)}


def telephone_rate(c: Corpus) -> Found:
    return {("rate", TEST, c.resound(TEST, 0, lambda wave: wave, rate=8000))}


def rate_of_the_manifest(c: Corpus) -> Found:
    return {("rate", DEV, c.change(DEV, 2, lambda row: row["recording"].update(sampling_rate=8000)))}


def shorter_than_the_manifest(c: Corpus) -> Found:
    return {("beyond-end", TRAIN, c.resound(TRAIN, 6, lambda wave: wave[:-401]))}


def shorter_by_a_rounding(c: Corpus) -> Found:
    return {("rounded", TRAIN, c.resound(TRAIN, 6, lambda wave: wave[:-1]))}


def several_in_a_cut(c: Corpus) -> Found:
    """One cut becomes two utterances, which the files beside it then do not agree with."""

    def split(row: dict[str, Any]) -> None:
        (one,), half = row["supervisions"], row["duration"] / 2
        first, second = (
            {**one, "id": "a", "text": "A", "duration": half},
            {**one, "id": "b", "text": "B", "start": half},
        )
        row["supervisions"] = [first, {**second, "duration": half}]

    c.change(DEV, 1, split)
    return {("segments", DEV, ""), ("manifest", DEV, ""), ("text", DEV, "b")}


def more_text_than_audio(c: Corpus) -> Found:
    def shorten(row: dict[str, Any]) -> None:
        row["duration"] -= 0.5

    return {("partial", DEV, c.change(DEV, 1, shorten))}


def transformed(c: Corpus) -> Found:
    def quieter(row: dict[str, Any]) -> None:
        row["recording"]["transforms"] = [{"name": "Volume", "kwargs": {"factor": 0.9}}]

    c.change(TRAIN, 2, quieter)
    return {("transforms", TRAIN, "")}


def with_more_than_is_read(c: Corpus) -> Found:
    c.change(TRAIN, 2, lambda row: row.update(custom={"snr": 5}))
    return {("unused", TRAIN, "")}


def before_the_start(c: Corpus) -> Found:
    return {("beyond-end", TRAIN, c.change(TRAIN, 6, lambda row: row.update(start=-0.5)))}


def zeros(c: Corpus) -> Found:
    return {("no-signal", TEST, c.resound(TEST, 1, np.zeros_like))}


def a_constant(c: Corpus) -> Found:
    return {("no-signal", TEST, c.resound(TEST, 1, lambda wave: np.full_like(wave, 0.3)))}


def too_soft(c: Corpus) -> Found:
    return {("silent", TRAIN, c.resound(TRAIN, 7, lambda wave: wave * 10 ** (-65 / 20) / wave.std()))}


def soft_but_not_silent(c: Corpus) -> Found:
    c.resound(TRAIN, 7, lambda wave: wave * 10 ** (-55 / 20) / wave.std())
    return set()


def clipped(c: Corpus) -> Found:
    return {("clipped", DEV, c.resound(DEV, 3, lambda wave: wave * 2 / np.abs(wave).max()))}


def loud_but_whole(c: Corpus) -> Found:
    c.resound(DEV, 3, lambda wave: wave / np.abs(wave).max())
    return set()


def direct_current(c: Corpus) -> Found:
    return {("offset", TRAIN, c.resound(TRAIN, 8, lambda wave: wave + 0.04))}


def too_short(c: Corpus) -> Found:
    def cut(row: dict[str, Any]) -> None:
        row["duration"] = row["supervisions"][0]["duration"] = 0.09
        row["supervisions"][0]["text"] = "A"

    return {("too-short", DEV, c.change(DEV, 0, cut))}


def too_long(c: Corpus) -> Found:
    path, _ = c.sound(TRAIN, 0)
    wave = read_wave(path)
    wave = np.tile(wave, -(-41 * SAMPLE_RATE // len(wave)))
    path.write_bytes(encode_flac(wave))

    def grow(row: dict[str, Any]) -> None:
        row["duration"] = row["recording"]["duration"] = row["supervisions"][0]["duration"] = len(wave) / SAMPLE_RATE
        row["recording"]["num_samples"] = len(wave)

    return {("too-long", TRAIN, c.change(TRAIN, 0, grow))}


def outside_the_vocabulary(c: Corpus) -> Found:
    return {("vocabulary", TRAIN, c.relabel(TRAIN, 4, "CAFÉ NUMBER 5"))}


def without_a_label(c: Corpus) -> Found:
    return {("no-label", DEV, c.relabel(DEV, 4, ""))}


def without_any_label(c: Corpus) -> Found:
    rows = c.rows(DEV)
    for row in rows:
        row["supervisions"][0]["text"] = ""
    c.write(DEV, rows)
    return set()


def labels_that_fit(c: Corpus, more: int = 0) -> str:
    """As many labels as there are frames of 320 samples, of windows of 400; half of the A's need a blank before."""
    samples = round(c.rows(TRAIN)[1]["duration"] * SAMPLE_RATE)
    frames = (samples - 400) // 320 + 1 + more
    pairs, left = divmod(frames, 4)  # "AAB" is three labels and a blank
    return c.relabel(TRAIN, 1, "AAB" * pairs + "CDE"[:left])


def as_many_labels_as_frames(c: Corpus) -> Found:
    labels_that_fit(c)
    return set()


def one_label_too_many(c: Corpus) -> Found:
    return {("too-many-labels", TRAIN, labels_that_fit(c, 1))}


def id_twice_in_a_split(c: Corpus) -> Found:
    rows = c.rows(TRAIN)
    rows[9]["id"] = rows[8]["id"]
    c.write(TRAIN, rows)
    return {("duplicate-id", TRAIN, rows[8]["id"])}


def id_in_two_splits(c: Corpus) -> Found:
    identity = c.rows(TRAIN)[0]["id"]
    c.change(TEST, 0, lambda row: row.update(id=identity))
    return {("duplicate-id", f"{TEST}, {TRAIN}", identity)}


def same_stretch_in_train_and_test(c: Corpus) -> Found:
    row = c.rows(TRAIN)[0]
    c.change(TEST, 0, lambda other: take(other, recording=row["recording"], duration=row["duration"]))
    return {("leak", f"{TEST}, {TRAIN}", row["id"])}


def overlapping_stretches(c: Corpus) -> Found:
    for index, shared in enumerate((0.4, 0.6)):  # the first may be padding, the second is not
        row = c.rows(TRAIN)[index]
        half = round(row["duration"] * SAMPLE_RATE) // 2
        c.change(TRAIN, index, lambda r, half=half: take(r, start=half / SAMPLE_RATE, duration=half / SAMPLE_RATE))
        window = {"start": (half - round((1 - shared) * half)) / SAMPLE_RATE, "duration": half / SAMPLE_RATE}
        c.change(DEV, index, lambda r, w=window, row=row: take(r, recording=row["recording"], **w))
        c.relabel(TRAIN, index, "A")
        c.relabel(DEV, index, "A")
    return {("leak", f"{DEV}, {TRAIN}", c.rows(TRAIN)[1]["id"])}


def copied_under_another_name(c: Corpus) -> Found:
    (path, _), row = c.sound(DEV, 0), c.rows(DEV)[0]
    copy = path.with_name("renamed.wav")
    soundfile.write(copy, read_wave(path), SAMPLE_RATE, subtype="FLOAT")  # another format, the same samples

    def point(other: dict[str, Any]) -> None:
        other["recording"]["sources"][0]["source"] = str(copy)
        take(other, duration=row["duration"])

    return {("leak", f"{DEV}, {TEST}", c.change(TEST, 3, point))}


def same_audio_twice_in_a_split(c: Corpus) -> Found:
    rows = c.rows(TRAIN)
    take(rows[5], recording=rows[4]["recording"], duration=rows[4]["duration"])
    c.write(TRAIN, rows)
    return {("twice", TRAIN, rows[5]["id"])}


def speaker_in_train_and_dev(c: Corpus) -> Found:
    speaker = c.rows(TRAIN)[0]["supervisions"][0]["speaker"]
    c.change(DEV, 0, lambda row: row["supervisions"][0].update(speaker=speaker))
    return {("speaker", f"{DEV}, {TRAIN}", speaker)}


def truncated_manifest(c: Corpus) -> Found:
    path = c.data / f"cuts_{DEV}.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    return {("manifest", DEV, "")}


def manifest_with_a_line_less(c: Corpus) -> Found:
    rows = c.rows(DEV)
    write_jsonl(c.data / f"cuts_{DEV}.jsonl.gz", rows[:-1])
    return {("manifest", DEV, ""), ("text", DEV, "")}


def manifest_without_its_account(c: Corpus) -> Found:
    prep = read_json(c.data / "prep.json")
    prep["splits"]["10h"] = prep["splits"].pop(DEV)  # and so cuts of DEV without a mark, and a mark without cuts
    write_json(c.data / "prep.json", prep)
    return {("manifest", DEV, ""), ("manifest", "10h", "")}


def no_account_at_all(c: Corpus) -> Found:
    (c.data / "prep.json").unlink()
    return {("manifest", "", "")}


def an_account_of_nonsense(c: Corpus) -> Found:
    (c.data / "prep.json").write_text('{"splits": [1, 2]}')
    return {("manifest", "", "")}


def wrong_counts(c: Corpus) -> Found:
    prep = read_json(c.data / "prep.json")
    prep["splits"][TEST]["words"] += 1
    write_json(c.data / "prep.json", prep)
    return {("manifest", TEST, "")}


def lost_list_of_rejections(c: Corpus) -> Found:
    (c.data / "rejected.jsonl").unlink()
    return {("manifest", split, "") for split in (TRAIN, DEV, TEST)}


def another_text(c: Corpus) -> Found:
    path = c.data / f"text_{TRAIN}.txt"
    lines = path.read_text().splitlines()
    lines[3] += " NOT"
    path.write_text("\n".join(lines) + "\n")
    return {("text", TRAIN, c.rows(TRAIN)[3]["id"]), ("manifest", TRAIN, "")}


def a_text_too_short(c: Corpus) -> Found:
    path = c.data / f"text_{TRAIN}.txt"
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:-1]))
    return {("text", TRAIN, c.rows(TRAIN)[-1]["id"]), ("manifest", TRAIN, "")}


def no_text(c: Corpus) -> Found:
    (c.data / f"text_{DEV}.txt").unlink()
    return {("text", DEV, ""), ("manifest", DEV, "")}


FAULTS = [
    *(missing_file, empty_file, not_a_sound, truncated, damaged_in_the_middle, not_a_number),
    *(telephone_rate, rate_of_the_manifest, shorter_than_the_manifest, shorter_by_a_rounding, before_the_start),
    *(several_in_a_cut, more_text_than_audio, transformed, with_more_than_is_read),
    *(zeros, a_constant, too_soft, soft_but_not_silent, clipped, loud_but_whole, direct_current),
    *(too_short, too_long, outside_the_vocabulary, without_a_label, without_any_label),
    *(as_many_labels_as_frames, one_label_too_many),
    *(id_twice_in_a_split, id_in_two_splits, same_stretch_in_train_and_test, overlapping_stretches),
    *(copied_under_another_name, same_audio_twice_in_a_split, speaker_in_train_and_dev),
    *(truncated_manifest, manifest_with_a_line_less, manifest_without_its_account, no_account_at_all),
    *(an_account_of_nonsense, wrong_counts, lost_list_of_rejections, another_text, a_text_too_short, no_text),
]
