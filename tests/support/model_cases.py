"""Small models with every part of the real ones, and random values in every parameter."""

import torch

from sewcli.models.config import ModelConfig
from sewcli.models.zoo import lookup

CASES: dict[str, dict] = {
    "sew": {"family": "sew"},
    "sew-projected-k127": {"family": "sew", "width": 96, "heads": 6, "position_kernel": 127},
    "sew-even-kernel": {"family": "sew", "position_kernel": 16},
    "sew-layer-norm": {"family": "sew", "extractor_norm": "layer", "extractor_bias": True},
    "sew-d": {"family": "sew-d", "norm_eps": 1e-7},
    "sew-d-projected": {
        "family": "sew-d",
        "norm_eps": 1e-7,
        "feature_norm_eps": 1e-2,
        "width": 64,
        "heads": 4,
        "position_kernel": 127,
    },
    "wav2vec2": {"family": "wav2vec2", "squeeze": 1, "position_kernel": 128},
    "wav2vec2-projected": {"family": "wav2vec2", "squeeze": 1, "width": 64, "heads": 4, "predictor": "linear"},
    "wav2vec2-layer-norm": {
        "family": "wav2vec2",
        "squeeze": 1,
        "extractor_norm": "layer",
        "extractor_bias": True,
        "norm_first": True,
        "width": 64,
        "heads": 4,
    },
}


def small(case: str, **changes) -> ModelConfig:
    base = lookup("sew-micro").model_dump()
    changes = {"name": "small", "layers": 2, "feedforward": 160, "extractor_gradient": 1.0, **CASES[case], **changes}
    return ModelConfig(**{**base, **changes})


def shaken(model: torch.nn.Module, seed: int = 0, *, deep: bool = False) -> torch.nn.Module:
    """Every parameter away from its initial value, so that no bias or norm is trivial.

    deep: matrices by a share of their own spread only. By more, 24 post-norm layers make all frames alike, and the true
    gradients of queries and keys drown in the rounding of any program.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = parameter.std(correction=0)
            if parameter.dim() < 2 or not deep:
                spread = spread.clamp(min=0.1)
            parameter.add_(0.3 * spread * torch.randn(parameter.shape, generator=generator))
    return model


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference relative to the largest value."""
    return float((a - b).abs().max() / b.abs().max())
