"""`sew quantize`: a recogniser's graph with products of eight bits, static: ranges come from some audio beforehand.

NNCF's post-training quantization for transformers: weights by output channel, activations by tensor, biases corrected.
Products of the context network (linear layers, position convolution, scores of the attention) are quantized. The wave
extractor is not, since nearly all of the damage came from there (docs/runtimes.md), nor are the last layer, norms, sums,
softmax and what softmax multiplies: in eight bits a share of less than 1/510 of the attention is none at all.
Weights keep seven bits: processors without VNNI add two products in 16 bits, which eight would overflow.
Shapes: S samples, T frames, V symbols.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sewcli.base import log
from sewcli.base.errors import DataError, SewError, UsageError
from sewcli.base.files import atomic_folder, require_new, write_text
from sewcli.base.rng import numpy_rng
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.data.utterances import check_rate, read_split, require_splits, splits
from sewcli.models.card import FAMILIES
from sewcli.models.opening import open_source
from sewcli.runtimes.graph_form import needed
from sewcli.runtimes.openvino_folder import WEIGHTS, XML, Graph, complete_graph, graph_of, is_graph, open_graph
from sewcli.runtimes.openvino_runtime import GraphModel

SHORTEST, LONGEST = 1.0, 24.0  # seconds of a clip; longer ones are cut there, as `sew transcribe` cuts its windows
HELD_OUT = 4  # clips that the finished graph is held against its fp32 form by
EXTRA = "quantize"
FP32, LARGE = "<Type: 'float32'>", 1 << 12  # bytes of a constant that is worth its own conversion
ELEMENTWISE = ("Add", "Subtract", "Multiply", "Divide", "Power", "Sqrt", "ReduceSum", "ReduceMean", "MVN", "AvgPool")
EXTRACTOR = ("Convolution",)  # the position convolution is a GroupConvolution
MOVING = ("Convert", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Slice", "StridedSlice", "Select", "Concat")


@dataclass(frozen=True)
class Difference:
    """From the fp32 graph: root mean square of the logits' difference by that of the logits; frames of another best symbol."""

    error: float
    changed: float


def quantize(source: Path, out: Path, *, data: Path, split: str | None, clips: int, seed: int) -> dict[str, Any]:
    """Write the folder `out` that `--model` takes; returns how much smaller it is and how far from fp32.

    Args:
        source: a recogniser's folder or file, or its fp32 graph.
        out: a new folder.
        data, split: where the audio for the ranges is; train* when no split is named, or else all.
        clips: how many utterances.
        seed: which.

    Raises:
        UsageError: an extra is missing, the model has no graph form or is quantized already, `out` is there, or no corpus.
        DataError: the model is broken, or no clip can be read.
    """
    require_new(out)
    _require_weights(source)
    _splits(data, split)
    for package, extra in (("nncf", EXTRA), ("openvino", "export")):
        _import(package, extra)
    graph = graph_of(source)
    heard = _clips(data, split, clips + HELD_OUT, seed)
    used, held = heard[: max(1, len(heard) - HELD_OUT)], heard[-HELD_OUT:]
    log.info(f"ranges of activations: {len(used)} clips, {sum(map(len, used)) / SAMPLE_RATE:.0f} s of audio")
    quantized = quantized_graph(graph, used)
    facts: dict[str, Any] = {"source": str(source), "clips": len(used), "seed": seed, "data": str(data)}
    facts["source_bytes"] = _weight_bytes(source)
    with atomic_folder(out) as temporary:
        needed("openvino").save_model(quantized, temporary / XML, compress_to_fp16=True)
        facts["bytes"] = (temporary / WEIGHTS).stat().st_size
        complete_graph(temporary, graph.config, graph.vocabulary, "int8", facts)
        difference = compare_graphs(graph, open_graph(temporary), held)
        facts |= {"logit_error": difference.error, "changed_frames": difference.changed}
        complete_graph(temporary, graph.config, graph.vocabulary, "int8", facts)
        write_text(temporary / "README.md", _card(graph, facts))
    return {"folder": str(out), **facts, "held_out": len(held)}


def quantized_graph(graph: Graph, clips: Sequence[np.ndarray]) -> Any:
    """The int8 form of a graph, as an OpenVINO model.

    Args:
        graph: fp32.
        clips: waves (S,) that the ranges of activations come from.
    """
    nncf = _import("nncf", EXTRA)
    openvino = needed("openvino.passes")
    network = graph.network()
    folding = openvino.passes.Manager()
    folding.register_pass(openvino.passes.ConstantFolding())  # or the position convolution's weights are no constant
    folding.run_passes(network)
    inputs = [{"waves": wave[None], "lengths": np.array([len(wave)])} for wave in clips]
    there = {operation.get_type_name() for operation in network.get_ops()}
    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    with _quietly(nncf):
        quantized = nncf.quantize(
            network,
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(
                names=[_last(network), *_mixtures(network), *_in_extractor(network)],
                types=[name for name in ELEMENTWISE + EXTRACTOR if name in there],
            ),
            advanced_parameters=advanced,
        )
    _halve(quantized)
    return quantized


def _halve(network: Any) -> None:
    """Keep weights that stay floating-point in 16 bits; `save_model` does so only where nothing is quantized."""
    opset = needed("openvino.opset13").opset13
    for node in network.get_ops():
        if node.get_type_name() != "Constant" or str(node.get_element_type()) != FP32 or node.get_byte_size() < LARGE:
            continue
        users = node.output(0).get_target_inputs()
        wide = opset.convert(opset.constant(node.data.astype(np.float16)), "f32")
        for user in users:
            user.replace_source_output(wide.output(0))


