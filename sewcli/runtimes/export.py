"""`sew export`: any model that we can read, in any form that we can write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.fairseq import save_fairseq
from sewcli.models.folder import EncoderModel, count, load_source, save_model
from sewcli.models.opening import open_source
from sewcli.runtimes.graph_form import shortest
from sewcli.runtimes.onnx_graph import save_onnx
from sewcli.runtimes.openvino_export import save_openvino

GRAPHS = {"onnx": save_onnx, "openvino": save_openvino}


def export_model(reference: str, out: Path, form: str) -> dict[str, Any]:
    """Write a model to the folder `out`; returns facts about what was written, as `sew export --json` prints them.

    Args:
        reference: folder, fairseq file or Hub id.
        out: folder to write.
        form: "hf", "fairseq", "onnx" or "openvino".

    Raises:
        UsageError: the form cannot hold this kind of model, or needs a package that is not there.
        DataError: the model is broken.
    """
    source = open_source(reference, expect="ctc" if form in GRAPHS else None)
    model, vocabulary = load_source(source)
    row: dict[str, Any] = {"folder": str(out), "format": form, "parameters": count(model)}
    if form in GRAPHS:
        assert isinstance(model, CTCModel) and vocabulary is not None
        row |= {"largest_difference": GRAPHS[form](model, vocabulary, out), "shortest_wave": shortest(model.config)}
    elif form == "fairseq":
        if isinstance(model, EncoderModel):
            raise UsageError(
                "no-fairseq-form", "an encoder alone is no fairseq checkpoint", where=reference, hint="use --format hf"
            )
        save_fairseq(model, vocabulary, out)
    else:
        save_model(model, vocabulary, out)
    return row
