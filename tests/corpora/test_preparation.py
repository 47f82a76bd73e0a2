"""Preparation: right cuts of a right corpus, every fault set aside by name, never stale, the same after a kill."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.refusals import refused
from tiny_corpus import TINY, digests, flacs

from sewcli.audio.io import encode_flac
from sewcli.base.errors import DataError, PartialError, UsageError
from sewcli.base.files import read_json, read_jsonl
from sewcli.cli.prep import prep
from sewcli.corpora.librispeech import PUBLISHED, find_splits
from sewcli.corpora.preparation import prepare
from sewcli.data.utterances import read_split, splits

PARTS = [part.name for part in TINY.parts]


def _prep(corpus: Path, out: Path, **options: Any) -> None:
    prep("librispeech", corpus, out=out, jobs=2, **options)


def _rejected(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in read_jsonl(out / "rejected.jsonl")}


def _transcript(sound: Path) -> Path:
    return next(sound.parent.glob("*.trans.txt"))


def _rewrite(sound: Path, line: str) -> None:
    """Replace the transcript line of one utterance (an empty one removes it)."""
    path = _transcript(sound)
    lines = [line if old.startswith(sound.stem) else old for old in path.read_text().splitlines()]
    path.write_text("".join(f"{kept}\n" for kept in lines if kept))


def test_cuts_equal_those_of_lhotse(spoken: Path, tmp_path: Path) -> None:
    from lhotse import CutSet
    from lhotse.recipes import prepare_librispeech

    _prep(spoken, tmp_path)
    theirs = prepare_librispeech(spoken, dataset_parts=PARTS)
    for part in PARTS:
        cuts = CutSet.from_file(tmp_path / f"cuts_{part}.jsonl.gz").to_eager()
        recordings = {recording.id: recording for recording in theirs[part]["recordings"]}
        supervisions = {supervision.id: supervision for supervision in theirs[part]["supervisions"]}
        assert cuts.ids and sorted(cuts.ids) == sorted(recordings)
        for cut in cuts:
            assert cut.recording == recordings[cut.id]
            assert cut.supervisions == [supervisions[cut.id]]
            assert (cut.start, cut.duration, cut.channel) == (0.0, recordings[cut.id].duration, 0)


def test_what_training_reads(spoken: Path, tmp_path: Path) -> None:
    _prep(spoken, tmp_path)
    assert splits(tmp_path) == sorted(PARTS)
    for part in TINY.parts:
        utterances = read_split(tmp_path, part.name)
        assert len(utterances) == part.speakers * part.utterances
        assert [u.id for u in utterances] == sorted(u.id for u in utterances)
        assert len({u.speaker for u in utterances}) == part.speakers
        for utterance in utterances:
            sound, rate = soundfile.read(utterance.path, dtype="float32")
            assert rate == utterance.rate and np.array_equal(utterance.wave(), sound)
        assert (tmp_path / f"text_{part.name}.txt").read_text().splitlines() == [u.text for u in utterances]
        summary = read_json(tmp_path / "prep.json")["splits"][part.name]
        assert summary["utterances"] == len(utterances) and summary["rejected"] == 0
        assert summary["hours"] == pytest.approx(sum(u.seconds for u in utterances) / 3600, abs=1e-4)
        assert summary["words"] == sum(len(u.text.split()) for u in utterances)
    assert _rejected(tmp_path) == {}


def test_run_again_passes_over_what_is_done(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    _prep(corpus, out)
    before, times = digests(out), {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    capsys.readouterr()
    _prep(corpus, out)
    shown = capsys.readouterr()
    assert shown.err.count("prepared already, and its files have not changed") == 3
    assert all(part in shown.out for part in PARTS)  # the table is shown all the same
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times
    _prep(corpus, out, force=True)
    after = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert {name for name in times if after[name] == times[name]} == {".lock", "vocabulary.md"}
    assert digests(out) == before


def test_a_changed_corpus_is_prepared_again(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    _prep(corpus, out)
    first = flacs(corpus / "dev-clean")[0]
    _rewrite(first, f"{first.stem} GO HOME NOW")
    capsys.readouterr()
    _prep(corpus, out)
    assert capsys.readouterr().err.count("prepared already") == 2
    assert {u.id: u.text for u in read_split(out, "dev-clean")}[first.stem] == "GO HOME NOW"


@pytest.mark.parametrize("name", ["cuts_dev-clean.jsonl.gz", "text_dev-clean.txt", "prep.json"])
def test_damaged_output_is_made_again(spoken: Path, tmp_path: Path, name: str) -> None:
    _prep(spoken, tmp_path)
    before = digests(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    _prep(spoken, tmp_path)
    assert digests(tmp_path) == before
    (tmp_path / name).unlink()
    _prep(spoken, tmp_path)
    assert digests(tmp_path) == before


def test_a_part_that_is_gone_leaves_no_stale_cuts(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    _prep(corpus, out)
    shutil.rmtree(corpus / "test-clean")
    _prep(corpus, out)
    assert splits(out) == ["dev-clean", "train-clean-100"] and not (out / "text_test-clean.txt").exists()
    assert "test-clean: its folder" in capsys.readouterr().err


def test_one_part_after_the_other(spoken: Path, tmp_path: Path) -> None:
    _prep(spoken, tmp_path / "at once")
    for part in reversed(PARTS):
        _prep(spoken, tmp_path / "one by one", part=[part])
    assert digests(tmp_path / "one by one") == digests(tmp_path / "at once")


def test_every_fault_is_set_aside_by_name(corpus: Path, tmp_path: Path) -> None:
    sounds = flacs(corpus / "train-clean-100")
    noise = np.random.default_rng(0).integers(-999, 999, 16_000).astype(np.int16)
    expected: dict[str, str] = {}

    def fault(reason: str) -> Path:
        sound = sounds.pop(0)
        expected[sound.stem] = reason
        return sound

    fault("an empty file").write_bytes(b"")
    cut = fault("truncated|cannot be read as sound")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    fault("cannot be read as sound").write_bytes(b"this is not a sound file")
    fault("transcript without audio").unlink()
    link = fault("no such sound file")
    link.unlink()
    link.symlink_to(tmp_path / "nowhere.flac")
    soundfile.write(fault("the sample rate is 8000 Hz"), noise, 8000)
    soundfile.write(fault("2 channels, not 1"), np.stack([noise, noise], axis=1), 16000)
    flipped = fault("damaged|cannot be read as sound|truncated")
    flipped.write_bytes(flipped.read_bytes()[:-400] + bytes(400))
    silent = fault("audio without a transcript")
    _rewrite(silent, "")
    empty = fault("empty transcript")
    _rewrite(empty, empty.stem)
    digits = fault(r"symbols outside A-Z and ': 4 2 !")
    _rewrite(digits, f"{digits.stem} ROOM 42!")
    twice = fault("a second transcript of the same utterance")
    _rewrite(twice, f"{twice.stem} FIRST\n{twice.stem} SECOND")
    lower = sounds.pop(0)
    _rewrite(lower, f"{lower.stem}\tit’s   mixed Case ")

    out = tmp_path / "out"
    with pytest.raises(PartialError, match=r"rejected.jsonl: 12 utterances were set aside") as raised:
        _prep(corpus, out)
    assert raised.value.exit_code == 4
    import re

    reasons = _rejected(out)
    assert reasons.keys() == expected.keys()
    for identity, reason in expected.items():
        assert re.match(reason, reasons[identity]), (identity, reasons[identity])
    good = {u.id: u.text for u in read_split(out, "train-clean-100")}
    assert good.keys() == {path.stem for path in sounds} | {lower.stem, twice.stem}
    assert good[lower.stem] == "IT'S MIXED CASE" and good[twice.stem] == "FIRST"
    assert read_json(out / "prep.json")["splits"]["train-clean-100"]["rejected"] == 12
    with pytest.raises(PartialError):  # done already, and still not forgotten
        _prep(corpus, out)
    assert _rejected(out) == reasons


def test_a_transcript_in_another_encoding(corpus: Path, tmp_path: Path) -> None:
    path = _transcript(flacs(corpus / "dev-clean")[0])
    path.write_bytes(path.read_bytes() + "1-1-0000 CAFÉ\n".encode("latin-1"))
    with pytest.raises(PartialError):
        _prep(corpus, tmp_path / "out", part=["dev-clean"])
    reasons = _rejected(tmp_path / "out")
    why = reasons.pop(path.name.removesuffix(".trans.txt"))
    assert why == "line 4: not UTF-8 text (byte 0xc9); Latin-1 or Windows-1252 perhaps"
    assert set(reasons.values()) == {f"its transcript cannot be read: {path.name}, {why}"} and len(reasons) == 3


def test_an_empty_split(corpus: Path, tmp_path: Path) -> None:
    _prep(corpus, tmp_path / "out")
    for sound in flacs(corpus / "dev-clean"):
        sound.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"no usable utterance in dev-clean \(6 were set aside, the first.*empty file"
    ) as e:
        _prep(corpus, tmp_path / "out")
    assert e.value.exit_code == 3
    assert len(_rejected(tmp_path / "out")) == 6
    assert "dev-clean" not in splits(tmp_path / "out")  # the cuts of the time before are not true any more
    shutil.rmtree(corpus / "dev-clean")
    (corpus / "dev-clean").mkdir()
    with pytest.raises(DataError, match=r"no usable utterance in dev-clean \(0 were set aside\)"):
        _prep(corpus, tmp_path / "out")


def test_counts_are_held_against_the_published(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "MINIATURE.json").unlink()  # now it claims to be LibriSpeech
    _prep(corpus, tmp_path / "out", json=True)
    shown = capsys.readouterr()
    assert "dev-clean is not as published: 6 utterances, published 2,703 (-2,697); " in shown.err
    assert "2 speakers, published 40 (-38)" in shown.err
    rows = {row["split"]: row for row in map(json.loads, shown.out.splitlines())}
    assert list(rows) == PARTS
    assert rows["dev-clean"]["published"] == {"utterances": 2703, "hours": 5.4, "speakers": 40}
    assert len(rows["dev-clean"]["differences"]) == 3


def test_the_published_table_adds_up() -> None:
    full = [PUBLISHED[name] for name in PUBLISHED if name.startswith("train") and name != "train-clean-5"]
    assert sum(part.utterances for part in full) == 281_241  # the size that every recipe for 960 h reports
    assert round(sum(part.hours for part in full)) == 961
    assert sum(part.speakers for part in full) == 2338


def test_parts_of_ones_own(corpus: Path, tmp_path: Path) -> None:
    for part in PARTS:
        (corpus / part).rename(corpus / part.replace("clean", "mine"))
    with pytest.raises(
        UsageError, match=r"no part with a name of LibriSpeech's[\s\S]*--part dev-mine --part test-mine"
    ):
        _prep(corpus, tmp_path / "out")
    _prep(corpus, tmp_path / "out", part=["dev-mine"])
    assert splits(tmp_path / "out") == ["dev-mine"]


def test_an_output_folder_that_cannot_be_written(spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with refused(UsageError, "file-for-folder"):
        _prep(spoken, tmp_path / "file" / "out")


def test_the_number_of_threads_changes_nothing(corpus: Path, tmp_path: Path) -> None:
    sounds = flacs(corpus / "dev-clean")
    sounds[2].write_bytes(sounds[2].read_bytes()[:900])
    for jobs in (1, 5):
        summary = prepare(tmp_path / str(jobs), "librispeech", find_splits(corpus, None), jobs=jobs)
        assert summary["dev-clean"]["rejected"] == 1
    assert digests(tmp_path / "1") == digests(tmp_path / "5")


def test_cuts_carry_no_time_stamp(spoken: Path, tmp_path: Path) -> None:
    _prep(spoken, tmp_path)
    with gzip.open(tmp_path / "cuts_dev-clean.jsonl.gz") as file:
        file.read()
        assert file.mtime == 0


LIMITED = """
import resource, signal, sys
from pathlib import Path
import lhotse
from sewcli.base.errors import SewError
from sewcli.cli.prep import prep
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
try:
    prep("librispeech", Path(sys.argv[1]), out=Path(sys.argv[2]), jobs=1)
