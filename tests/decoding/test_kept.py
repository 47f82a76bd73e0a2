"""Kept emissions: what was written comes back, whole or not at all, and only for the weights and cuts it is of."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused
from support.speech_like import emission

from sewcli.base.errors import DataError
from sewcli.data.utterances import Utterance
from sewcli.decoding import emission_cache as module
from sewcli.decoding.emission_cache import KeptEmissions, find_kept, keep

FACTS = {"device": "cpu", "threads": 1, "model_seconds": 1.5, "failed": []}
NAMES = ["b", "a/b", "__metadata__", "ünï", "a b\t", "empty"]


def utterance(name: str) -> Utterance:
    return Utterance(name, Path("none.wav"), 0, 16_000, 16_000, 0, "A TEXT", "")


def values(name: str) -> np.ndarray:
    if name == "empty":
        return np.zeros((0, 32), dtype=np.float32)
    return emission("SOME TEXT " + "OR OTHER " * (len(name) % 4), noise=1, seed=len(name))


def write(folder: Path, names: list[str], shard=(1, 1), inputs: str = "x", kind="float32", **facts) -> None:
    with keep(folder, shard, inputs, kind) as writer:
        for name in names:
            writer.add(name, values(name))
        writer.facts = {**FACTS, **facts}


def read(kept: KeptEmissions, names: list[str]) -> dict[str, np.ndarray]:
    return {u.id: found for u, found in kept.read([utterance(name) for name in names])}


@pytest.mark.parametrize("file_bytes", [1, 10_000, 64 << 20])
def test_every_emission_comes_back_to_the_last_bit(
    file_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", file_bytes)
    write(tmp_path / "x", NAMES)
    kept = KeptEmissions(tmp_path / "x", "x")
    found = read(kept, NAMES)
    assert list(found) == NAMES  # in the order in which they were made
    for name in NAMES:
        assert found[name].dtype == np.float32 and np.array_equal(found[name], values(name))
    assert len(list((tmp_path / "x" / "1-of-1").glob("*.safetensors"))) == {1: 6, 10_000: 3, 64 << 20: 1}[file_bytes]
    assert list(read(kept, ["ünï"])) == ["ünï"] and "c" not in kept


def test_float16_is_half_the_size_and_right_to_three_digits(tmp_path: Path) -> None:
    sizes = {}
    for kind in ("float32", "float16"):
        write(tmp_path / kind, NAMES, kind=kind)
        found = read(KeptEmissions(tmp_path / kind, "x"), NAMES)
        for name in NAMES:
            np.testing.assert_allclose(found[name], values(name), rtol=1e-3, atol=1e-3)
        sizes[kind] = sum(path.stat().st_size for path in (tmp_path / kind / "1-of-1").glob("*.safetensors"))
    assert sizes["float16"] < 0.55 * sizes["float32"]


def test_those_of_other_weights_or_cuts_are_refused_and_replaced(tmp_path: Path) -> None:
    write(tmp_path / "x", NAMES, inputs="before")
    with refused(DataError, "kept-emissions-differ") as caught:
        KeptEmissions(tmp_path / "x", "now")
    assert caught.value.where == tmp_path / "x"
    assert find_kept(tmp_path / "x", "now", [utterance("b")]) is None
    write(tmp_path / "x", ["b"], inputs="now")
    assert find_kept(tmp_path / "x", "now", [utterance("b")]) is not None


def test_shards_are_a_whole_when_all_are_there(tmp_path: Path) -> None:
    everyone = [utterance(name) for name in NAMES]
    write(tmp_path / "x", NAMES[:3], (1, 2))
    assert find_kept(tmp_path / "x", "x", everyone) is None
    assert find_kept(tmp_path / "x", "x", everyone[:3], (1, 2)) is not None
    write(tmp_path / "x", NAMES[3:], (2, 2))
    kept = find_kept(tmp_path / "x", "x", everyone)
    assert kept is not None and set(read(kept, NAMES)) == set(NAMES) and kept.model_seconds == 3.0
    write(tmp_path / "x", NAMES)  # the whole takes the place of its shards
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["1-of-1"]


def test_emissions_of_which_some_failed_do_not_stand_in_for_the_model(tmp_path: Path) -> None:
    write(tmp_path / "x", NAMES[:5], failed=["empty"])
    assert find_kept(tmp_path / "x", "x", [utterance(name) for name in NAMES[:5]]) is None
    write(tmp_path / "x", NAMES[:5])
    assert find_kept(tmp_path / "x", "x", [utterance(name) for name in NAMES]) is None  # one is not there


def test_a_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    write(tmp_path / "x", NAMES)
    (file,) = (tmp_path / "x" / "1-of-1").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(KeptEmissions(tmp_path / "x", "x"), NAMES)
    assert caught.value.where == file and str(tmp_path / "x") in str(caught.value.hint)


def test_a_writer_that_is_killed_leaves_nothing_that_is_taken_for_emissions(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, numpy, pathlib; from sewcli.decoding import emission_cache as kept; kept.FILE_BYTES = 1\n"
        "with kept.keep(pathlib.Path(sys.argv[1]), (1, 1), 'x', 'float32') as writer:\n"
        "    writer.add('a', numpy.zeros((5, 32), dtype='float32'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "x").glob("1-of-1.unfinished/*.safetensors"))  # it was at work
    assert find_kept(tmp_path / "x", "x", [utterance("a")]) is None
    write(tmp_path / "x", NAMES)
    assert set(read(KeptEmissions(tmp_path / "x", "x"), NAMES)) == set(NAMES)