def _last(network: Any) -> str:
    """The name of the product that makes logits."""
    node = network.outputs[0].get_node()
    while node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node()
    return str(node.get_friendly_name())


def _in_extractor(network: Any) -> list[str]:
    """The names of the products that convolutions depend on: statistics of the norm over time."""
    found: dict[str, Any] = {}
    waiting = [node for node in network.get_ops() if node.get_type_name() in EXTRACTOR]
    while waiting:
        for value in waiting.pop().input_values():
            node = value.get_node()
            if (name := str(node.get_friendly_name())) not in found:
                found[name] = node
                waiting.append(node)
    return [name for name, node in found.items() if node.get_type_name() == "MatMul"]


def _mixtures(network: Any) -> list[str]:
    """The names of the products that mix values by attention, p v."""
    products = (node for node in network.get_ops() if node.get_type_name() == "MatMul")
    return [str(node.get_friendly_name()) for node in products if _is_softmax(node.input_value(0).get_node())]


def _is_softmax(node: Any) -> bool:
    """Whether a value is that of a softmax, moved about or masked at most."""
    kind = node.get_type_name()
    if kind in MOVING:
        return any(_is_softmax(each.get_node()) for each in node.input_values())
    return bool(kind == "Softmax")


def compare_graphs(right: Graph, other: Graph, clips: Sequence[np.ndarray]) -> Difference:
    """How far a graph is from another on some audio, one clip at a time."""
    ours, theirs = GraphModel(right), GraphModel(other)
    square = error = changed = frames = 0.0
    for wave in clips:
        (a,), (b,) = ours.logits([wave]), theirs.logits([wave])
        square, error = square + float(np.square(a).sum()), error + float(np.square(a - b).sum())
        changed, frames = changed + float((a.argmax(1) != b.argmax(1)).sum()), frames + len(a)
    return Difference((error / max(square, 1e-30)) ** 0.5, changed / max(frames, 1))


def _require_weights(source: Path) -> None:
    """Refuse what is not to be quantized, before its graph is made."""
    if not is_graph(source):
        open_source(source, expect="ctc")
    elif (numbers := open_graph(source).numbers) != "fp32":
        raise UsageError(
            "quantized-already", f"is {numbers} already", where=source, hint="quantize the model that it was made of"
        )


def _splits(data: Path, split: str | None) -> list[str]:
    wanted = [split] if split else [name for name in splits(data) if name.startswith("train")]
    return require_splits(data, wanted, default_prefix="")


def _clips(data: Path, split: str | None, count: int, seed: int) -> list[np.ndarray]:
    """Waves of utterances drawn at random; short ones only where there are no others, broken ones never."""
    utterances = [utterance for name in _splits(data, split) for utterance in read_split(data, name)]
    order = numpy_rng(seed, "quantize").permutation(len(utterances))
    drawn = sorted((utterances[number] for number in order), key=lambda utterance: utterance.seconds < SHORTEST)
    waves: list[np.ndarray] = []
    for utterance in drawn:
        if len(waves) == count:
            break
        try:
            check_rate(utterance)
            wave = utterance.wave()[: int(LONGEST * SAMPLE_RATE)]
        except SewError as error:
            log.warn(f"{utterance.id}: {error.what}; another is taken")
            continue
        if np.isfinite(wave).all() and wave.any():
            waves.append(np.ascontiguousarray(wave))
    if not waves:
        raise DataError(
            "no-usable-utterance",
            "no utterance can be read",
            where=data,
            hint="--data with audio of the kind that the model will transcribe",
        )
    return waves


def _weight_bytes(source: Path) -> int:
    if source.is_file():
        return source.stat().st_size
    forms = ([path.stat().st_size for path in source.glob(f"*{suffix}")] for suffix in (".safetensors", ".bin"))
    return sum(next(sizes for sizes in forms if sizes))


def _card(graph: Graph, facts: dict[str, Any]) -> str:
    """`README.md`."""
    rows = {
        "Model": f"{graph.config.name}, {FAMILIES[graph.config.family]}, for 16 kHz speech",
        "Made of": facts["source"],
        "Products": "int8 (weights by channel, activations by tensor), ranges from "
        f"{facts['clips']} clips of {facts['data']}; norms, sums, softmax and what it multiplies fp32",
        "Size": f"{facts['bytes']:,} bytes, of {facts['source_bytes']:,}",
        "Logits": f"{facts['logit_error']:.2%} from fp32 (root mean square), {facts['changed_frames']:.2%} of frames with "
        "another best symbol, on other clips of the same data",
    }
    lines = ["---", "library_name: openvino", "---", f"# {graph.config.name}, int8", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows.items()]
    lines += [
        "",
        "```sh",
        "sew decode --model FOLDER --data data/librispeech",
        "sew transcribe a.wav --model FOLDER",
        "```",
    ]
    return "\n".join(lines) + "\n"


def _import(package: str, extra: str) -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # or it sends usage statistics
    return needed(package, extra)


@contextlib.contextmanager
def _quietly(nncf: Any) -> Iterator[None]:
    """NNCF's progress goes to stderr, for stdout carries results; its notes to its developers go nowhere."""
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(sys.stderr):
        yield
