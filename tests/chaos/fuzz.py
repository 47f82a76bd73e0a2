"""`make fuzz N=10000`: damaged files of every kind through the commands that read them, each in a process of its own.

A command may answer a damaged file in two ways: with the right result, or with one clear refusal (2, 3, 4 or 75). What
is counted as a fault: a traceback or exit 1, a death by a signal, no end within the time limit, and a file cut off in a format
that states its length which passes with exit 0. Input K of a seed is always the same, so `--only K` runs one again.
"""

import argparse
import collections
import contextlib
import gc
import json
import os
import queue
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from specimens import GO_ON, PIPE, Specimen, make_specimens, specimens

IMPORTED = (
    *(
        "lhotse",
        "soundfile",
        "soxr",
        "torch",
        "torchaudio",
        "safetensors.torch",
        "transformers",
        "flashlight.lib.text.decoder",
    ),
    *(
        "sewcli.cli.app",
        "sewcli.decoding.pipeline",
        "sewcli.models.folder",
        "sewcli.training.pretrain",
        "sewcli.training.finetune",
    ),
    *(
        "sewcli.data.check",
        "sewcli.scoring.score",
        "sewcli.lm.build",
        "sewcli.alignment.alignment",
        "sewcli.runtimes.export",
    ),
)
ANSWERS = {0, 2, 3, 4, 75}
MEMORY = 6 << 30  # bytes of address space that a command may ask for beyond what its parent has
FAULTS = ("traceback", "crash", "hang", "accepted")


@dataclass(frozen=True)
class Outcome:
    """What one damaged file did."""

    number: int
    kind: str
    damage: str
    command: str
    code: int
    seconds: float
    fault: str
    said: str


def run_one(base: Path, number: int, seed: int, limit: float, keep: Path | None) -> Outcome:
    """Damage one file and run one command on it."""
    draw = random.Random(f"{seed}-{number}")
    kinds = specimens(base)
    one = draw.choices(kinds, [kind.weight for kind in kinds])[0]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        here = Path(place)
        path, folder = _copy(base, one, here)
        content, damage = one.damage((base / one.file).read_bytes(), draw)
        path.write_bytes(content)
        template = draw.choice(one.commands)
        command = template.format(file=path, folder=folder, base=base, out=here / "out")
        began = time.monotonic()
        code, said = _in_a_fork(command, path, here, limit)
        seconds = time.monotonic() - began
        fault = _fault(code, said, one, damage)
        if fault and keep:
            shutil.copytree(here, keep / str(number), symlinks=True, dirs_exist_ok=True)
    return Outcome(number, one.kind, damage, template, code, round(seconds, 2), fault, said[-3000:] if fault else "")


def _copy(base: Path, one: Specimen, here: Path) -> tuple[Path, Path]:
    """A place for the damaged file, beside links to the other files of its folder."""
    source = base / one.file
    if not one.whole:
        return here / source.name, here
    folder = here / Path(one.whole).name
    shutil.copytree(base / one.whole, folder)
    return folder / source.relative_to(base / one.whole), folder


def _fault(code: int, said: str, one: Specimen, damage: str) -> str:
    if code == -signal.SIGALRM:
        return "hang"
    if code < 0:
        return "crash"
    if code not in ANSWERS or "Traceback" in said:
        return "traceback"
    return "accepted" if code == 0 and damage == "cut" and one.states_length else ""


def _in_a_fork(command: str, path: Path, here: Path, limit: float) -> tuple[int, str]:
    words, _, piped = command.partition(PIPE)
    log = here / "said"
    child = os.fork()
    if child == 0:
        _become(shlex.split(words + (piped if piped else "")), path if piped else None, log, limit)
    deadline = time.monotonic() + limit
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGALRM, log.read_text(errors="replace")
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace")


def _become(words: list[str], piped: Path | None, log: Path, limit: float) -> None:
    from sewcli.cli import app

    os.setpgid(0, 0)
    said = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if piped:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            with open(writer, "wb") as pipe:
                try:
                    pipe.write(piped.read_bytes())
                except BrokenPipeError:
                    pass
                finally:
                    os._exit(0)
        os.close(writer)
        os.dup2(reader, 0)
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    os.chdir(log.parent)
    sys.argv = ["sew", *words]
    code = 0
    try:
        app.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(base: Path, numbers: Iterator[int], seed: int, limit: float, keep: Path | None) -> None:
    """One outcome a line on stdout, for a share of the inputs."""
    import importlib

    for name in IMPORTED:
        importlib.import_module(name)
    _warm_up(base)
    for number in numbers:
        print(json.dumps(asdict(run_one(base, number, seed, limit, keep))), flush=True)


