"""`sew export`: a model in the form that other software reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.files import require_new
from sewcli.cli import options, show


class Format(StrEnum):
    """Forms of a model."""

    HF = "hf"
    FAIRSEQ = "fairseq"
    ONNX = "onnx"
    OPENVINO = "openvino"


def export(
    model: Annotated[str, typer.Argument(help="A model folder, a fairseq .pt file, or a Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    format: Annotated[Format, typer.Option("--format", "-f", help="Form to write.")] = Format.ONNX,
    json: options.Json = False,
) -> None:
    """Write a model for other software.

    hf        the folder that transformers loads, which `sew` itself works with
    fairseq   model.pt and dict.ltr.txt (of SEW models, for the authors' code on top of fairseq)
    onnx      model.onnx and vocab.json; needs pip install 'sewcli\\[export]'
    openvino  model.xml and model.bin, and what makes them a model folder that `sew decode` and
              `sew transcribe` take; needs pip install 'sewcli\\[export]'

    ONNX and OpenVINO graphs take waves (batch, samples), right-padded with zeros, and lengths (batch),
    of any sizes, and give logits (batch, frames, symbols) and the true frames of each. They are kept
    only if the runtime's logits are the model's own.

        sew export exp/sew-tiny-ft/model exp/sew-tiny-ft/onnx
        sew export exp/sew-d-mid/model exp/sew-d-mid/fairseq --format fairseq
    """
    require_new(out)
    from sewcli.base.lock import writing
    from sewcli.runtimes.export import export_model

    with writing(out):
        require_new(out)  # of another process that was quicker
        row = export_model(model, out, format.value)
    if json:
        show.objects(row)
        return
    exact = "; logits within {:.1e} of the model's own, relative to the largest"
    close = exact.format(row["largest_difference"]) if "largest_difference" in row else ""
    show.line(f"{out}: {format.value}, {row['parameters']:,} parameters{close}")
