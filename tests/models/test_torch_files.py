"""PyTorch files are read without running them; hostile and broken ones are explained in one line."""

import io
import pickle
import struct
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_files import Runs, hostile
from support.refusals import refused

from sewcli.base.errors import DataError, SewError
from sewcli.models.tensors import Entry
from sewcli.models.torch_files import LARGEST_PICKLE, read_torch_file

CONTENT = {
    "model": OrderedDict(
        plain=torch.randn(3, 4),
        turned=torch.randn(3, 4).t(),
        part=torch.arange(12.0)[3:7],
        half=torch.randn(5).half(),
        brain=torch.randn(5).bfloat16(),
        single=torch.tensor(7),
        none=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(torch.randn(2)),
    ),
    "args": Namespace(dropout=0.1, inner=Namespace(layers=[1, (2, 3)]), path=Path("a")),
    "numbers": {"n": 3, "text": "x", "ok": True, "nothing": None, "bytes": b"\xff", "set": {1}},
}


@pytest.mark.parametrize("older", [False, True])
def test_values_are_those_of_torch(older: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=not older)
    ours = read_torch_file(path)
    assert ours["model"].keys() == CONTENT["model"].keys()
    for name, tensor in CONTENT["model"].items():
        entry = ours["model"][name]
        value = entry.read()
        right = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach()  # which NumPy has not
        assert entry.shape == tuple(tensor.shape) and value.dtype == right.numpy().dtype, name
        assert np.array_equal(value, right.numpy()), name
    assert ours["args"]["dropout"] == 0.1 and ours["args"]["inner"] == {"layers": [1, [2, 3]]}
    assert ours["numbers"] == {"n": 3, "text": "x", "ok": True, "nothing": None, "bytes": b"\xff", "set": [1]}
    trusted = read_torch_file(path, trust_pickle=True)
    assert trusted["args"]["inner"] == ours["args"]["inner"]
    assert np.array_equal(trusted["model"]["turned"].read(), CONTENT["model"]["turned"])


def test_views_of_one_storage_in_the_older_layout(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    torch.save([whole, whole[2:5], whole.view(2, 5)[1]], tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    values = [entry.read().tolist() for entry in read_torch_file(tmp_path / "x.pt")]
    assert values == [list(range(10)), [2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("kind", hostile(Path("x")))
def test_a_hostile_pickle_runs_nothing(kind: str, older: bool, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "x.pt"
    torch.save(
        {"model": {"a": torch.zeros(1)}, "x": hostile(canary)[kind]}, path, _use_new_zipfile_serialization=not older
    )
    with pytest.raises(DataError, match="refused: the file is a pickle that asks for") as caught:
        read_torch_file(path)
    assert "--trust-pickle" in str(caught.value) and len(str(caught.value).splitlines()) == 2
    assert not canary.exists()
    if kind == "system":  # the canary does sing when asked to
        read_torch_file(path, trust_pickle=True)
        assert canary.exists()


def test_dotted_and_unknown_names_are_refused(tmp_path: Path) -> None:
    for call in (
        b"cos\nsystem\n",
        b"cfairseq\nx\n(X\x01\0\0\0atRcposix\nsystem\n",
        b"ctorch._utils\n_rebuild_wrapper_subclass\n",
    ):
        (tmp_path / "x.pt").write_bytes(older_file(b"\x80\x02" + call + b"."))
        with pytest.raises(DataError, match="asks for"):
            read_torch_file(tmp_path / "x.pt")


def test_known_functions_cannot_be_altered(tmp_path: Path) -> None:
    """A pickle may set attributes of whatever it is given."""
    state = b"(N}(S'__defaults__'\nNutb."  # (attributes, slots), the latter set with setattr
    (tmp_path / "x.pt").write_bytes(older_file(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + state))
    with pytest.raises(DataError):
        read_torch_file(tmp_path / "x.pt")
    test_values_are_those_of_torch(True, tmp_path)


def older_file(content: bytes) -> bytes:
    start = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001, "type_sizes": {}})
    return b"".join(pickle.dumps(each, 2) for each in start) + content + pickle.dumps([], 2)


def zip_file(content: bytes, **records: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("x/data.pkl", content)
        archive.writestr("x/version", b"3\n")
        for name, record in records.items():
            archive.writestr(f"x/data/{name}", record)
    return memory.getvalue()


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


class Storage:
    def __init__(self, values: int) -> None:
        self.pid = ("storage", torch.FloatStorage, "0", "cpu", values)


def described(values: int, shape, strides, offset: int = 0, record: bytes = b"\0" * 40) -> bytes:
    """A zip file with one tensor that is described at will."""
    memory = io.BytesIO()
    tensor = Runs(torch._utils._rebuild_tensor_v2, Storage(values), offset, shape, strides, False, OrderedDict())
    Pickler(memory, 2).dump({"model": {"a": tensor}})
    return zip_file(memory.getvalue(), **{"0": record})


def test_the_description_that_the_next_test_spoils(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(described(10, (2, 5), (5, 1)))
    entry = read_torch_file(tmp_path / "x.pt")["model"]["a"]
    assert isinstance(entry, Entry) and np.array_equal(entry.read(), np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (described(10, (1 << 40, 1 << 40), (1, 1)), "fit"),
        (described(10, (1 << 60,), (1,)), "no sense"),
        (described(10, (1 << 30,), (0,)), "does not fit"),
        (described(10, (2,), (1 << 40,)), "does not fit"),
        (described(10, (5,), (1,), 6), "does not fit"),
        (described(10, (5,), (1,), -1), "no sense"),
        (described(10, (-5,), (1,)), "no sense"),
        (described(10, (5,), (1, 1)), "no sense"),
        (described(10, (5.0,), (1,)), "no sense"),
        (described(10, None, (1,)), "no sense"),
        (described(1 << 50, (1 << 50,), (1,)), "does not hold"),
        (described(10, (5,), (1,), 0, b"\0" * 36), "does not hold"),
        (zip_file(b"rubbish"), "not a whole PyTorch file"),
        (zip_file(b""), "not a whole PyTorch file"),
        (b"PK\x03\x04", "not a whole PyTorch file"),
        (b"", "not a whole PyTorch file"),
        (b"\x80\x02]q\x00.", "not a PyTorch file"),
        (b"RIFF" + bytes(1000), "PyTorch file"),
        (older_file(b"\x80\x02" + b"]" * 500 + b"a" * 499 + b"."), "nested too deeply"),
        (older_file(struct.pack("<c", b"\x8d") + b"\xff" * 8), "not a whole PyTorch file"),
    ],
)
def test_a_file_that_makes_no_sense(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_torch_file(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_an_absurd_list_of_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x/data.pkl", "w") as record:
        for _ in range(LARGEST_PICKLE // (1 << 24) + 1):
            record.write(bytes(1 << 24))
    with refused(DataError, "pickle-absurd"):
        read_torch_file(path)


@pytest.mark.parametrize("older", [False, True])
def test_every_truncation_is_explained(older: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=not older)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_torch_file(path)


def test_flipped_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for older in (False, True):
        path = tmp_path / "x.pt"
        torch.save(CONTENT, path, _use_new_zipfile_serialization=not older)
        whole = path.read_bytes()
        for _ in range(300):
            place, value = (int(torch.randint(n, (), generator=generator)) for n in (len(whole), 256))
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                content = read_torch_file(path)
                if isinstance(content, dict) and isinstance(content.get("model"), dict):
                    for entry in content["model"].values():
                        if isinstance(entry, Entry):
                            entry.read()
            except SewError:
                pass