except SewError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


def test_a_write_that_the_system_refuses(spoken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", LIMITED, str(spoken), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stderr.startswith(f"2 {out / '.checked'}") and "cannot write (File too large)" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in out.iterdir()) == [".checked", ".lock"]  # no half of a file, no leftovers
    _prep(spoken, out)
    _prep(spoken, tmp_path / "undisturbed")
    assert digests(out) == digests(tmp_path / "undisturbed")


LONG_PARTS = ["train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "dev-other", "test-clean"]
CHILD = """
import sys
from pathlib import Path
from sewcli.cli.prep import prep
prep("librispeech", Path(sys.argv[1]), out=Path(sys.argv[2]), jobs=1)
"""


@pytest.fixture(scope="module")
def long_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six parts of minutes of noise (hard links of one file), so that there is a middle to be killed in."""
    corpus = tmp_path_factory.mktemp("long") / "LibriSpeech"
    noise = np.random.default_rng(0).integers(-99, 99, 16_000 * 240).astype(np.int16)
    (corpus.parent / "noise.flac").write_bytes(encode_flac(noise))
    for part in LONG_PARTS:
        chapter = corpus / part / "7" / "8"
        chapter.mkdir(parents=True)
        names = [f"7-8-{i:04d}" for i in range(6)]
        for name in names:
            os.link(corpus.parent / "noise.flac", chapter / f"{name}.flac")
        (chapter / "7-8.trans.txt").write_text("".join(f"{name} SHH\n" for name in names))
    return corpus


@pytest.mark.parametrize("done", [0, 1, 3])
def test_killed_in_the_middle_and_run_again(long_corpus: Path, tmp_path: Path, done: int) -> None:
    def finished(out: Path) -> int:
        return len(read_json(out / "prep.json")["splits"]) if (out / "prep.json").exists() else 0

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    prepare(whole, "librispeech", find_splits(long_corpus, None), jobs=2)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(long_corpus), str(broken)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while (not broken.exists() or finished(broken) < done) and time.monotonic() < deadline:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert done <= finished(broken) < len(LONG_PARTS)
    prepare(broken, "librispeech", find_splits(long_corpus, None), jobs=2)
    assert digests(broken) == digests(whole)  # leftovers would show here too
