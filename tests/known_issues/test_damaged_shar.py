"""Shar whose tars or indexes are damaged or lie: an error that names the file, and only what is lacking is lost."""

import json
import resource
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from noise_speech import write_noise

from sewcli.base.errors import DataError
from sewcli.data.packing import pack
from sewcli.data.reader import Reader
from sewcli.data.shar import index_path
from sewcli.data.utterances import Utterance, read_split

CUTS = 6


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    data = write_noise(tmp_path / "data", {"train": [0.5] * CUTS})
    pack(data, "train", tmp_path / "shar", shard_size=CUTS, jobs=1)
    return tmp_path / "shar"


def headers(tar: Path) -> list[int]:
    """Where the header of each sound file begins."""
    with tarfile.open(tar) as archive:
        return [info.offset for info in archive if info.name.endswith(".wav") or info.name.endswith(".flac")]


def lost(utterances: list[Utterance]) -> list[int]:
    missing = []
    for number, utterance in enumerate(utterances):
        try:
            assert len(utterance.wave()) == 8000
        except DataError as error:
            assert "recording.000000.tar" in str(error.where)
            missing.append(number)
    return missing


def with_size(header: bytes, field: bytes) -> bytes:
    """A header with another size, and a checksum that fits."""
    changed = header[:124] + field.ljust(12, b"\0") + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + b"%06o\0 " % sum(changed) + changed[156:]


SIZES = {
    "octal": b"77777777777",
    "base-256": b"\x80" + (10**15).to_bytes(11, "big"),
    "negative": b"\xff" * 10 + b"\xfe\x00",
    "nonsense": b"size?",
    "eight gigabytes": b"\x80" + (8 << 30).to_bytes(11, "big"),
}


@pytest.mark.fault("input-11")
@pytest.mark.parametrize("name", [*SIZES, "checksum", "zeros"])
def test_a_damaged_header_costs_its_own_file(packed: Path, name: str, tmp_path: Path) -> None:
    tar = packed / "train" / "recording.000000.tar"
    content, at = bytearray(tar.read_bytes()), headers(tar)[2]
    header = bytes(content[at : at + 512])
    if name == "checksum":
        content[at + 130] ^= 1
    elif name == "zeros":
        content[at : at + 512] = bytes(512)
    else:
        content[at : at + 512] = with_size(header, SIZES[name])
    tar.write_bytes(content)
    index_path(packed, "train").unlink()
    tracemalloc.start()
    utterances = read_split(packed, "train")
    assert lost(utterances) == [2]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    reader = Reader(utterances, tmp_path, 0.2)
    assert [number for number, _ in reader.read(range(CUTS))] == [0, 1, 3, 4, 5]


@pytest.mark.fault("input-11")
@pytest.mark.parametrize(
    "place",
    [
        None,
        [],
        {},
        7,
        "x",
        ["a.flac", 1],
        ["a.flac", 1e30, 1],
        ["a.flac", 0, 1e30],
        ["a.flac", -5, 10],
        ["a.flac", "0", "5"],
        ["a.flac", 0, 1 << 70],
        ["a.flac", True, 1],
        [None, 0, 5],
    ],
    ids=str,
)
def test_an_index_that_is_none_is_made_again(packed: Path, place: object) -> None:
    path = index_path(packed, "train")
    index = json.loads(path.read_text())
    members = index["tars"]["recording.000000.tar"]["members"]
    members[next(iter(members))] = place
    path.write_text(json.dumps(index))
    assert lost(read_split(packed, "train")) == []


@pytest.mark.fault("input-11")
@pytest.mark.parametrize("index", ["[]", "{}", '{"tars": []}', '{"tars": {"recording.000000.tar": null}}', "{", ""])
def test_an_index_of_nonsense_is_made_again(packed: Path, index: str) -> None:
    index_path(packed, "train").write_text(index)
    assert lost(read_split(packed, "train")) == []


@pytest.mark.fault("input-11")
def test_nothing_is_asked_of_the_memory_for_what_an_index_claims(packed: Path) -> None:
    """An index that counts as true, and whose sizes lie: 8 GB of a tar of a few kilobytes."""
    path = index_path(packed, "train")
    index = json.loads(path.read_text())
    members = index["tars"]["recording.000000.tar"]["members"]
    for name, size in zip(list(members)[:3], (8 << 30, 1 << 30, 1 << 60), strict=True):
        members[name][2] = size
    path.write_text(json.dumps(index))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    utterances = read_split(packed, "train")
    assert lost(utterances) == [0, 1, 2]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB
    with pytest.raises(DataError, match=r"8,589,934,592 bytes|truncated"):
        utterances[0].wave()


@pytest.mark.fault("input-3")
@pytest.mark.parametrize("change", ["transforms", "mixture"])
def test_what_lhotse_would_compute_is_refused_in_a_shar(packed: Path, change: str) -> None:
    from sewcli.base.files import read_jsonl, write_jsonl

    manifest = packed / "train" / "cuts.000000.jsonl.gz"
    rows = list(read_jsonl(manifest))
    if change == "transforms":
        rows[1]["recording"]["transforms"] = [{"name": "Volume", "kwargs": {"factor": 0.5}}]
    else:
        track = {"cut": rows[1], "type": "MonoCut", "offset": 0.0}
        rows[1] = {"id": "mix", "type": "MixedCut", "tracks": [track, {**track, "offset": 0.1}]}
    write_jsonl(manifest, rows)
    with pytest.raises(DataError, match="transforms or a mixture in a Shar") as caught:
        read_split(packed, "train")
    assert caught.value.where == manifest and "line 2" in caught.value.what


@pytest.mark.fault("input-3", "report-52")
def test_several_supervisions_in_a_shar(packed: Path) -> None:
    from sewcli.base.files import read_jsonl, write_jsonl

    manifest = packed / "train" / "cuts.000000.jsonl.gz"
    rows = list(read_jsonl(manifest))
    whole = read_split(packed, "train")[1].wave()
    (one,) = rows[1]["supervisions"]
    rows[1]["supervisions"] = [
        {**one, "id": "a", "text": "A", "start": 0.1, "duration": 0.2},
        {**one, "id": "b", "text": "B", "start": 0.25, "duration": 0.25},
    ]
    write_jsonl(manifest, rows)
    found = {u.id: u for u in read_split(packed, "train")}
    assert found["a"].text == "A" and (found["a"].wave() == whole[1600:4800]).all()
    assert found["b"].text == "B" and (found["b"].wave() == whole[4000:]).all()
