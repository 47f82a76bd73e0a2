"""What stitching costs: a long recording in windows against its utterances one by one, and against `transformers`' pipeline.

    python benchmarks/by_heart.py LIBRISPEECH --out exp/by-heart
    python benchmarks/transcribe.py LIBRISPEECH --model exp/by-heart

Chapters that the model knows by heart are said again and again, in another order each time, until the recording is 30 minutes
long. Compared with the words of each utterance transcribed alone: words lost, doubled and changed, and the starts of words.
Time and memory are those of whole processes, one after the other. The peer has the same weights, and windows of that length.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import transformers

from sewcli.audio.io import RATE, read_wave
from sewcli.base.files import write_json
from sewcli.base.rng import numpy_rng
from sewcli.decoding.beam import BeamOptions
from sewcli.decoding.transcribe.run import OVERLAP, WINDOW, Listener, Recogniser
from sewcli.decoding.transcribe.windows import Layout
from sewcli.decoding.writers import Span
from sewcli.scoring.wer import word_errors

NAMES = "learned.txt"  # of benchmarks/by_heart.py
CLOSE = 0.1  # seconds
SWEEP = ((10.0, 2.0), (10.0, 5.0), (16.0, 4.0), (24.0, 2.0), (24.0, 6.0), (30.0, 6.0))  # seconds of window and overlap
Times = list[tuple[str, float]]  # words and where they begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", type=Path, default=Path("exp/by-heart"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sweep", action="store_true", help="also other windows, on 5 minutes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/transcribe.json"))
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        peer(given.model, given.peer)
        return
    recogniser = Recogniser(given.model, None, None, BeamOptions()).on(torch.device("cpu"))
    waves = utterances(given.corpus, given.model)
    alone = {name: times_of(recogniser, wave, WINDOW, OVERLAP) for name, wave in waves.items()}
    order = order_of(waves, given.minutes * 60)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in sorted({min(5.0, given.minutes), given.minutes}):
            path, expected = Path(folder) / f"{minutes:.0f}.flac", []
            recording, expected = join(waves, alone, order, minutes * 60)
            soundfile.write(path, recording, RATE)
            seconds = len(recording) / RATE
            sew = [sys.executable, "-m", "sewcli.cli.app", "transcribe", str(path), "--model", str(given.model)]
            pipeline = [sys.executable, __file__, str(given.corpus), "--model", str(given.model), "--peer", str(path)]
            for program, command in (("sew transcribe", [*sew, "-f", "jsonl"]), ("transformers pipeline", pipeline)):
                said, facts = measured(command)
                row = {"program": program, "minutes": round(seconds / 60, 2), **facts, **compare(expected, said)}
                row["real_time_factor"] = round(facts["seconds"] / seconds, 5)
                rows.append(row)
                print(json.dumps(row), flush=True)
    sweep = []
    for window, overlap in SWEEP if given.sweep else ():
        recording, expected = join(waves, alone, order, 300)
        row = {"window": window, "overlap": overlap}
        row |= compare(expected, times_of(recogniser, recording, window, overlap))
        sweep.append(row)
        print(json.dumps(row), flush=True)
    write_json(
        given.out,
        {
            "command": f"python benchmarks/transcribe.py LIBRISPEECH{' --sweep' if given.sweep else ''}",
            "date": date.today().isoformat(),
            "machine": f"{processor()}, {torch.get_num_threads()} thread(s), fp32; other programs ran beside it",
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            "learned": {"utterances": len(waves), "seconds": round(sum(map(len, waves.values())) / RATE, 1)},
            "results": rows,
            "windows": sweep,
        },
    )


def utterances(corpus: Path, model: Path) -> dict[str, np.ndarray]:
    """What the model knows by heart."""
    names = (model / NAMES).read_text().split()
    return {name: read_wave(next(corpus.rglob(f"{name}.flac"))) for name in names}


def order_of(waves: dict[str, np.ndarray], seconds: float) -> list[str]:
    """Chapters in random order, again and again; the utterances of a chapter as they were read."""
    chapters: dict[str, list[str]] = {}
    for name in waves:
        chapters.setdefault(name.rpartition("-")[0], []).append(name)
    rng, order, length = numpy_rng(1, "order"), [], 0
    while length < seconds * RATE:
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
        if place >= seconds * RATE:
            break
        parts.append(waves[name])
        expected += [(word, place / RATE + start) for word, start in alone[name]]
        place += len(waves[name])
    return np.concatenate(parts), expected


def times_of(recogniser: Recogniser, wave: np.ndarray, window: float, overlap: float) -> Times:
    listener = Listener(recogniser, Layout.of(recogniser.model, window, overlap), "recording")
    words: list[Span] = [word for line in (*listener.hear(wave), *listener.close()) for word in line.words]
    return [(word.text, word.start) for word in words]


def measured(command: list[str]) -> tuple[Times, dict[str, Any]]:
    """The words of a program that writes JSON lines, and what it took."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            raise SystemExit(f"{command} failed")
        output.seek(0)
        rows = [json.loads(line) for line in output]
    said = [(word["word"], word["start"]) for row in rows for word in row["words"]]
    cpu = usage.ru_utime + usage.ru_stime
    return said, {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "memory_mb": usage.ru_maxrss // 1024}


def peer(model: Path, path: Path) -> None:
    """The same recording through `transformers`; windows and what is thrown away at their ends are ours."""
    recognise = transformers.pipeline("automatic-speech-recognition", model=str(model), device="cpu")
    sound = {"raw": soundfile.read(path, dtype="float32")[0], "sampling_rate": RATE}
    done = recognise(sound, chunk_length_s=WINDOW, stride_length_s=OVERLAP / 2, return_timestamps="word")
    words = [{"word": chunk["text"], "start": chunk["timestamp"][0]} for chunk in done["chunks"]]
    print(json.dumps({"words": words}))


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


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
