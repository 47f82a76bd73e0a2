"""How fast `sew check` reads a corpus (hours of audio a minute, beside decoding alone), and where its thresholds lie in it.

    sew prep librispeech --mini          # or any corpus
    python benchmarks/check.py data/mini # writes benchmarks/results/check.json

Each figure is the best of three runs, taken in turn; the first reading, which fills the system's cache, is not counted.
A core minute is one of processor time, whatever else the machine does meanwhile. Clipping: every fifth cut is amplified
until it counts as clipped; the distortion is then the power of what was cut off, beside that of the speech.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from machine import circumstances

from sewcli.audio.io import verify
from sewcli.audio.measure import LARGEST, measure
from sewcli.base.files import write_json
from sewcli.data.check import CLIPPED, check, labels_of, listen
from sewcli.data.utterances import Utterance, read_split, splits

RUNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a corpus that `sew prep` wrote, of whole files")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/check.json"))
    given = parser.parse_args()
    labels = labels_of("sew-tiny", None)
    cuts = [utterance for split in splits(given.data) for utterance in read_split(given.data, split)]
    hours = sum(utterance.seconds for utterance in cuts) / 3600
    threads = sorted({1, os.cpu_count() or 1})
    rows = []
    for jobs in threads:
        ways: dict[str, Callable[[], object]] = {
            "decode to the end (audio.io.verify)": lambda jobs=jobs: in_threads(lambda u: verify(u.path), cuts, jobs),
            "decode and measure": lambda jobs=jobs: in_threads(lambda u: listen("", u), cuts, jobs),
            "sew check, all of it": lambda jobs=jobs: check(given.data, labels, jobs=jobs),
        }
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for run in range(RUNS + 1):
            for way, work in ways.items():
                clocks = time.perf_counter(), time.process_time()
                work()
                if run:
                    times[way].append((time.perf_counter() - clocks[0], time.process_time() - clocks[1]))
        for way, taken in times.items():
            wall, processor_time = (60 * hours / min(column) for column in zip(*taken, strict=True))
            figures = {"hours_a_minute": round(wall, 1), "hours_a_core_minute": round(processor_time, 1)}
            rows.append({"way": way, "threads": jobs, **figures})
            print(json.dumps(rows[-1]), flush=True)
    write_json(
        given.out,
        {
            **circumstances(
                ("sew", "numpy", "soundfile"),
                command=f"python benchmarks/check.py {given.data}",
                about=f"{os.cpu_count()} cores",
            ),
            "cuts": len(cuts),
            "hours": round(hours, 4),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "results": rows,
            "thresholds": thresholds(cuts),
        },
    )


def thresholds(cuts: list[Utterance]) -> dict[str, float | list[float]]:
    """What the softest cut and the largest offset are, and how far the distortion is below the speech when it counts."""
    measured = [measure([cut.wave()]) for cut in cuts]
    distortion = []
    for cut in cuts[::5]:
        wave = cut.wave().astype(np.float64)
        for gain in 10 ** (np.arange(0, 40, 0.5) / 20):
            clipped = np.clip(gain * wave, -1, LARGEST)
            if measure([clipped.astype(np.float32)]).clipped > CLIPPED:
                distortion.append(10 * np.log10(np.sum((gain * wave) ** 2) / np.sum((gain * wave - clipped) ** 2)))
                break
    return {
        "lowest_level_db": round(min(measures.decibels for measures in measured), 1),
        "largest_offset": round(max(abs(measures.offset) for measures in measured), 5),
        "largest_clipped_share": max(measures.clipped for measures in measured),
        "distortion_below_speech_db_median": round(float(np.median(distortion)), 1),
        "distortion_below_speech_db_range": [round(f(distortion), 1) for f in (min, max)],
    }


def in_threads(work: Callable[[Utterance], object], cuts: list[Utterance], jobs: int) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(work, cuts):
            pass


if __name__ == "__main__":
    main()
