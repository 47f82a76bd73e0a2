"""Hours of audio prepared in a minute of one core: `sew prep librispeech` and lhotse's own recipe, in turns, in one run.

    sew prep librispeech --mini                                      # speaks the miniature corpus
    python benchmarks/prep_librispeech.py                            # measures on it
    python benchmarks/prep_librispeech.py DIR ...                    # or on the real thing

Ours decodes every file to its last sample, holds it against its checksum and writes cuts; lhotse's recipe looks at the
headers and writes recordings and supervisions. So a third row adds to lhotse's what would find a broken file: loading the
audio of every cut. Each round runs all of them, one thread each, into a fresh folder. Counted is the time of the
processor, so that other work on the machine plays no part; the files are in the page cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from lhotse import CutSet
from lhotse.recipes import prepare_librispeech
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.corpora.librispeech import find_corpus, find_splits
from sewcli.corpora.places import is_miniature
from sewcli.corpora.preparation import prepare

Program = Callable[[Path, list[str], Path], None]  # corpus, parts, a fresh folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="*", default=[Path("data/mini/corpus/LibriSpeech")])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prep_librispeech.json"))
    given = parser.parse_args()
    rows = [row for corpus in given.corpus for row in compare(find_corpus(corpus), given.rounds)]
    write_json(
        given.out,
        {
            **circumstances(
                ("lhotse", "soundfile", "numpy"),
                command=f"python benchmarks/prep_librispeech.py CORPUS ... --rounds {given.rounds}",
                about="1 thread",
                python=False,
            ),
            "results": rows,
        },
    )


def compare(corpus: Path, rounds: int) -> list[dict[str, Any]]:
    """A row a program: hours of this corpus in a minute of one core."""
    parts = [split.name for split in find_splits(corpus, None)]
    hours, utterances = measure(corpus, parts)
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():  # imports, and the files into the page cache
        timed(program, corpus, parts)
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            seconds[name].append(timed(program, corpus, parts))
    about = "miniature" if is_miniature(corpus) else "real speech"
    rows = []
    for name, times in seconds.items():
        speed = round(hours / (median(times) / 60), 1)
        print(f"{about}, {hours:.2f} h, {name:32} {speed:8.1f} hours a minute and core")
        rows.append({"corpus": about, "parts": parts, "utterances": utterances, "hours": round(hours, 3)})
        rows[-1] |= {"program": name, "hours_a_minute": speed, "cpu_seconds": [round(x, 2) for x in times]}
    return rows


def timed(program: Program, corpus: Path, parts: list[str]) -> float:
    """Seconds of the processor in one preparation, all threads together."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        program(corpus, parts, Path(folder))
        return time.process_time() - start


def ours(corpus: Path, parts: list[str], out: Path) -> None:
    prepare(out, "librispeech", find_splits(corpus, parts), jobs=1)


def theirs(corpus: Path, parts: list[str], out: Path) -> None:
    prepare_librispeech(corpus, dataset_parts=parts, output_dir=out, num_jobs=1)


def theirs_loaded(corpus: Path, parts: list[str], out: Path) -> None:
    for manifests in prepare_librispeech(corpus, dataset_parts=parts, output_dir=out, num_jobs=1).values():
        for cut in CutSet.from_manifests(**manifests):
            cut.load_audio()


PROGRAMS: dict[str, Program] = {
    "sew prep": ours,
    "lhotse, headers alone": theirs,
    "lhotse, then loading every cut": theirs_loaded,
}


def measure(corpus: Path, parts: list[str]) -> tuple[float, int]:
    """Hours and utterances of the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        summaries = prepare(Path(folder), "librispeech", find_splits(corpus, parts), jobs=2)
    return sum(s["hours"] for s in summaries.values()), sum(s["utterances"] for s in summaries.values())


if __name__ == "__main__":
    main()
