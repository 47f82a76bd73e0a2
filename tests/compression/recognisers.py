"""A small recogniser on disk, every weight away from its start, so that no part is trivial."""

from pathlib import Path

import torch

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary


def recogniser(name: str = "w2v2-micro", **changes) -> CTCModel:
    torch.manual_seed(3)
    base = {"heads": 4, "layers": 4, "feedforward": 96, "dropout": 0.0, "attention_dropout": 0.0, "input_dropout": 0.0}
    model = CTCModel(lookup(name).model_copy(update={**base, **changes}), 32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def saved(folder: Path, name: str = "w2v2-micro", **changes) -> Path:
    save_ctc(recogniser(name, **changes), Vocabulary.letters(), folder)
    return folder
