"""The other end of `worker.py`: answers requests on its standard input, in an interpreter where k2 is.

A request is a line of JSON and then the float32 log-probabilities that it announces; the answer is a line of JSON.
Run as a file, beside `graph.py`; it knows nothing of the package and runs on Python 3.9.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
from typing import Any, BinaryIO

import torch

GREETING = "ready"


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    torch.set_num_threads(1)
    graph = importlib.import_module("graph")
    print(json.dumps(GREETING), file=answers, flush=True)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        log_probs = _read(sys.stdin.buffer, *request.pop("shape"))
        try:
            answer: dict[str, Any] = {"found": answer_to(graph, request, log_probs)}
        except Exception as error:  # the asking process shall tell it, in one line of what may be a whole C++ trace
            said = str(error).strip().splitlines()[:1] or ["without a word"]
            answer = {"error": f"{type(error).__name__}: {said[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


def answer_to(graph: Any, request: dict[str, Any], log_probs: torch.Tensor) -> dict[str, Any] | None:
    """Do what is asked; `graph` is the module of that name."""
    if request["task"] == "align":
        found: dict[str, Any] | None = graph.align(log_probs, request["labels"], request["topology"])
        return found
    highest = log_probs.shape[1] - 1
    words = _decoding_graph(graph, json.dumps([request["lexicon"], request["grammar"]]), highest, request["topology"])
    spoken: dict[str, Any] | None = graph.decode(log_probs, words)
    return spoken


@functools.lru_cache(maxsize=1)
def _decoding_graph(graph: Any, task: str, highest: int, kind: str) -> Any:
    """The graph of the task before is kept: one task has many utterances."""
    lexicon, grammar = json.loads(task)
    return graph.decoding_graph(
        graph.lexicon_graph(lexicon["entries"], lexicon["boundary"]),
        graph.grammar_graph(grammar["arcs"], grammar["finals"]),
        highest,
        kind,
    )


def _read(stream: BinaryIO, frames: int, symbols: int) -> torch.Tensor:
    content = bytearray(stream.read(4 * frames * symbols))
    if not content:
        return torch.zeros(frames, symbols)
    return torch.frombuffer(content, dtype=torch.float32).view(frames, symbols)


if __name__ == "__main__":
    main()