def _warm_up(base: Path) -> None:
    """Run whole files once in this process, so that its forks find everything imported and compiled."""
    import typer.main

    from sewcli.cli import app

    command = typer.main.get_command(app.app)
    app.app = command  # made once, not in each fork
    here, said = Path.cwd(), [os.dup(1), os.dup(2)]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        os.chdir(place)
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        model, data = base / "exp/m/model", base / "data"
        shutil.copytree(base / "run", Path(place) / "run")
        for words in (
            f"transcribe {base}/sounds/WAV-PCM_16.wav --model {model}",
            f"decode --model {model} --data {data} --split dev-clean --lm 3gram --beam 5 --jobs 0 --out {place}/d",
            f"check {data} --split dev-clean --sample 1 --out {place}/c",
            f"report {base}/results --json",
            f"align {model} {data} --split dev-clean --out {place}/a",
            f"lm score {base}/lm/neural {base}/text.txt --device cpu",
            f"models {model}",
            GO_ON.format(base=base, folder=f"{place}/run"),
        ):
            sys.argv = ["sew", *words.split()]
            with contextlib.suppress(SystemExit):
                app.main()
        sys.stdout.flush()
        for number, kept in zip((1, 2), said, strict=True):
            os.dup2(kept, number)
        os.chdir(here)
    gc.collect()
    gc.freeze()


def fuzz(
    inputs: list[int],
    seed: int,
    *,
    jobs: int,
    limit: float,
    base: Path,
    keep: Path | None = None,
    out: Path | None = None,
) -> list[Outcome]:
    """Run these inputs in `jobs` processes.

    Args:
        inputs: the numbers of the inputs.
        seed: of all of them.
        jobs: processes.
        limit: seconds that a command may take.
        base: the specimens' folder; made where it is not there.
        keep: gets a folder an input that found a fault.
        out: gets an outcome a line as JSON, as soon as it is known.
    """
    if not (base / "finetune.yaml").exists():
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(parents=True)
        make_specimens(base)
    command = [sys.executable, __file__, "--serve", str(base), "--seed", str(seed), "--limit", str(limit)]
    command += ["--keep", str(keep)] if keep else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    shares = [inputs[job::jobs] for job in range(jobs)]
    workers = []
    for share in filter(None, shares):
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert worker.stdin
        worker.stdin.write("\n".join(map(str, share)))
        worker.stdin.close()
        workers.append(worker)
    outcomes: list[Outcome] = []
    began = time.monotonic()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(worker: subprocess.Popen[str]) -> None:
        assert worker.stdout
        for line in worker.stdout:
            lines.put(line)
        lines.put(None)

    for worker in workers:
        threading.Thread(target=read, args=(worker,), daemon=True).start()
    running = len(workers)
    while running:
        line = lines.get()
        if line is None:
            running -= 1
            continue
        outcomes.append(Outcome(**json.loads(line)))
        if out:
            with out.open("a") as log:
                log.write(line)
        if len(outcomes) % 500 == 0:
            left = (len(inputs) - len(outcomes)) * (time.monotonic() - began) / len(outcomes)
            print(f"{len(outcomes)} of {len(inputs)}, about {left:.0f} s left", file=sys.stderr, flush=True)
    assert not any(worker.wait() for worker in workers), "a process that runs the inputs died"
    return sorted(outcomes, key=lambda outcome: outcome.number)


def table(outcomes: list[Outcome]) -> str:
    """Counts by kind of file."""
    rows = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        for kind in (outcome.kind, "all"):
            rows[kind]["inputs"] += 1
            rows[kind]["refused"] += outcome.code != 0
            rows[kind][outcome.fault or "right"] += 1
    columns = ("inputs", "refused", *FAULTS)
    lines = [f"{'kind of file':28}" + "".join(f"{column:>11}" for column in columns)]
    for kind in (*sorted(set(rows) - {"all"}), "all"):
        lines.append(f"{kind:28}" + "".join(f"{rows[kind][column]:>11}" for column in columns))
    return "\n".join(lines)


def main() -> None:
    """The command line of `make fuzz`."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--inputs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", type=int, nargs="*", help="numbers of inputs to run again")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--limit", type=float, default=60.0, help="seconds that a command may take")
    options.add_argument("--base", type=Path, default=Path(tempfile.gettempdir()) / f"sew-fuzz-{os.getuid()}")
    options.add_argument("--keep", type=Path, help="gets the files of each fault")
    options.add_argument("--out", type=Path, help="gets an outcome a line as JSON")
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve, map(int, sys.stdin), chosen.seed, chosen.limit, chosen.keep)
        return
    numbers = chosen.only or list(range(chosen.inputs))
    if chosen.out:
        chosen.out.unlink(missing_ok=True)
    places = {"base": chosen.base, "keep": chosen.keep, "out": chosen.out}
    outcomes = fuzz(numbers, chosen.seed, jobs=chosen.jobs, limit=chosen.limit, **places)
    faults = [outcome for outcome in outcomes if outcome.fault]
    for outcome in faults:
        last = (outcome.said.strip().splitlines() or [""])[-1]
        print(
            f"{outcome.fault}: input {outcome.number}, {outcome.kind} ({outcome.damage}): sew {outcome.command}\n    {last}"
        )
    print(table(outcomes))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
