"""lhotse's Shar beside single files: what lhotse writes is read here, what is written here lhotse reads, all samples equal."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet
from lhotse.shar import SharWriter
from support.refusals import refused
from support.sew_command import SEW, run_sew

from sewcli.audio.packed import Packed
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.data import shar
from sewcli.data.packing import pack
from sewcli.data.reader import Reader
from sewcli.data.utterances import Utterance, read_split, splits

SPLIT = "train-clean-100"


@pytest.fixture(scope="module")
def packed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every split of the prepared corpus in shards of 7 cuts. Not to be written to."""
    out = tmp_path_factory.mktemp("packed")
    for split in splits(prepared):
        pack(prepared, split, out, shard_size=7, jobs=2)
    return out


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def assert_same(found: list[Utterance], expected: list[Utterance]) -> None:
    assert [replace(u, path=Path(), start=0, channel=0) for u in found] == [
        replace(u, path=Path(), start=0, channel=0) for u in expected
    ]
    for u, v in zip(found, expected, strict=True):
        assert np.array_equal(u.wave(), v.wave()), u.id


def test_what_is_packed_has_the_same_cuts_and_samples(prepared: Path, packed: Path) -> None:
    assert splits(packed) == splits(prepared)
    for split in splits(packed):
        assert_same(read_split(packed, split), read_split(prepared, split))
    assert all(isinstance(u.path, Packed) for u in read_split(packed, SPLIT))


def test_lhotse_reads_what_is_packed(prepared: Path, packed: Path) -> None:
    expected = read_split(prepared, SPLIT)
    found = list(CutSet.from_shar(in_dir=packed / SPLIT))
    assert [cut.id for cut in found] == [u.id for u in expected] and len(found) > 14
    for cut, u in zip(found, expected, strict=True):
        assert np.array_equal(cut.load_audio()[0], u.wave())
        assert cut.supervisions[0].text == u.text and cut.num_samples == u.samples


@pytest.mark.parametrize("shard_size", [5, None])
@pytest.mark.parametrize("form", ["flac", "wav"])
def test_what_lhotse_writes_is_read(form: str, shard_size: int | None, prepared: Path, tmp_path: Path) -> None:
    cuts = CutSet.from_file(prepared / f"cuts_{SPLIT}.jsonl.gz")
    out = tmp_path / SPLIT
    out.mkdir()
    with SharWriter(out, fields={"recording": form}, shard_size=shard_size) as writer:
        for cut in cuts:
            writer.write(cut)
    assert splits(tmp_path) == [SPLIT]
    assert_same(read_split(tmp_path, SPLIT), read_split(prepared, SPLIT))


def test_cuts_within_files_and_of_second_channels(prepared: Path, tmp_path: Path) -> None:
    """As in TED-LIUM and Fisher: packed here, and by lhotse, they are the samples of the stretch alone."""
    import soundfile

    rng, data = np.random.default_rng(0), tmp_path / "data"
    data.mkdir()
    soundfile.write(tmp_path / "call.wav", rng.uniform(-1, 1, (48_000, 2)), 16_000, subtype="PCM_16")
    rows = list(read_jsonl(prepared / f"cuts_{SPLIT}.jsonl.gz"))[:2]
    for number, row in enumerate(rows):
        row |= {"start": 0.5 + number, "duration": 1.25, "channel": number}
        row["recording"] |= {"num_samples": 48_000, "duration": 3.0, "channel_ids": [0, 1]}
        row["recording"]["sources"] = [{"type": "file", "channels": [0, 1], "source": str(tmp_path / "call.wav")}]
        row["supervisions"][0] |= {"start": 0, "duration": 1.25, "channel": number}
    write_jsonl(data / "cuts_train.jsonl.gz", rows)
    pack(data, "train", tmp_path / "ours", shard_size=7, jobs=1)
    (tmp_path / "theirs/train").mkdir(parents=True)
    with SharWriter(tmp_path / "theirs/train", fields={"recording": "flac"}, shard_size=7) as writer:
        for cut in CutSet.from_file(data / "cuts_train.jsonl.gz"):
            writer.write(cut)
    expected = [u.wave() for u in read_split(data, "train")]
    assert not np.array_equal(expected[0], expected[1])
    for out in ("ours", "theirs"):
        waves = [u.wave() for u in read_split(tmp_path / out, "train")]
        assert all(np.array_equal(*pair) for pair in zip(waves, expected, strict=True)), out
        loaded = [cut.load_audio()[0] for cut in CutSet.from_shar(in_dir=tmp_path / out / "train")]
        assert all(np.array_equal(*pair) for pair in zip(loaded, expected, strict=True)), out


def test_the_index_is_kept_and_made_anew_for_another_tar(copy: Path, monkeypatch) -> None:
    looked_up = []
    monkeypatch.setattr(shar, "scan", lambda tar, scan=shar.scan: looked_up.append(tar.name) or scan(tar))
    before = read_split(copy, SPLIT)
    assert looked_up == []
    tar = copy / SPLIT / "recording.000001.tar"
    os.utime(tar, ns=(1, 1))
    assert read_split(copy, SPLIT) == before and looked_up == [tar.name]
    assert read_split(copy, SPLIT) == before and looked_up == [tar.name]
    shar.index_path(copy, SPLIT).write_text("{")
    assert read_split(copy, SPLIT) == before and len(looked_up) == 1 + len(list((copy / SPLIT).glob("*.tar")))


