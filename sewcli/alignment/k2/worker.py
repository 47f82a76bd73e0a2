"""k2 from here: in this process where `import k2` works, else in a second interpreter that has it.

k2's releases are each compiled for one Python and one torch, mostly not ours, so it is no dependency. The second interpreter
is `$SEW_K2_PYTHON`, or that of a folder `.k2` (`make setup-k2`) in the working directory or beside the package.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import torch

from sewcli.alignment.k2.serve import answer_to
from sewcli.base.errors import DataError, UsageError
from sewcli.decoding.viterbi import BestPath

VARIABLE = "SEW_K2_PYTHON"
FOLDER = ".k2"
CHECKOUT = Path(__file__).parents[3]
SERVE = Path(__file__).with_name("serve.py")

Topology = Literal["standard", "modified"]


@dataclass(frozen=True)
class Lexicon:
    """(number of a word from 1, ids of its symbols) for each spelling, and the id of the word boundary."""

    entries: Sequence[tuple[int, Sequence[int]]]
    boundary: int


@dataclass(frozen=True)
class Grammar:
    """Arcs (from state, to state, word, log-probability) from state 0 on, and (final state, log-probability)."""

    arcs: Sequence[tuple[int, int, int, float]]
    finals: Sequence[tuple[int, float]]


class K2:
    """k2, wherever it is; a context manager that ends the second interpreter.

    Raises:
        UsageError: there is no k2, or what is there does not work.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            importlib.import_module("k2")
        except (
            ImportError,
            OSError,
            RuntimeError,
        ):  # the registry offers releases that were compiled for another Python
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            self._python = find_python()
            self._start()
        else:
            self._graph = importlib.import_module("sewcli.alignment.k2.graph")

    def align(
        self, name: str, emission: np.ndarray, labels: Sequence[int], kind: Topology = "standard", *, blank: int = 0
    ) -> Aligned:
        """The best path of an emission (T, V) through the text `labels`, and the log-probability of all paths.

        k2's blank is 0: another one changes places with symbol 0 on its way there and back.

        Raises:
            DataError: there is no path: the text is too long.
            UsageError: k2 failed.
        """
        if not len(emission):
            if labels:
                raise DataError("alignment-too-short", "k2 finds no path: there are no frames", where=name)
            return Aligned(BestPath(np.zeros(0, dtype=np.int64), 0.0), 0.0)  # k2 takes no segment without frames
        exchanged = exchange(emission.shape[1], blank)
        request = {"task": "align", "labels": [int(exchanged[label]) for label in labels], "topology": kind}
        found = self._ask(request, emission[:, exchanged])
        if found is None:
            raise DataError(
                "transcript-too-long", "k2 finds no path: the transcript is too long for the frames", where=name
            )
        return Aligned(BestPath(exchanged[np.array(found["path"], dtype=np.int64)], found["score"]), found["total"])

    def decode(
        self, name: str, emission: np.ndarray, lexicon: Lexicon, grammar: Grammar, kind: Topology = "standard"
    ) -> tuple[list[int], float]:
        """The best words of an emission (T, V), T at least 1, that lexicon and grammar allow, and their score.

        Raises:
            DataError: no sentence of the grammar fits into the frames.
            UsageError: k2 failed.
        """
        task = {"task": "decode", "lexicon": asdict(lexicon), "grammar": asdict(grammar), "topology": kind}
        found = self._ask(task, emission)
        if found is None:
            raise DataError("alignment-too-short", "no sentence of the grammar fits into the frames", where=name)
        return found["words"], found["score"]

    def __enter__(self) -> K2:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._log.close()

    def _ask(self, request: dict[str, Any], emission: np.ndarray) -> dict[str, Any] | None:
        frames = np.ascontiguousarray(emission, dtype=np.float32)
        if self._process is None:
            return answer_to(self._graph, request, torch.from_numpy(frames))
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request | {"shape": frames.shape}).encode() + b"\n")
            self._process.stdin.write(frames.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        answer = self._answer()
        if "error" in answer:
            raise UsageError("k2-failed", f"k2 failed: {answer['error']}", where=self._python)
        found: dict[str, Any] | None = answer["found"]
        return found

    def _start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(
                [str(self._python), str(SERVE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment,
                start_new_session=True,  # Ctrl-C is ours to handle; it ends when its input does
            )
        except OSError as error:
            raise UsageError(
                "k2-failed", f"cannot be started ({error.strerror})", where=self._python, hint=_hint()
            ) from None
        self._answer()  # its greeting, once k2 is imported

    def _answer(self) -> Any:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died()
        return json.loads(line)

    def _died(self) -> UsageError:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["without a word"]
        return UsageError("k2-failed", f"k2's process ended: {said[0]}", where=self._python, hint=_hint())


@dataclass(frozen=True)
class Aligned:
    """The best path, and the log-probability of all paths."""

    best: BestPath
    total: float


def exchange(symbols: int, blank: int) -> np.ndarray:
    """For each id the one that it becomes when the blank and 0 change places; the same order leads back."""
    order = np.arange(symbols)
    order[[0, blank]] = blank, 0
    return order


def find_python() -> Path:
    """The interpreter that has k2.

    Raises:
        UsageError: none is named or made.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise UsageError("k2-not-found", f"${VARIABLE} names no interpreter", where=named, hint=_hint())
        return Path(named)
    for place in (Path.cwd(), CHECKOUT):
        if (python := place / FOLDER / "bin" / "python").is_file():
            return python.absolute()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise UsageError("k2-not-found", f"k2 is neither in this Python {version} nor in a second one", hint=_hint())


def _hint() -> str:
    return f"make setup-k2 makes {FOLDER}/; or set {VARIABLE} to a Python that can import k2"
