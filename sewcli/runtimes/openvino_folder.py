"""Folders of OpenVINO graphs, which `--model` takes as it takes weights, and a cache of those that were made of weights.

A folder holds `model.xml` and `model.bin` (the graph of `portable`), `config.json` and `vocab.json` as a Hugging Face folder
has them, and `graph.json`: the form of the numbers and a digest of each file. The cache is $XDG_CACHE_HOME/sew/graphs (else
~/.cache/sew/graphs), a folder for each model, named after all that its graph depends on; those used longest ago go.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from sewcli.artifacts.digest import digest, file_marks, model_marks
from sewcli.base import log
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import TEMPORARY, atomic_folder, os_errors_as_usage_errors, read_json, sha256, write_json
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import CONFIG, HEADS, load_ctc, read_config
from sewcli.models.hugging_face import to_hugging_face
from sewcli.runtimes.onnx_graph import compare, needed, write_onnx
from sewcli.text.tokens import Vocabulary

XML, WEIGHTS, FACTS = "model.xml", "model.bin", "graph.json"
KEPT = 8  # graphs in the cache
MADE_BY = (Path(__file__).parent, Path(__file__).parents[1] / "nn")  # code that a graph depends on


@dataclass(frozen=True)
class Graph:
    """A graph on disk. `numbers`: fp32 or int8; `facts`: all of `graph.json`."""

    folder: Path
    config: ModelConfig
    vocabulary: Vocabulary
    numbers: str
    facts: Mapping[str, Any]


def is_graph(model: Path) -> bool:
    """Whether a model is a folder of a graph, not of weights."""
    return (model / XML).is_file()


def save_openvino(model: CTCModel, vocabulary: Vocabulary, folder: Path) -> float:
    """Write the graph of a model, once OpenVINO gives the model's own logits by it.

    Returns:
        The largest difference of logits, relative to the largest logit.

    Raises:
        UsageError: the extra `export` is not installed, the model has no graph form, or the logits differ.
    """
    openvino = needed("openvino")
    with atomic_folder(folder) as temporary:
        onnx = temporary / "model.onnx"
        write_onnx(model, vocabulary, onnx)
        core = openvino.Core()
        openvino.save_model(core.read_model(onnx), temporary / XML, compress_to_fp16=False)
        onnx.unlink()
        compiled = core.compile_model(temporary / XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

        def run(waves: Tensor, lengths: Tensor) -> list[Any]:
            result = compiled({"waves": waves.numpy(), "lengths": lengths.numpy()})
            return [result[name] for name in ("logits", "frames")]

        apart = compare(model, run, "OpenVINO")
        complete_graph(temporary, model.config, vocabulary, "fp32", {"largest_difference": apart})
    return apart


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
    return Graph(folder, read_config(folder), Vocabulary.load(folder), str(facts["numbers"]), facts)


def graph_of(weights: Path) -> Graph:
    """The graph of a model: its own, or one made of its weights, from the cache when it was made before.

    Args:
        weights: a recogniser's folder or file.

    Raises:
        UsageError: the extra `export` is missing, the model has no graph form, or the cache cannot be written.
        DataError: the model is broken.
    """
    if is_graph(weights):
        return open_graph(weights)
    for package in ("openvino", "onnx", "onnxscript"):
        needed(package)
    folder = cache_folder() / _key(weights)
    if (folder / FACTS).is_file():
        try:
            found = open_graph(folder)
        except DataError as error:
            log.warn(f"{error.where}: {error.what}; the graph is made again")
        else:
            os.utime(folder)
            return found
    _require_writable(folder.parent)
    log.info(f"{weights}: making its OpenVINO graph, once; it is kept in {folder.parent}")
    model, vocabulary = load_ctc(weights)
    save_openvino(model, vocabulary, folder)
    _forget_the_oldest(folder.parent)
    return open_graph(folder)


def cache_folder() -> Path:
    """Where graphs are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sew" / "graphs"


def _key(weights: Path) -> str:
    """A digest of the model's files, of the code that makes graphs of them, and of the libraries that it does so by."""
    code = file_marks(sorted(path for folder in MADE_BY for path in folder.glob("*.py")))
    libraries = [f"{name} {version(name)}" for name in ("openvino", "onnx", "onnxscript", "torch")]
    return digest(*model_marks(weights), *code, *libraries)[:32]


def _require_writable(cache: Path) -> None:
    try:
        with os_errors_as_usage_errors(cache):
            cache.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=cache).close()
    except UsageError as error:
        raise UsageError(
            error.code,
            error.what,
            where=cache,
            hint="set XDG_CACHE_HOME to a folder you may write to; or: sew export MODEL OUT -f openvino, and --model OUT",
        ) from None


def _forget_the_oldest(cache: Path) -> None:
    """Keep so many graphs; whoever has one open goes on with it."""
    folders = [path for path in cache.iterdir() if not path.name.startswith(TEMPORARY)]
    for folder in sorted(folders, key=lambda path: -path.stat().st_mtime)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
