"""Joined stretches: the same samples as slices of the whole file, while little of it is in memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewcli.audio.io import BLOCK, probe
from sewcli.base.errors import DataError
from sewcli.corpora.joining import Spans, cut_out

RATE = 16_000
SECONDS = 3.2 * BLOCK / RATE


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    path = tmp_path_factory.mktemp("session") / "session.wav"
    wave = np.random.default_rng(0).uniform(-1, 1, round(SECONDS * RATE)).astype(np.float32)
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    return path, wave


def _cut(path: Path, joins: dict[str, Spans]) -> dict[str, np.ndarray | str]:
    return dict(cut_out(path, probe(path), list(joins.items())))


def test_any_stretches_in_any_order(session: tuple[Path, np.ndarray]) -> None:
    path, wave = session
    rng = np.random.default_rng(1)
    joins: dict[str, Spans] = {"across all": ((0.0, SECONDS),), "backwards": ((20.0, 40.0), (1.0, 18.0))}
    for number in range(60):  # short and long, sorted and not, overlapping others and themselves
        edges = rng.uniform(0, SECONDS, (int(rng.integers(1, 5)), 2)) * rng.choice([1, 0.3])
        joins[f"u{number}"] = tuple((float(min(pair)), float(max(pair)) + 0.001) for pair in edges)
    cut = _cut(path, joins)
    assert cut.keys() == joins.keys()
    for name, spans in joins.items():
        expected = np.concatenate([wave[round(start * RATE) : round(end * RATE)] for start, end in spans])
        assert np.array_equal(cut[name], expected)


def test_what_reaches_beyond_the_file(session: tuple[Path, np.ndarray]) -> None:
    path, wave = session
    cut = _cut(
        path,
        {
            "a little": ((SECONDS - 1, SECONDS + 0.4),),
            "too far": ((1.0, 2.0), (SECONDS - 1, SECONDS + 0.6)),
            "behind it": ((SECONDS + 0.1, SECONDS + 0.2),),
            "nothing": ((1.0, 1.0),),
            "good": ((1.0, 2.0),),
        },
    )
    assert np.array_equal(cut["a little"], wave[-RATE:]) and np.array_equal(cut["good"], wave[RATE : 2 * RATE])
    assert cut["nothing"] == f"a stretch from 1.0 to 1.0 s of {SECONDS:.2f} s"
    assert [name for name, found in cut.items() if isinstance(found, str)] == ["too far", "behind it", "nothing"]


def test_a_file_that_is_not_whole_or_holds_nan(session: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    _, wave = session
    flawed = wave.copy()
    flawed[-10] = np.nan
    soundfile.write(tmp_path / "nan.wav", flawed, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN"):
        _cut(tmp_path / "nan.wav", {"good": ((1.0, 2.0),)})
    soundfile.write(tmp_path / "short.ogg", wave, RATE)
    (tmp_path / "short.ogg").write_bytes((tmp_path / "short.ogg").read_bytes()[:-1000])
    with pytest.raises(DataError, match="truncated"):
        _cut(tmp_path / "short.ogg", {"good": ((1.0, 2.0),)})


def test_an_hour_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * RATE, np.int16))
    joins = [(str(k), ((10.0 * k, 10.0 * k + 5), (10.0 * k + 6, 10.0 * k + 9))) for k in range(359)]
    tracemalloc.start()
    assert sum(len(wave) for _, wave in cut_out(path, probe(path), joins)) == 359 * 8 * RATE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20  # the hour is 230 MB
