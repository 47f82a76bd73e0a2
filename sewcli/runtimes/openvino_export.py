"""`sew export --format openvino`: a model's graph as a folder, once OpenVINO has given the model's own logits by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from sewcli.base.files import atomic_folder
from sewcli.models.ctc import CTCModel
from sewcli.runtimes.graph_form import OUTPUTS, needed, openvino_core
from sewcli.runtimes.onnx_graph import compare
from sewcli.runtimes.openvino_folder import XML, complete_graph
from sewcli.text.tokens import Vocabulary


def save_openvino(model: CTCModel, vocabulary: Vocabulary, folder: Path) -> float:
    """Write the graph of a model, once OpenVINO gives the model's own logits by it.

    Returns:
        The largest difference of logits, relative to the largest logit.

    Raises:
        UsageError: the extra `export` is not installed, the model has no graph form, or the logits differ.
    """
    openvino = needed("openvino")
    from sewcli.runtimes.openvino_graph import build

    network = build(model.config, {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()})
    with atomic_folder(folder) as temporary:
        openvino.save_model(network, temporary / XML, compress_to_fp16=False)
        compiled = openvino_core().compile_model(temporary / XML, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

        def run(waves: Tensor, lengths: Tensor) -> list[Any]:
            result = compiled({"waves": waves.numpy(), "lengths": lengths.numpy()})
            return [result[name] for name in OUTPUTS]

        apart = compare(model, run, "OpenVINO")
        complete_graph(temporary, model.config, vocabulary, "fp32", {"largest_difference": apart})
    return apart
