"""`transformers`' models with the weights of ours: what the benchmarks of the GPU stand beside.

It has no pre-training class for SEW-D, so there its extractor and its encoder layers go under our heads and our loss.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.text.tokens import Vocabulary


def recogniser(model: CTCModel, attention: str, dtype: torch.dtype) -> nn.Module:
    """The recogniser, on the CPU; `attention` is "eager" or, but for SEW-D, "sdpa"."""
    from transformers import AutoModelForCTC

    with tempfile.TemporaryDirectory() as folder:
        save_ctc(model, Vocabulary.letters(), Path(folder) / "model")
        peer = AutoModelForCTC.from_pretrained(Path(folder) / "model", attn_implementation=attention, dtype=dtype)
    return peer.eval().requires_grad_(False)


def with_their_layers(model: PretrainingModel) -> PretrainingModel:
    """A SEW-D pre-training model whose extractor and context network are those of `transformers`."""
    from transformers import SEWDModel

    torch.manual_seed(1)
    new = PretrainingModel(model.config)
    new.load_state_dict(model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        save_pretraining(model, Path(folder) / "model", facts={})
        theirs = SEWDModel.from_pretrained(Path(folder) / "model", attn_implementation="eager")
    extractor, context = _Extractor(theirs.feature_extractor), _Context(theirs.encoder)
    extractor.frames, extractor.shortest = model.encoder.extractor.frames, model.encoder.extractor.shortest
    new.encoder.extractor, new.encoder.context = extractor, context
    return new


class _Extractor(nn.Module):
    """Waves (B, S) to features (B, T, C), without regard to padding."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, waves: Tensor, lengths: Tensor | None) -> Tensor:
        assert lengths is None, "pre-training crops, so that nothing is padded"
        features: Tensor = self.extractor(waves)
        return features.transpose(1, 2)


class _Context(nn.Module):
    """Features (B, T, E) to states (B, T, E)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        assert lengths is None
        states: Tensor = self.encoder(x, attention_mask=None, return_dict=True).last_hidden_state
        return states
