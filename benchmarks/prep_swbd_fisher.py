"""How many hours of telephone calls are prepared in a minute of one core? `sew prep swbd_fisher` beside lhotse's own recipes.

    python benchmarks/prep_swbd_fisher.py

The corpus is synthetic: calls of the miniature repeated to 5 minutes, in Switchboard's and Fisher's folders, u-law, and
the same once more with every call compressed by shorten. Both programs are measured twice: manifests alone (of calls that
`sew` has converted before; lhotse's recipes read headers only), and with what is needed to train at 16 kHz: every call
decoded, resampled, each side written as FLAC. lhotse reads plain u-law through libsndfile (LHOTSE_AUDIO_BACKEND); shorten
it cannot read without NIST's sph2pipe. Each program runs in a process of its own, in turn, on one core and without a
pool; the seconds are of the processor, without imports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from machine import circumstances

from sewcli.base.files import write_json
from sewcli.corpora.miniatures.calls import LINE, Call, Recording, Turn, record
from sewcli.corpora.miniatures.casting import cast
from sewcli.corpora.miniatures.fisher import write_fisher
from sewcli.corpora.miniatures.sentences import sentences
from sewcli.corpora.miniatures.switchboard import write_switchboard

ROUNDS = 3
CALLS = 8  # of each corpus
MINUTES = 5  # of each call
PROGRAMS = ("sew, 16 kHz audio", "sew, manifests", "lhotse, manifests", "lhotse, 16 kHz audio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prep_swbd_fisher.json"))
    parser.add_argument("--program", choices=PROGRAMS, help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program:
        program = run_sew if given.program.startswith("sew") else run_lhotse(given.program)
        print(timed(program, given.corpus, given.work))
        return
    with tempfile.TemporaryDirectory() as place:
        rows = measure(Path(place))
    write_json(
        given.out,
        {
            **circumstances(
                ("lhotse", "soundfile", "soxr", "desphere", "numpy"),
                command="python benchmarks/prep_swbd_fisher.py",
                about="1 core for each program, other work beside it",
                python=False,
            ),
            "hours": hours(),
            "rounds": ROUNDS,
            "results": rows,
        },
    )
    for row in rows:
        print(json.dumps(row))


def hours() -> float:
    """Of calls; each has two sides."""
    return 2 * CALLS * MINUTES / 60


def measure(place: Path) -> list[dict]:
    corpora = {"u-law": place / "ulaw", "shorten": place / "shorten"}
    for coding, corpus in corpora.items():
        build(corpus, shortened=coding == "shorten")
    seconds: dict[tuple[str, str], list[float]] = {}
    for index in range(ROUNDS):
        for coding, corpus in corpora.items():
            for program in PROGRAMS:
                if coding == "shorten" and program.startswith("lhotse"):
                    continue
                work = place / f"{coding}-{'sew' if program.startswith('sew') else program}-{index}"
                seconds.setdefault((coding, program), []).append(alone(program, corpus, work))
    rows = []
    for (coding, program), runs in seconds.items():
        rate = round(hours() / (median(runs) / 60), 1)
        rows.append(
            {
                "coding": coding,
                "program": program,
                "hours_per_minute_and_core": rate,
                "cpu_seconds": [round(run, 2) for run in runs],
            }
        )
    return rows


def build(corpus: Path, *, shortened: bool) -> None:
    """Switchboard and Fisher of a few calls, with their transcripts."""
    speakers = cast(1, 4)
    calls = []
    for name, pair in (("sw02001", speakers[:2]), ("fe_03_00001", speakers[2:])):
        lines = [sentences("train", 1, speaker.number) for speaker in pair]
        turns = (next(lines[i % 2]).lower() for i in range(40))
        calls.append(Call(name, (pair[0], pair[1]), tuple(Turn(i % 2, text, text) for i, text in enumerate(turns))))
    first, second = (longer(made) for made in record(calls, 1, 1))
    write_switchboard(corpus, [renamed(first, f"sw0{2001 + i}") for i in range(CALLS)])
    write_fisher(corpus, [renamed(second, f"fe_03_{1 + i:05d}") for i in range(CALLS // 2)])
    write_fisher(corpus / "2", [renamed(second, f"fe_03_{5851 + i:05d}") for i in range(CALLS - CALLS // 2)])
    for part in (corpus / "2").iterdir():
        part.rename(corpus / part.name)
    (corpus / "2").rmdir()
    recode(corpus, shortened=shortened)


def longer(made: Recording) -> Recording:
    """The same call again and again."""
    count = -(-MINUTES * 60 * LINE // len(made.wave))
    wave = np.concatenate([made.wave] * count)[: MINUTES * 60 * LINE]
    return Recording(made.call, wave, made.times)


def renamed(made: Recording, name: str) -> Recording:
    return Recording(Call(name, made.call.speakers, made.call.turns), made.wave, made.times)


def recode(corpus: Path, *, shortened: bool) -> None:
    """All calls in one coding, which the miniature mixes."""
    from sewcli.audio.io import read_channels
    from sewcli.corpora.miniatures.calls import write_sphere

    cache: dict[str, bytes] = {}
    for path in sorted(corpus.rglob("*.sph")):
        kind = path.name[:2]
        if kind not in cache:
            waves, _ = read_channels(path)
            wave = np.rint(np.stack(list(waves), axis=1) * 32768).astype(np.int16)
            write_sphere(path, wave, "shorten" if shortened else "ulaw")
            cache[kind] = path.read_bytes()
        path.write_bytes(cache[kind])


def alone(program: str, corpus: Path, work: Path) -> float:
    """The seconds of a program in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LHOTSE_AUDIO_BACKEND": "LibsndfileBackend"}
    command = [sys.executable, __file__, "--program", program, "--corpus", str(corpus), "--work", str(work)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def timed(program: Callable[[Path, Path], None], corpus: Path, work: Path) -> float:
    import lhotse  # noqa: F401 (its import takes seconds, and both programs need it)
    import soxr  # noqa: F401

    before = processor_seconds()
    program(corpus, work)
    return processor_seconds() - before


def processor_seconds() -> float:
    """Of this process and the children it has waited for (lhotse counts recordings in some)."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run_sew(corpus: Path, work: Path) -> None:
    from sewcli.corpora import audio_jobs as sounds
    from sewcli.corpora.preparation import prepare
    from sewcli.corpora.swbd_fisher import find_corpus, find_splits

    sounds.in_processes = lambda convert, files, _jobs: map(convert, files)  # a pool's seconds would not be counted
    (work / "prep.json").unlink(missing_ok=True)  # what was converted stays in the ledger
    prepare(work, "swbd_fisher", find_splits(find_corpus(corpus), None), jobs=1)


def run_lhotse(program: str) -> Callable[[Path, Path], None]:
    def run(corpus: Path, work: Path) -> None:
        from lhotse import CutSet
        from lhotse.audio.backend import save_audio
        from lhotse.recipes import prepare_fisher_english, prepare_switchboard

        fisher = {
            "audio_dirs": ["LDC2004S13", "LDC2005S13"],
            "transcript_dirs": ["LDC2004T19/fe_03_p1_tran", "LDC2005T19/fe_03_p2_tran"],
        }
        texts = corpus / "swb_ms98_transcriptions"
        both = {
            "swbd": prepare_switchboard(corpus / "LDC97S62", texts, output_dir=work, absolute_paths=True),
            "fisher": prepare_fisher_english(corpus, work, **fisher, absolute_paths=True),
        }
        for name, manifests in both.items():
            cuts = CutSet.from_manifests(**manifests).trim_to_supervisions(
                keep_overlapping=False, keep_all_channels=False
            )
            cuts.to_file(work / f"cuts_{name}.jsonl.gz")
            if program.endswith("audio"):
                for recording in manifests["recordings"]:
                    for side, wave in zip("AB", recording.resample(16000).load_audio(), strict=True):
                        save_audio(work / f"{recording.id}-{side}.flac", wave[None], 16000, format="flac")

    return run


if __name__ == "__main__":
    main()
