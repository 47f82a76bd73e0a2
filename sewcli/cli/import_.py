"""`sew import`: someone else's weights become a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sewcli.base.files import require_new
from sewcli.cli import options, show


def import_model(
    model: Annotated[str, typer.Argument(help="A fairseq .pt file, a Hugging Face folder, or a Hub id.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    dictionary: Annotated[
        Path | None,
        typer.Option(
            help="dict.ltr.txt of a fine-tuned fairseq model.", show_default="the one in the file or beside it"
        ),
    ] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Run the code in PyTorch files: only if you trust their source.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write a model folder from weights of fairseq, of the SEW authors, or of Hugging Face.

    The architecture is read off the tensors and held against the file's own config. PyTorch files
    are read without running what is in them; one that needs more is refused, with what it asked for.
    Verbs with --model take the same files, folders and ids without this step.

        sew import sew-d-mid-400k-ft-ls100h.pt exp/sew-d-mid-ft/model
        sew import wav2vec_small.pt exp/w2v2-base/model
        sew import asapp/sew-tiny-100k-ft-ls100h exp/sew-tiny/model    # needs pip install 'sewcli\\[hub]'
    """
    require_new(out)
    from sewcli.base.lock import writing
    from sewcli.models.folder import count, load_source, save_model
    from sewcli.models.opening import NAMED, open_source

    source = open_source(model, trust_pickle=trust_pickle, dictionary=dictionary)
    loaded, vocabulary = load_source(source)
    with writing(out):
        require_new(out)  # of another process that was quicker
        save_model(
            loaded, vocabulary, out, facts={"Imported from": Path(model).name if source.where.is_file() else model}
        )
    family, parameters = loaded.config.family, count(loaded)
    if json:
        show.objects({"folder": str(out), "kind": source.kind, "family": family, "parameters": parameters})
    else:
        show.line(f"{out}: {NAMED[source.kind]}, {family}, {parameters:,} parameters")
