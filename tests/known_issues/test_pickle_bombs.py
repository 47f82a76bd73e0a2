"""Pickles that unfold without end, or lie about their sizes, end in one line, in seconds and in bounded memory."""

import io
import pickle
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sewcli.base.errors import DataError
from sewcli.models.torch_files import read_torch_file
from sewcli.models.weights import open_folder

TIMES = 35
KEYS = b"\x80\x02]q\x00."


def older(content: bytes) -> bytes:
    start = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001, "type_sizes": {}})
    return b"".join(pickle.dumps(each, 2) for each in start) + content + KEYS


def zipped(content: bytes, **records: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, record in {"data.pkl": content, "version": b"3\n", **records}.items():
            archive.writestr(f"x/{name}", record)
    return memory.getvalue()


def doubled(start: object, fold: Callable[[object], object]) -> bytes:
    value = start
    for _ in range(TIMES):
        value = fold(value)
    return pickle.dumps({"model": value}, 2)


def tuple_key() -> bytes:
    body = b"\x80\x02}K\x01q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(TIMES))
    return body + b"K\x01s0" + b"."


def deep_tuple() -> bytes:
    return b"\x80\x02}K\x01" + b"\x85" * 1_000_000 + b"K\x01s."


def top_down() -> bytes:
    """Lists that are put into each other before they are filled."""
    made = b"".join(b"]q%c0" % n for n in range(TIMES + 1))
    filled = b"".join(b"h%c(h%ch%ce0" % (n, n + 1, n + 1) for n in range(TIMES))
    return b"\x80\x02" + made + filled + b"h\x00."


PICKLES: dict[str, bytes] = {
    "lists": doubled("x", lambda x: [x, x]),
    "dicts": doubled("x", lambda x: {"a": x, "b": x}),
    "tuples": doubled("x", lambda x: (x, x)),
    "lists, from above": top_down(),
    "a tuple as key": tuple_key(),
    "a deep tuple as key": deep_tuple(),
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "memo 2^27": b"\x80\x02]r\x00\x00\x00\x08.",
    "a string of 4 GB": b"\x80\x02X\xff\xff\xff\xffabc.",
    "bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
    "a tensor of nothing": b"\x80\x02ctorch\nTensor\n\x8a\x05\x00\x00\x00\x00\x01\x8a\x05\x00\x00\x00\x00\x01\x86R.",
    "storage made": b"\x80\x02ctorch.storage\nUntypedStorage\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
    "meta tensor": b"\x80\x02ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R.",
    "zlib": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
    "pops too much": b"\x80\x02\x86\x86\x86.",
    "no mark": b"\x80\x02t.",
    "inst": b"\x80\x02(ios\nsystem\n.",
    "extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.fault("input-16")
@pytest.mark.parametrize("layout", ["pt", "older pt", "bin"])
@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.timeout(60)
def test_a_pickle_that_unfolds_without_end(kind: str, layout: str, tmp_path: Path) -> None:
    content = PICKLES[kind]
    path = tmp_path / ("pytorch_model.bin" if layout == "bin" else "model.pt")
    path.write_bytes(older(content) if layout == "older pt" else zipped(content))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    sound = kind == "memo 2^27"  # an empty list, put down under a large number
    if sound and layout != "bin":
        assert read_torch_file(path) == []
    else:
        with pytest.raises(DataError) as caught:
            open_folder(tmp_path) if layout == "bin" else read_torch_file(path)
        assert len(str(caught.value)) < 600 and str(path) in str(caught.value)
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


@pytest.mark.fault("input-16")
@pytest.mark.parametrize("name", ["byteorder", "version", ".data/serialization_id", "data/0", "data.pkl", "other"])
@pytest.mark.timeout(60)
def test_records_that_are_not_what_torch_writes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        if name != "data.pkl":
            archive.writestr("x/data.pkl", pickle.dumps({"model": {}}, 2), zipfile.ZIP_STORED)
        with archive.open(f"x/{name}", "w") as record:
            for _ in range(16):
                record.write(bytes(1 << 24))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError):
        read_torch_file(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


@pytest.mark.fault("input-16")
def test_the_hostile_one_through_the_commands(tmp_path: Path, sew_here) -> None:
    (tmp_path / "x.pt").write_bytes(zipped(PICKLES["lists"]))
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    for arguments in (
        ("import", tmp_path / "x.pt", tmp_path / "o"),
        ("transcribe", tmp_path / "a.wav", "--model", tmp_path / "x.pt"),
    ):
        done = sew_here(*arguments)
        assert done.returncode == 3 and "Traceback" not in done.stderr and "x.pt" in done.stderr, done.stderr


@pytest.mark.fault("input-16")
def test_neighbours_are_not_read_for_a_storage_that_lies(tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.ones(4), "b": torch.zeros(4)}}, tmp_path / "x.pt")
    whole = (tmp_path / "x.pt").read_bytes()
    place = whole.index(b"K\x04t")  # the number of values of the first storage
    (tmp_path / "x.pt").write_bytes(whole[:place] + b"K\x10t" + whole[place + 3 :])
    with pytest.raises(DataError):
        read_torch_file(tmp_path / "x.pt")
