"""Segments, converted channels and joined stretches: the right samples, shards that add up, nothing read twice."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet
from support.refusals import refused
from tiny_corpus import digests

from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.corpora import audio_jobs as sounds
from sewcli.corpora.preparation import ParsedTranscripts, RawUtterance, Split, prepare, prepare_shard
from sewcli.data.utterances import read_split


def _tone(seconds: float, rate: int, hertz: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Three telephone calls of two channels, u-law at 8 kHz, one of them cut off."""
    folder = tmp_path / "LDC 97"
    folder.mkdir()
    for number in range(3):
        both = np.stack([_tone(4, 8000, 300 + 100 * number), _tone(4, 8000, 1000)], axis=1)
        soundfile.write(folder / f"sw{number}.sph", both, 8000, format="NIST", subtype="ULAW")
    whole = (folder / "sw2.sph").read_bytes()
    (folder / "sw2.sph").write_bytes(whole[: len(whole) // 2])
    return folder


def _call_split(folder: Path) -> Split:
    def read(place: Path) -> ParsedTranscripts:
        candidates = [
            RawUtterance(f"{path.stem}-{'AB'[c]}_{k}", path, "HELLO", f"{path.stem}-{'AB'[c]}", k, k + 1.5, c)
            for path in sorted(place.glob("*.sph"))
            for c in (0, 1)
            for k in range(3)
        ]
        return ParsedTranscripts(candidates, left_out=Counter({"ignored": 2}), changes=Counter({"noise removed": 1}))

    return Split("train-swbd", folder, read, None, rate=8000, convert=True)


def test_calls_become_one_file_a_side(calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = prepare(out, "calls", [_call_split(calls)], jobs=2)["train-swbd"]
    assert summary["utterances"] == 12 and summary["rejected"] == 6 and summary["speakers"] == 4
    assert summary["left_out"] == {"ignored": 2} and summary["changes"] == {"noise removed": 1}
    assert {row["reason"].split(":")[0] for row in read_jsonl(out / "rejected.jsonl")} == {"truncated"}
    assert sorted(p.name for p in (out / "audio/train-swbd").iterdir()) == [
        f"sw{n}-{side}.flac" for n in (0, 1) for side in "AB"
    ]
    for utterance in read_split(out, "train-swbd"):
        wave = utterance.wave()
        assert len(wave) == 24000 and utterance.rate == 16000
        number, side = int(utterance.id[2]), utterance.id[4]
        hertz = np.argmax(np.abs(np.fft.rfft(wave * np.hanning(len(wave))))) / 1.5
        assert hertz == pytest.approx(300 + 100 * number if side == "A" else 1000, abs=1)
        assert np.abs(wave[2000:-2000]).max() == pytest.approx(0.3, rel=0.02)
    cuts = CutSet.from_file(out / "cuts_train-swbd.jsonl.gz")
    first = next(iter(cuts))
    assert first.load_audio().shape == (1, 24000) and first.recording.id == "sw0-A" and first.channel == 0
    assert "noise removed | 1" in (out / "vocabulary.md").read_text()


def test_shards_in_any_order_add_up_to_one_run(calls: Path, tmp_path: Path) -> None:
    split = _call_split(calls)
    prepare(tmp_path / "plain", "calls", [split], jobs=1)
    sharded = tmp_path / "sharded"
    for index in (3, 1, 2):
        assert prepare_shard(sharded, [split], (index, 3), jobs=1) == {"train-swbd": 1}
    made = {p: p.stat().st_mtime_ns for p in (sharded / "audio/train-swbd").iterdir()}
    assert len(made) == 4 and not (sharded / "prep.json").exists()
    prepare(sharded, "calls", [split], jobs=1)
    assert {p: p.stat().st_mtime_ns for p in made} == made  # nothing was converted twice
    plain, summed = digests(tmp_path / "plain"), digests(sharded)
    cuts = "cuts_train-swbd.jsonl.gz"  # holds the folder's own path, and prep.json its digest
    for name in plain.keys() - {cuts, "prep.json"}:
        assert plain[name] == summed[name], name
    assert plain.keys() == summed.keys()


def test_a_file_that_was_made_and_lost_is_made_again(calls: Path, tmp_path: Path) -> None:
    out, split = tmp_path / "out", _call_split(calls)
    prepare(out, "calls", [split], jobs=1)
    before, kept = digests(out), out / "audio/train-swbd/sw1-A.flac"
    lost = out / "audio/train-swbd/sw0-B.flac"
    time = kept.stat().st_mtime_ns
    lost.unlink()
    (out / "audio/train-swbd/stranger.flac").write_bytes(b"left over")
    prepare(out, "calls", [split], jobs=1)
    assert digests(out) == before and kept.stat().st_mtime_ns == time


def test_a_ledger_that_was_cut_off_is_read_as_far_as_it_goes(calls: Path, tmp_path: Path) -> None:
    out, split = tmp_path / "out", _call_split(calls)
    prepare_shard(out, [split], (1, 1), jobs=1)
    ledger = out / sounds.LEDGER / "train-swbd.1of1.jsonl"
    whole = ledger.read_text()
    ledger.write_text(whole[: whole.rstrip().rfind("\n") + 40])
    prepare(out, "calls", [split], jobs=1)
    assert read_json(out / "prep.json")["splits"]["train-swbd"]["utterances"] == 12
    assert [
        json.loads(line)["file"] for line in (out / sounds.LEDGER / "train-swbd.jsonl").read_text().splitlines()
    ] == [str(calls / f"sw{n}.sph") for n in range(3)]


def _one(path: Path, *candidates: RawUtterance) -> Split:
    return Split("train", path.parent, lambda _: ParsedTranscripts(list(candidates)), None)


def test_joined_stretches(tmp_path: Path) -> None:
    session = tmp_path / "in" / "20120101-0900-PLENARY_original.ogg"
    session.parent.mkdir()
    soundfile.write(session, _tone(10, 16000, 440), 16000, format="OGG", subtype="VORBIS")
    good = RawUtterance("20120101-0900-PLENARY-7", session, "YES", "9", spans=((1.0, 2.25), (4.5, 5.0)))
    late = RawUtterance("late", session, "NO", "9", spans=((9.0, 10.2), (10.0, 11.0)))
    prepare(tmp_path / "out", "voxpopuli", [_one(session, good, late)], jobs=1)
    (utterance,) = read_split(tmp_path / "out", "train")
    assert utterance.samples == 28000 and utterance.start == 0
    original, _ = soundfile.read(session, dtype="float32")
    joined = np.concatenate([original[16000:36000], original[72000:80000]])
    assert np.abs(utterance.wave() - joined).max() <= 1 / 32768
    (rejected,) = read_jsonl(tmp_path / "out/rejected.jsonl")
    assert rejected["id"] == "late" and "10.0 to 11.0 s of 10.00 s" in rejected["reason"]


def test_segments_beyond_the_audio(tmp_path: Path) -> None:
    talk = tmp_path / "in" / "Talk_2009.sph"
    talk.parent.mkdir()
    soundfile.write(talk, _tone(5, 16000, 440), 16000, format="NIST", subtype="PCM_16")
    spans = {"whole": (0.0, None), "part": (1.25, 2.5), "over": (4.0, 5.4), "far": (4.0, 5.6), "none": (3.0, 3.0)}
    candidates = [RawUtterance(name, talk, "YES", "Talk", *span) for name, span in spans.items()]
    again = RawUtterance("part", talk, "TWICE", "Talk")
    prepare(tmp_path / "out", "tedlium3", [_one(talk, *candidates, again)], jobs=1)
    found = {u.id: (u.start, u.samples, u.text) for u in read_split(tmp_path / "out", "train")}
    assert found == {"over": (64000, 16000, "YES"), "part": (20000, 20000, "YES"), "whole": (0, 80000, "YES")}
    reasons = {(r["id"], r["reason"]) for r in read_jsonl(tmp_path / "out/rejected.jsonl")}
    assert reasons == {
        ("far", "the segment ends at 5.60 s, the audio at 5.00 s"),
        ("none", "a segment from 3.00 to 3.00 s"),
        ("part", "a second utterance of the same id"),
    }


def test_a_root_that_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = tmp_path / "disk" / "talks" / "a.flac"
    talk.parent.mkdir(parents=True)
    soundfile.write(talk, _tone(1, 16000, 440), 16000)
    split = _one(talk, RawUtterance("a", talk, "YES", "A"))
    prepare(tmp_path / "out", "tedlium3", [split], jobs=1, root=tmp_path / "disk")
    assert [cut.recording.sources[0].source for cut in CutSet.from_file(tmp_path / "out/cuts_train.jsonl.gz")] == [
        "talks/a.flac"
    ]
    assert len(read_split(tmp_path / "out", "train")[0].wave()) == 16000
    (tmp_path / "disk").rename(tmp_path / "other")
    with refused(DataError, "file-not-found"):
        read_split(tmp_path / "out", "train")[0].wave()
    monkeypatch.setenv("SEW_ROOT", str(tmp_path / "other"))
    assert len(read_split(tmp_path / "out", "train")[0].wave()) == 16000
    moved = tmp_path / "other" / "talks" / "a.flac"
    with refused(UsageError, "not-below-root"):
        prepare(tmp_path / "out", "x", [_one(moved, RawUtterance("a", moved, "", "A"))], jobs=1, root=tmp_path / "out")
