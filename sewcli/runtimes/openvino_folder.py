"""OpenVINO graphs of recognisers: folders, which `--model` takes as it takes weights, and graphs made of weights.

A folder holds `model.xml` and `model.bin`, `config.json` and `vocab.json` as a Hugging Face folder has them, and `graph.json`:
the form of the numbers and a digest of each file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewcli.base.errors import DataError
from sewcli.base.files import read_json, sha256, write_json
from sewcli.models.config import ModelConfig
from sewcli.models.hugging_face import to_hugging_face
from sewcli.models.opening import CONFIG, HEADS, open_source, read_config, read_weights, symbols_of
from sewcli.models.shapes import ctc_shapes
from sewcli.models.source import Source
from sewcli.runtimes.graph_form import needed, openvino_core
from sewcli.text.tokens import Vocabulary

XML, WEIGHTS, FACTS = "model.xml", "model.bin", "graph.json"


@dataclass(frozen=True)
class Graph:
    """A graph. `numbers`: fp32 or int8; `facts`: all of `graph.json`; `network`: makes the `openvino.Model`."""

    folder: Path
    config: ModelConfig
    vocabulary: Vocabulary
    numbers: str
    facts: Mapping[str, Any]
    network: Callable[[], Any]


def is_graph(model: Path) -> bool:
    """Whether a model is a folder of a graph, not of weights."""
    return (model / XML).is_file()


def complete_graph(
    folder: Path, config: ModelConfig, vocabulary: Vocabulary, numbers: str, facts: Mapping[str, Any]
) -> None:
    """Write what makes a model folder of `model.xml` and `model.bin`.

    Args:
        folder: where they are.
        config: of the model that the graph computes.
        vocabulary: its symbols.
        numbers: fp32, or int8 where products are of eight bits.
        facts: what else `graph.json` shall say.
    """
    write_json(folder / CONFIG, to_hugging_face(config, HEADS["ctc"], vocabulary))
    vocabulary.save(folder)
    digests = {name: sha256(folder / name) for name in (XML, WEIGHTS)}
    write_json(folder / FACTS, {"numbers": numbers, "sha256": digests, **facts})


def open_graph(folder: Path) -> Graph:
    """Read what a folder says of its graph, and hold the graph's files against their digests.

    Raises:
        DataError: a file is missing, broken, or not the one that was written.
    """
    facts = read_json(folder / FACTS)
    digests = facts.get("sha256") if isinstance(facts, dict) else None
    if not isinstance(digests, dict) or facts.get("numbers") not in ("fp32", "int8"):
        raise DataError(
            "not-a-graph-folder",
            "not what `sew export` or `sew quantize` writes",
            where=folder / FACTS,
            hint="export it again",
        )
    for name in (XML, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(
                "file-not-found", "no such file", where=folder / name, hint="export or copy the model again"
            )
        if sha256(folder / name) != digests.get(name):
            raise DataError(
                "graph-changed",
                "not the file that was written",
                where=folder / name,
                hint="export or copy the model again",
            )

    def network() -> Any:
        return openvino_core().read_model(folder / XML)

    return Graph(folder, read_config(folder), symbols_of(folder), str(facts["numbers"]), facts, network)


def graph_of(weights: Path) -> Graph:
    """The graph of a model: its own, or one that is built of its config and weights when it is needed.

    Args:
        weights: a recogniser's folder or file.

    Raises:
        UsageError: no such model, or not a recogniser.
        DataError: the model is broken.
    """
    return open_graph(weights) if is_graph(weights) else graph_of_source(open_source(weights, expect="ctc"))


def graph_of_source(source: Source) -> Graph:
    """As `graph_of`, of a model that is open already.

    Building it takes less time than the digests would that could tell whether one on disk is still that of the model.
    """
    assert source.vocabulary is not None
    config, vocabulary = source.config, source.vocabulary

    def network() -> Any:
        needed("openvino")
        from sewcli.runtimes.openvino_graph import build  # which imports the package

        return build(config, read_weights(source, config, ctc_shapes(config, len(vocabulary))))

    return Graph(source.where, config, vocabulary, "fp32", {}, network)
