"""What stitching costs: a long recording in windows against its utterances one by one, and memory, which must not grow.

    python benchmarks/by_heart.py LIBRISPEECH --out exp/by-heart
    python benchmarks/transcribe.py LIBRISPEECH --model exp/by-heart

The recording: utterances that the model knows by heart, end to end as the corpus cut them (it keeps no sound between them);
each chapter's in the order of reading, the chapters in another order each time round, until it is 30 minutes long. Compared
with the words of each utterance transcribed alone: words lost, doubled and changed, and the starts of words. Time and memory
are those of whole processes, one after the other. `transformers` has no log-mel front end, so there is no peer here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from machine import today

from sewcli.alignment.writers import Span
from sewcli.audio.io import read_wave
from sewcli.base.files import write_json
from sewcli.base.machine import processor
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.decoding.beam import BeamOptions
from sewcli.scoring.wer import word_errors
from sewcli.transcription.transcriber import OVERLAP, WINDOW, Listener, Transcriber
from sewcli.transcription.windows import Layout

NAMES = "learned.txt"  # of benchmarks/by_heart.py
CLOSE = 0.1  # seconds
SWEEP = [
    (window, overlap) for window in (12.0, 24.0, 36.0) for overlap in (2.0, 4.0, 6.0, 8.0) if 2 * overlap <= window
]
SHORT, SWEPT = 5.0, 10.0  # minutes
POLL = 0.05  # seconds between two looks at a process
Times = list[tuple[str, float]]  # words and where they begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", type=Path, default=Path("exp/by-heart"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sweep", action="store_true", help="also other windows and overlaps, on 10 minutes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/transcribe.json"))
    given = parser.parse_args()
    recogniser = Transcriber(given.model, None, None, BeamOptions(), lambda: torch.device("cpu"))
    said = utterances(given.corpus, given.model)
    waves = {name: wave for name, (wave, _) in said.items()}
    alone = {name: times_of(recogniser, wave, WINDOW, OVERLAP) for name, wave in waves.items()}
    written = [" ".join(word for word, _ in alone[name]) for name in said]
    known = word_errors([text for _, text in said.values()], written).total
    order = order_of(waves, given.minutes * 60)
    rows: list[dict[str, Any]] = []
    windows: list[dict[str, Any]] = []
    result = {
        "command": f"python benchmarks/transcribe.py LIBRISPEECH{' --sweep' if given.sweep else ''}",
        "date": today(),
        "machine": f"{processor()}, {torch.get_num_threads()} thread(s), fp32; other programs ran beside it",
        "versions": {"torch": torch.__version__},
        "window": {"seconds": WINDOW, "overlap": OVERLAP},
        "learned": {
            "utterances": len(waves),
            "seconds": round(sum(map(len, waves.values())) / SAMPLE_RATE, 1),
            "words": known.words,
            "words_wrong_alone": known.errors,
        },
        "results": rows,
        "windows": windows,
    }
    for minutes in sorted({min(SHORT, given.minutes), given.minutes}):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording.flac"
            recording, expected = join(waves, alone, order, minutes * 60)
            soundfile.write(path, recording, SAMPLE_RATE)
            command = [sys.executable, "-m", "sewcli.cli.app", "transcribe", str(path), "--model", str(given.model)]
            found, facts = measured([*command, "-f", "jsonl"])
        rows.append({"minutes": round(len(recording) / SAMPLE_RATE / 60, 2), **facts, **compare(expected, found)})
        rows[-1]["real_time_factor"] = round(facts["seconds"] / (len(recording) / SAMPLE_RATE), 5)
        print(json.dumps(rows[-1]), flush=True)
        write_json(given.out, result)
    recording, expected = join(waves, alone, order, min(SWEPT, given.minutes) * 60)
    for window, overlap in SWEEP if given.sweep else ():
        found = times_of(recogniser, recording, window, overlap)
        minutes = round(len(recording) / SAMPLE_RATE / 60, 2)
        windows.append({"window": window, "overlap": overlap, "minutes": minutes, **compare(expected, found)})
        print(json.dumps(windows[-1]), flush=True)
        write_json(given.out, result)


def utterances(corpus: Path, model: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Waves and texts of what the model knows by heart."""
    found = {}
    for name in (model / NAMES).read_text().split():
        path = next(corpus.rglob(f"{name}.flac"))
        lines = (path.parent / f"{name.rpartition('-')[0]}.trans.txt").read_text().splitlines()
        found[name] = read_wave(path), next(text for key, _, text in (s.partition(" ") for s in lines) if key == name)
    return found


def order_of(waves: dict[str, np.ndarray], seconds: float) -> list[str]:
    """Chapters in random order, again and again; the utterances of a chapter as they were read."""
    chapters: dict[str, list[str]] = {}
    for name in waves:
        chapters.setdefault(name.rpartition("-")[0], []).append(name)
    rng, order, length = numpy_rng(1, "order"), [], 0
    while length < seconds * SAMPLE_RATE:
        for chapter in rng.permutation(sorted(chapters)).tolist():
            order += chapters[chapter]
            length += sum(len(waves[name]) for name in chapters[chapter])
    return order


def join(
    waves: dict[str, np.ndarray], alone: dict[str, Times], order: list[str], seconds: float
) -> tuple[np.ndarray, Times]:
    """A recording of about so many seconds, and its words as each utterance alone has them."""
    parts, expected, place = [], [], 0
    for name in order:
        if place >= seconds * SAMPLE_RATE:
            break
        parts.append(waves[name])
        expected += [(word, place / SAMPLE_RATE + start) for word, start in alone[name]]
        place += len(waves[name])
    return np.concatenate(parts), expected


def times_of(recogniser: Transcriber, wave: np.ndarray, window: float, overlap: float) -> Times:
    listener = Listener(recogniser, Layout.of(recogniser.config, window, overlap), "recording")
    words: list[Span] = [word for line in (*listener.accept_waveform(wave), *listener.close()) for word in line.words]
    return [(word.text, word.start) for word in words]


def measured(command: list[str]) -> tuple[Times, dict[str, Any]]:
    """The words of a program that writes JSON lines, and what it took."""
    with tempfile.TemporaryFile("w+") as output:
        began, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, high_water(process.pid))
            time.sleep(POLL)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{command} failed")
        output.seek(0)
        rows = [json.loads(line) for line in output]
    found = [(word["word"], word["start"]) for row in rows for word in row["words"]]
    return found, {"seconds": round(seconds, 1), "memory_mb": round(peak / 1024, 1)}


def high_water(process: int) -> int:
    """The most memory that a process has had, in KiB: VmHWM, which its parent's memory does not enter; 0 once it is gone."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def compare(expected: Times, said: Times) -> dict[str, Any]:
    """Words of the long transcript against those of the utterances alone."""
    errors = word_errors([" ".join(word for word, _ in expected)], [" ".join(word for word, _ in said)])
    mine, theirs, apart = iter(expected), iter(said), []
    for one, other in errors.alignments[0]:
        begins = [next(times)[1] for times, word in ((mine, one), (theirs, other)) if word is not None]
        if one == other:
            apart.append(abs(begins[0] - begins[1]))
    total = errors.total
    return {
        "words": total.words,
        "lost": total.deletions,
        "doubled": total.insertions,
        "changed": total.substitutions,
        "differ_percent": round(100 * total.wer, 3),
        "starts_within_100_ms_percent": round(100 * float(np.mean(np.array(apart) <= CLOSE)), 3) if apart else 0.0,
    }


if __name__ == "__main__":
    main()