def test_a_tar_that_is_cut_off_costs_what_it_lacks(copy: Path, tmp_path: Path, capsys) -> None:
    tar = copy / SPLIT / "recording.000001.tar"
    os.truncate(tar, tar.stat().st_size // 2)
    utterances = read_split(copy, SPLIT)
    assert "sound files can be found in it" in capsys.readouterr().err
    reader = Reader(utterances, tmp_path, 0.5)
    read = [number for number, _ in reader.read(range(len(utterances)))]
    lost = sorted(set(range(len(utterances))) - set(read))
    assert lost == list(range(lost[0], 14)) and 7 <= lost[0] < 13
    reasons = {row["reason"].split()[0] for row in read_jsonl(tmp_path / "rejected.jsonl")}
    assert reasons == {"truncated:", "not"}
    with pytest.raises(DataError, match=r"recording.000001.tar/.*cut off") as caught:
        utterances[13].wave()
    assert str(caught.value.where).endswith(utterances[13].id)


def test_damage_within_a_tar_is_found(copy: Path) -> None:
    utterance = read_split(copy, SPLIT)[3]
    assert isinstance(utterance.path, Packed)
    with open(utterance.path.archive, "r+b") as file:
        file.seek(utterance.path.start + utterance.path.size // 2)
        file.write(bytes(64))
    with pytest.raises(DataError, match=f"recording.000000.tar/{utterance.id}.flac"):
        read_split(copy, SPLIT)[3].wave()


def test_missing_tars_and_shards_are_named(copy: Path) -> None:
    tar = copy / SPLIT / "recording.000001.tar"
    tar.rename(copy / "away.tar")
    with pytest.raises(DataError, match=r"recording\.000001\.tar"):
        read_split(copy, SPLIT)
    (copy / SPLIT / "cuts.000001.jsonl.gz").unlink()
    with pytest.raises(DataError, match=r"1 shards are missing \(000001\)"):
        read_split(copy, SPLIT)
    with gzip.open(copy / SPLIT / "cuts.000000.jsonl.gz", "wt") as file:
        file.write(json.dumps({"id": "a"}) + "\n")
    shutil.copy(copy / SPLIT / "cuts.000000.jsonl.gz", copy / SPLIT / "cuts.000001.jsonl.gz")
    (copy / "away.tar").rename(tar)
    with pytest.raises(DataError, match=r"000000\.jsonl\.gz: line 1: not a cut"):
        read_split(copy, SPLIT)


def test_killed_it_goes_on_and_comes_out_the_same(prepared: Path, packed: Path, tmp_path: Path) -> None:
    command = [SEW, "shar", str(prepared), str(tmp_path), "--split", SPLIT, "--shard-size", "7", "--jobs", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / f"{SPLIT}.partial/cuts.000000.jsonl.gz").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if not (tmp_path / SPLIT).exists():
        assert splits(tmp_path) == []
    done = run_sew(*command[1:])
    assert done.returncode == 0 and " cuts, " in done.stdout, done.stderr
    for path in (packed / SPLIT).iterdir():
        assert (tmp_path / SPLIT / path.name).read_bytes() == path.read_bytes(), path.name
    assert {p.name for p in (tmp_path / SPLIT).iterdir()} == {p.name for p in (packed / SPLIT).iterdir()}
    assert pack(prepared, SPLIT, tmp_path, shard_size=7, jobs=1).cuts == len(read_split(prepared, SPLIT))
    with refused(UsageError, "split-exists"):
        pack(prepared, SPLIT, tmp_path, shard_size=8, jobs=1)
    assert_same(read_split(tmp_path, SPLIT), read_split(prepared, SPLIT))


def test_cuts_that_cannot_be_read_are_listed(prepared: Path, tmp_path: Path, sew_here) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    rows = list(read_jsonl(prepared / f"cuts_{SPLIT}.jsonl.gz"))[:5]
    source = rows[2]["recording"]["sources"][0]
    (tmp_path / "cut.flac").write_bytes(Path(source["source"]).read_bytes()[:3000])
    source["source"] = str(tmp_path / "cut.flac")
    write_jsonl(data / "cuts_train.jsonl.gz", rows)
    done = sew_here("shar", data, out, "--json")
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["failed"] == 1 and json.loads(done.stdout)["cuts"] == 4
    (row,) = read_jsonl(out / "failed_train.jsonl")
    assert row["id"] == rows[2]["id"] and re.search("truncated|cannot be read", row["reason"])
    assert [u.id for u in read_split(out, "train")] == [r["id"] for r in rows if r is not rows[2]]


def test_a_copy_of_one_id_is_refused(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (row, *_) = read_jsonl(prepared / f"cuts_{SPLIT}.jsonl.gz")
    write_jsonl(tmp_path / "data/cuts_train.jsonl.gz", [row, row])
    with refused(DataError, "duplicate-id"):
        pack(tmp_path / "data", "train", tmp_path / "out", shard_size=2, jobs=1)
    with pytest.raises(UsageError, match="no prepared corpus"):
        from sewcli.data.utterances import require_splits

        require_splits(tmp_path / "out", None, default_prefix="train")
