"""Seconds of telephone speech decoded in a second: SPHERE files of PCM, u-law and shorten, with and without native code.

    python benchmarks/sphere.py              # writes benchmarks/results/sphere.json

A call of two channels at 8 kHz is made of synthetic speech, written in each coding, and read by `read_channels`, all ways in
turn; seconds are of the processor, so that other work on the machine counts little. "shorten" is decoded by desphere in pure
Python and, where `pip install 'sewcli[sph]'` has put it, by its native part: both must give the samples of the u-law file.
Beside them stands the resampling to 16 kHz of the same two channels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import desphere
import numpy as np
from machine import circumstances

from sewcli.audio.io import read_channels
from sewcli.audio.resample import to_16k
from sewcli.base.files import write_json
from sewcli.corpora.miniatures.calls import LINE, record, write_sphere
from sewcli.corpora.miniatures.casting import cast
from sewcli.corpora.miniatures.hub5 import SPEAKERS, scripts

CODINGS = ("pcm", "ulaw", "shorten")
NATIVE = desphere.native_available()
PACKAGES = ("sew", "desphere", *(["desphere-native"] if NATIVE else []), "soundfile", "soxr", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each way; the first one is a warm-up and not counted")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sphere.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files, seconds = write_calls(Path(folder))
        expected = read_channels(files["ulaw"])[0]
        ways: dict[str, Callable[[], np.ndarray]] = {
            "pcm": lambda: read_channels(files["pcm"])[0],
            "u-law": lambda: read_channels(files["ulaw"])[0],
            "shorten, pure Python": lambda: without_native(files["shorten"]),
            "resampling to 16 kHz": lambda: np.stack([to_16k(wave, LINE) for wave in expected]),
        }
        if NATIVE:
            ways["shorten, native"] = lambda: read_channels(files["shorten"])[0]
        assert all(np.array_equal(ways[name](), expected) for name in ways if name.startswith("shorten"))
        times = measure(ways, given.runs)
        sizes = {coding: path.stat().st_size for coding, path in files.items()}
    result = {
        **circumstances(PACKAGES, command=f"python benchmarks/sphere.py --runs {given.runs}", about="one core"),
        "audio": {"seconds": seconds, "channels": 2, "rate": LINE, "bytes": sizes},
        "runs": given.runs - 1,
        "seconds_a_second": {
            name: {"median": seconds / statistics.median(t), "least": seconds / max(t), "most": seconds / min(t)}
            for name, t in times.items()
        },
    }
    write_json(given.out, result)
    print(json.dumps(result["seconds_a_second"], indent=2))


def write_calls(folder: Path) -> tuple[dict[str, Path], float]:
    """A call of some minutes in each coding, and its seconds."""
    [made] = record(scripts(cast(1, SPEAKERS), 1)[:1], 1, 1)
    wave = np.concatenate([made.wave] * 5)
    files = {coding: folder / f"{coding}.sph" for coding in CODINGS}
    for coding, path in files.items():
        write_sphere(path, wave, coding)
    return files, len(wave) / LINE


def measure(ways: dict[str, Callable[[], np.ndarray]], runs: int) -> dict[str, list[float]]:
    """Seconds of each way, all of them in turn, so that a slow moment of the machine touches all."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if run:
                times[name].append(time.process_time() - start)
    return times


def without_native(path: Path) -> np.ndarray:
    """As on a machine without desphere-native."""
    with no_native():
        return read_channels(path)[0]


@contextmanager
def no_native():
    modules = [sys.modules[f"desphere.{name}"] for name in ("transcode", "codecs")]
    kept = [module._native for module in modules]
    for module in modules:
        module._native = None
    try:
        yield
    finally:
        for module, native in zip(modules, kept, strict=True):
            module._native = native


if __name__ == "__main__":
    main()
