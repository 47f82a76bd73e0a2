"""Hours of speech prepared in a minute of one core: `sew prep voxpopuli` and lhotse's own recipe, in turns, in one run.

    sew prep voxpopuli --mini                                 # speaks the miniature corpus, both layouts
    python benchmarks/prep_voxpopuli.py                       # measures on it

From clips, ours decodes each to its last sample and holds it against its checksums. From sessions, ours decodes each session,
joins the stretches of speech of every utterance and writes them as FLAC. lhotse's recipe looks at the headers of sessions (in
a folder where it finds them, the annotations beside its output); a third row adds to it what makes utterances of it: cut to
the supervisions, load, write as FLAC. It has no recipe for clips. Each round runs all of them in this one process into a fresh
folder. Counted is the time of the processor, so that other work on the machine plays no part; hours are those of the
utterances, without the pauses that lhotse leaves in.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import soundfile
from lhotse import CutSet
from lhotse.recipes import prepare_voxpopuli
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.corpora import audio_jobs as sounds
from sewcli.corpora.preparation import prepare
from sewcli.corpora.voxpopuli import ANNOTATIONS, CLIPS, SESSIONS, find_corpus, find_splits

Program = Callable[[Path, Path], None]  # corpus, a fresh folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("data/mini-voxpopuli/corpus/voxpopuli"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prep_voxpopuli.json"))
    given = parser.parse_args()
    sounds.in_processes = lambda work, items, _: map(work, items)  # the time of other processes would not be counted
    corpus = find_corpus(given.corpus).absolute()
    with tempfile.TemporaryDirectory() as place:
        raw = without_clips(corpus, Path(place))
        programs: dict[str, tuple[Path, Program]] = {
            "sew prep, clips": (corpus, ours),
            "sew prep, sessions": (raw, ours),
            "lhotse, sessions, headers alone": (raw, theirs),
            "lhotse, sessions, then cutting": (raw, theirs_cut),
        }
        hours, seconds = measure(corpus), {name: list[float]() for name in programs}
        for source, program in programs.values():  # imports, and the files into the page cache
            timed(program, source)
        for _ in range(given.rounds):
            for name, (source, program) in programs.items():
                seconds[name].append(timed(program, source))
    rows = []
    for name, times in seconds.items():
        speed = round(hours / (median(times) / 60), 1)
        print(f"{name:32} {speed:8.1f} hours a minute and core")
        rows.append({"program": name, "hours_a_minute": speed, "cpu_seconds": [round(x, 2) for x in times]})
    write_json(
        given.out,
        {
            **circumstances(
                ("lhotse", "soundfile", "numpy"),
                command=f"python benchmarks/prep_voxpopuli.py --rounds {given.rounds}",
                about="1 thread",
                python=False,
            ),
            "hours": round(hours, 3),
            "sessions": len(list((corpus / SESSIONS).rglob("*.ogg"))),
            "results": rows,
        },
    )


def without_clips(corpus: Path, place: Path) -> Path:
    """The corpus as it is before its clips are cut, with the sessions where lhotse looks for them too."""
    (place / CLIPS).mkdir(parents=True)
    shutil.copy(corpus / CLIPS / ANNOTATIONS, place / CLIPS)
    (place / "raw_audios").mkdir()
    for name in ("original", "en"):
        (place / "raw_audios" / name).symlink_to(corpus / SESSIONS)
    return place


def timed(program: Program, corpus: Path) -> float:
    """Seconds of the processor in one preparation, all threads together."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        program(corpus, Path(folder))
        return time.process_time() - start


def ours(corpus: Path, out: Path) -> None:
    prepare(out, "voxpopuli", find_splits(corpus, None), jobs=1)


def theirs(corpus: Path, out: Path) -> None:
    shutil.copy(corpus / CLIPS / ANNOTATIONS, out)
    prepare_voxpopuli(corpus, out, lang="en")


def theirs_cut(corpus: Path, out: Path) -> None:
    shutil.copy(corpus / CLIPS / ANNOTATIONS, out)
    for split, manifests in prepare_voxpopuli(corpus, out, lang="en").items():
        cuts = CutSet.from_manifests(**manifests).trim_to_supervisions(keep_overlapping=False, keep_all_channels=False)
        (out / "audio" / split).mkdir(parents=True)
        for cut in cuts:
            soundfile.write(out / "audio" / split / f"{cut.id}.flac", cut.load_audio()[0], cut.sampling_rate)
        cuts.to_file(out / f"cuts_{split}.jsonl.gz")


def measure(corpus: Path) -> float:
    """Hours of the utterances of the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        summaries = prepare(Path(folder), "voxpopuli", find_splits(corpus, None), jobs=os.cpu_count() or 1)
    return float(sum(summary["hours"] for summary in summaries.values()))


if __name__ == "__main__":
    main()
