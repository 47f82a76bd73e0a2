"""Recognisers with random weights of which no two layers are alike, for times and sizes.

New layers of SEW-D begin as copies of one, as in the paper's code. A runtime that keeps equal weights once would then
hold, and fetch from memory, a twelfth of what it must hold of a trained model.
"""

from __future__ import annotations

import torch

from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

SHAKEN = 0.05  # of a weight's own spread


def recogniser(name: str) -> CTCModel:
    """A model of the zoo for letters, on the CPU, in evaluation mode; the same weights every time."""
    torch.manual_seed(0)
    model = CTCModel(lookup(name), len(Vocabulary.letters())).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.add_(SHAKEN * weight.std() * torch.randn_like(weight))
    return model
