"""How fast is TED-LIUM 3 prepared? `sew prep` and lhotse's recipe on the same corpus, one core each, in turn.

    sew prep tedlium3 --mini                 # writes the miniature, data/mini-tedlium3/corpus
    python benchmarks/prep_tedlium3.py       # talks of a true length are joined from it, then both prepare them

Hours of audio prepared per minute of one core's time: CPU seconds, so that other programs on the machine do not count, of
the best of some rounds that take turns, the files in memory. lhotse's way goes on to cuts (`trim_to_supervisions`), as
ours does. Ours decodes every talk to its last sample, lhotse reads headers; so each is measured in the other's manner too:
lhotse's cuts loaded, and ours with the ledger of an earlier check. lhotse reads SPHERE by libsndfile, not by sph2pipe.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["LHOTSE_AUDIO_BACKEND"] = "LibsndfileBackend"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import soundfile
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.corpora.places import MINIATURE
from sewcli.corpora.preparation import prepare
from sewcli.corpora.stm import read_stm
from sewcli.corpora.tedlium3 import find_splits

SPLITS = ("train", "dev", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=Path("data/mini-tedlium3/corpus/TEDLIUM_release-3"))
    parser.add_argument("--joined", type=int, default=16, help="talks of the miniature joined to one; 1: as it is")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prep_tedlium3.json"))
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # both on one core
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        corpus = join_talks(given.corpus, work / "corpus", given.joined) if given.joined > 1 else given.corpus
        ways: dict[str, Callable[[Path], int]] = {
            "sew prep": lambda out: ours(corpus, out),
            "lhotse, headers only": lambda out: theirs(corpus, out, load=False),
            "lhotse, every cut loaded": lambda out: theirs(corpus, out, load=True),
        }
        for way in ways.values():  # warm: imports, and the files in memory
            way(work / "warm")
            shutil.rmtree(work / "warm")
        seconds: dict[str, list[float]] = {way: [] for way in (*ways, "sew prep, sound checked before")}
        counts = {}
        for round_ in range(given.rounds):
            for name, way in ways.items():
                out = work / f"{round_}-{len(name)}"
                seconds[name].append(timed(lambda way=way, out=out: counts.update({name: way(out)})))  # noqa: B023
                if name == "sew prep":
                    for summary in out.glob("prep.json"):
                        summary.unlink()  # the ledger of checked files stays
                    seconds["sew prep, sound checked before"].append(timed(lambda out=out: ours(corpus, out)))
                shutil.rmtree(out)
        sounds = list(corpus.glob("legacy/*/sph/*.sph"))
        talks, hours = len(sounds), sum(soundfile.info(sph).duration for sph in sounds) / 3600
    rows = [
        {
            "way": way,
            "hours_per_minute_and_core": round(hours / min(taken) * 60, 1),
            "cpu_seconds_best": round(min(taken), 3),
            "cpu_seconds_worst": round(max(taken), 3),
            "cuts": counts.get(way, counts["sew prep"]),
        }
        for way, taken in seconds.items()
    ]
    write_json(
        given.out,
        {
            **circumstances(("sew", "lhotse", "soundfile"), command="python benchmarks/prep_tedlium3.py"),
            "hours": round(hours, 3),
            "talks": talks,
            "rounds": given.rounds,
            "results": rows,
        },
    )
    for row in rows:
        print(json.dumps(row))


def ours(corpus: Path, out: Path) -> int:
    """From the corpus to checked cuts on disk; returns their number."""
    summaries = prepare(out, "tedlium3", find_splits(corpus, None), jobs=1)
    return sum(summary["utterances"] for summary in summaries.values())


def theirs(corpus: Path, out: Path, *, load: bool) -> int:
    """From the corpus to cuts on disk by lhotse's recipe; with `load`, each is read as training would."""
    from lhotse import CutSet
    from lhotse.recipes import prepare_tedlium

    out.mkdir(parents=True)
    number = 0
    for split, manifests in prepare_tedlium(corpus, output_dir=out, normalize_text="kaldi").items():
        cuts = CutSet.from_manifests(**manifests).trim_to_supervisions(keep_overlapping=False, keep_all_channels=False)
        cuts.to_file(out / f"cuts_{split}.jsonl.gz")
        for cut in CutSet.from_file(out / f"cuts_{split}.jsonl.gz"):
            if load:
                cut.load_audio()
            number += 1
    return number


def join_talks(corpus: Path, folder: Path, count: int) -> Path:
    """The same corpus with talks of `count` of its own, so that they last as long as true ones."""
    for split in SPLITS:
        place = corpus / "legacy" / split
        for kind in ("sph", "stm"):
            (folder / "legacy" / split / kind).mkdir(parents=True)
        talks = sorted((place / "stm").glob("*.stm"))
        for start in range(0, len(talks), count):
            waves, lines, offset = [], [], 0.0
            name = talks[start].stem
            for talk in talks[start : start + count]:
                wave, _ = soundfile.read(place / "sph" / f"{talk.stem}.sph", dtype="int16")
                for segment in read_stm(talk)[0]:
                    label = f"<{','.join(segment.label)}>"
                    times = f"{segment.start + offset:.2f} {segment.end + offset:.2f}"
                    lines.append(f"{name} 1 {segment.speaker} {times} {label} {segment.text}\n")
                waves.append(wave)
                offset += len(wave) / SAMPLE_RATE
            target = folder / "legacy" / split
            soundfile.write(
                target / "sph" / f"{name}.sph", np.concatenate(waves), SAMPLE_RATE, format="NIST", subtype="PCM_16"
            )
            (target / "stm" / f"{name}.stm").write_text("".join(lines), encoding="utf-8")
    shutil.copy(corpus / MINIATURE, folder / MINIATURE)  # not to be held against the published counts
    return folder


def timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
