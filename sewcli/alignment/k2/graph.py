"""CTC graphs and their best paths with k2: a check of alignments, and recognition over a small lexicon and grammar.

Imports torch and k2 alone and runs on Python 3.9 too, where `worker.py` starts it when k2 is not in this interpreter.
Topologies as k2 has them: standard (equal neighbours need a blank between) and modified (they need none).
Shapes: T frames, V symbols; symbol 0 is the blank and k2's epsilon, as aux label it is "no word".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import k2
import torch
from torch import Tensor

EVERYTHING = 1e10  # beam of a lattice that holds every path
AXES = 3  # of a vector of graphs; a graph has two
FINAL = -1  # k2's label of the arc into the final state
TOPOLOGIES = ("standard", "modified")


def topology(highest: int, kind: str) -> Any:
    """Frames to symbols 0..highest, whatever the text; it has (highest + 1)^2 arcs, too many for word pieces."""
    return k2.ctc_topo(highest, modified=_is_modified(kind))


def text_graph(labels: Sequence[int], kind: str) -> Any:
    """Frames to one text."""
    return k2.ctc_graph([list(labels)], modified=_is_modified(kind))


def align(log_probs: Tensor, labels: Sequence[int], kind: str = "standard") -> dict[str, Any] | None:
    """The best path of log-probabilities (T, V) through a text; None when there is no path.

    Returns:
        `path` (T labels), its `score`, and `total`, the log-probability of all paths.
    """
    lattice = _lattice(text_graph(labels, kind), log_probs)
    best = k2.shortest_path(lattice, use_double_scores=True)
    score = best.get_tot_scores(True, False).item()
    if score == float("-inf"):  # k2 says no more of it than this and an empty graph
        return None
    return {"path": best.labels[:-1].tolist(), "score": score, "total": lattice.get_tot_scores(True, True).item()}


def lexicon_graph(entries: Sequence[tuple[int, Sequence[int]]], boundary: int) -> Any:
    """Symbols to words: spellings with one boundary between words, and perhaps one at the end.

    Args:
        entries: (number of the word from 1, its symbols); a word may have several spellings.
        boundary: the symbol between words.
    """
    before, after, fresh = 0, 1, 2
    arcs = [(after, before, boundary, 0, 0.0), (before, FINAL, FINAL, FINAL, 0.0), (after, FINAL, FINAL, FINAL, 0.0)]
    for word, spelling in entries:
        if word < 1 or not spelling:
            raise ValueError("words have numbers from 1, and at least one symbol")
        state = before
        for place, symbol in enumerate(spelling):
            last = place == len(spelling) - 1
            arcs.append((state, after if last else fresh, symbol, 0 if place else word, 0.0))
            state, fresh = fresh, fresh + (not last)
    return _graph(arcs, fresh, transducer=True)


def grammar_graph(arcs: Sequence[tuple[int, int, int, float]], finals: Sequence[tuple[int, float]]) -> Any:
    """Which words may follow each other, and at what log-probability.

    Args:
        arcs: (from state, to state, word, log-probability); states count from 0, where it begins.
        finals: (state where a sentence may end, log-probability).
    """
    final = 1 + max([state for arc in arcs for state in arc[:2]] + [state for state, _ in finals])
    listed = [(source, target, word, word, float(score)) for source, target, word, score in arcs]
    listed += [(state, FINAL, FINAL, FINAL, float(score)) for state, score in finals]
    return _graph(listed, final, transducer=False)


def decoding_graph(lexicon: Any, grammar: Any, highest: int, kind: str) -> Any:
    """Frames to the grammar's words. For small tasks: nothing is determinised."""
    words = k2.arc_sort(k2.connect(k2.compose(k2.arc_sort(lexicon), k2.arc_sort(grammar))))
    return k2.arc_sort(k2.connect(k2.compose(topology(highest, kind), words)))


def decode(log_probs: Tensor, graph: Any) -> dict[str, Any] | None:
    """The best `words` of log-probabilities (T, V) through a decoding graph, with their `score`; None without a path."""
    best = k2.shortest_path(_lattice(graph, log_probs), use_double_scores=True)
    score = best.get_tot_scores(True, False).item()
    if score == float("-inf"):
        return None
    return {"words": [word for word in best.aux_labels.tolist() if word > 0], "score": score}


def _lattice(graph: Any, log_probs: Tensor) -> Any:
    segments = torch.tensor([[0, 0, len(log_probs)]], dtype=torch.int32)  # k2 takes int32 on the CPU, and float32
    dense = k2.DenseFsaVec(log_probs.float()[None].contiguous(), segments)
    vector = graph if len(graph.shape) == AXES else k2.create_fsa_vec([graph])
    return k2.intersect_dense(vector, dense, EVERYTHING)


def _graph(arcs: Sequence[tuple[int, int, int, int, float]], final: int, *, transducer: bool) -> Any:
    """A graph of (from, to, label, aux label, score), where `to` of FINAL is the final state."""
    lines = []
    for source, target, label, aux, score in sorted(arcs):
        labels = f"{label} {aux}" if transducer else str(label)
        lines.append(f"{source} {final if target == FINAL else target} {labels} {score!r}")
    return k2.Fsa.from_str("\n".join([*lines, str(final)]), num_aux_labels=1 if transducer else 0)


def _is_modified(kind: str) -> bool:
    if kind not in TOPOLOGIES:
        raise ValueError(f"no topology {kind!r}: there are {', '.join(TOPOLOGIES)}")
    return kind == "modified"
