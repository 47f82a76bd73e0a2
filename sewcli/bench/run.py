"""`sew bench`: several models in turn, each in a process of its own, so that what slows the machine slows all of them.

A row a model, runtime and precision: mean and deviation of the trials, ratios, use of the machine, memory, error rate.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from sewcli.base import log
from sewcli.base.errors import SewError
from sewcli.bench.energy import Counters, Country, account
from sewcli.bench.speech import Speech
from sewcli.bench.subject import BASE, PAPER_PRECISION, Subject, known_wer, paper_seconds
from sewcli.bench.worker import END, PREPARE, TRIAL, Task, serve
from sewcli.scoring.agreement import compared
from sewcli.scoring.wer import word_errors

STOPPING = 10.0  # seconds that a process gets to end by itself


@dataclass(frozen=True)
class Plan:
    """A whole run. energy: the country whose electricity it is, and what counts; None: not asked for, or not to be had."""

    subjects: Sequence[Subject]
    speech: Speech
    device: torch.device
    trials: int
    lm: str | None = None
    data: Path = Path()
    energy: tuple[Country, Counters] | None = None


def measure(plan: Plan) -> list[dict[str, Any]]:
    """Rows in the order of the subjects.

    Raises:
        SewError: a model cannot be loaded or run.
    """
    with ExitStack() as stack:
        workers = []
        facts = []
        steps = len(plan.subjects) * (plan.trials + 1)
        meter = stack.enter_context(log.progress("bench", steps))
        for subject in plan.subjects:
            task = Task(subject, plan.speech, plan.device, plan.lm, plan.data)
            workers.append(stack.enter_context(_worker(task)))
            facts.append(workers[-1].ask(PREPARE))
            meter.advance(note=f"{subject.model}: loaded")
        trials: list[list[dict[str, Any]]] = [[] for _ in workers]
        for number in range(plan.trials):
            for subject, worker, done in zip(plan.subjects, workers, trials, strict=True):
                before = plan.energy[1].read() if plan.energy else {}
                answer = worker.ask(TRIAL)
                answer["joules"] = plan.energy[1].since(before) if plan.energy else None
                done.append(answer)
                meter.advance(note=f"{subject.model}: {answer['seconds']:.2f} s, trial {number + 1}")
    rows = [_row(plan, *each) for each in zip(plan.subjects, facts, trials, strict=True)]
    return [_beside(row, rows) for row in rows]


class Worker:
    """The parent's end of a process that measures."""

    def __init__(self, connection: Connection, process: Any, name: str) -> None:
        self._connection, self._process, self._name = connection, process, name

    def ask(self, what: str) -> dict[str, Any]:
        """Its answer.

        Raises:
            SewError: what it could not do, or that it was killed.
        """
        with suppress(OSError):  # it may have answered with an error, and ended, before it was asked
            self._connection.send(what)
        try:
            answer: dict[str, Any] | SewError = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(STOPPING)
            raise SewError(
                "worker-killed",
                f"the process that measured this model ended (exit code {self._process.exitcode}; out of memory?)",
                where=self._name,
                hint="a smaller --share, or fewer models at a time",
            ) from None
        if isinstance(answer, SewError):
            raise answer
        return answer


@contextmanager
def _worker(task: Task) -> Iterator[Worker]:
    context = multiprocessing.get_context("spawn")  # nothing of this process's memory is in its high-water mark
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, task), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Worker(ours, process, task.subject.model)
    finally:
        with suppress(OSError):  # it has ended already
            ours.send(END)
        process.join(STOPPING)
        if process.is_alive():
            process.terminate()
            process.join()


def _row(plan: Plan, subject: Subject, facts: dict[str, Any], trials: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [trial["seconds"] for trial in trials]
    mean = statistics.mean(seconds)
    peak, speed = facts["peak_gflop_a_second"], facts["gflop"] / mean
    row = {
        "model": subject.model,
        **facts,
        "random_weights": subject.random,
        "seconds": [round(each, 4) for each in seconds],
        "mean": mean,
        "deviation": statistics.stdev(seconds) if len(seconds) > 1 else None,
        "cpu_seconds": statistics.mean(trial["cpu_seconds"] for trial in trials),
        "audio_seconds": plan.speech.seconds,
        "audio_seconds_a_second": plan.speech.seconds / mean,
        "gflop_a_second": speed,
        "mfu": speed / peak if peak else None,
        "memory_mb": max(trial["memory_mb"] for trial in trials),
        "lm": plan.lm,
        "lm_cpu_seconds": statistics.mean(trial["lm_seconds"] for trial in trials) if plan.lm else None,
        "paper_seconds": paper_seconds(facts["config"]),
        **_rates(plan, subject, trials[0]),
    }
    if plan.energy:
        joules = statistics.mean(trial["joules"] for trial in trials)
        row["energy"] = account(joules, plan.speech.seconds, plan.energy[0], plan.energy[1].names)
    return row


def _rates(plan: Plan, subject: Subject, trial: dict[str, Any]) -> dict[str, Any]:
    """Of what was recognised here, else of what stands beside the model."""
    references = plan.speech.references
    if subject.random or references is None:
        return {"wer": None, "wer_of": None, "wer_lm": None} | (
            {} if subject.random else known_wer(subject.folder) or {}
        )
    return {
        "wer": _wer(references, trial["texts"]),
        "wer_of": plan.speech.split,
        "wer_lm": _wer(references, trial["lm_texts"]) if plan.lm else None,
    }


def _wer(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    texts = compared(references, hypotheses)
    return word_errors(texts.references, texts.hypotheses).wer


def _beside(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A row with its ratios: to W2V2-base of the same runtime and precision, or else to the first row.

    The paper's own ratio stands beside it where both models have a time there and ran here in fp32, as in the paper.
    """
    alike = [r for r in rows if (r["runtime"], r["precision"]) == (row["runtime"], row["precision"])]
    base = next((r for r in alike if r["config"] == BASE), rows[0])
    printed = row["paper_seconds"] and base["paper_seconds"]
    comparable = printed and row["precision"] == base["precision"] == PAPER_PRECISION
    return row | {
        "ratio": row["mean"] / base["mean"],
        "ratio_to": base["model"],
        "paper_ratio": row["paper_seconds"] / base["paper_seconds"] if comparable else None,
    }
