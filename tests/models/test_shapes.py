"""Shapes by arithmetic are those of the modules."""

import pytest
from support.model_cases import CASES, small

from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.shapes import ctc_shapes
from sewcli.models.sizes import every_name
from sewcli.models.zoo import lookup
from sewcli.nn.blank import without_weights

ODD = [
    small("wav2vec2", output_upsample=2, always_project=True),
    small("sew-d-projected", head_width=8),
    small("sew", quantize_inputs=True),
]


@pytest.mark.parametrize("config", [*map(small, CASES), *map(lookup, every_name()), *ODD], ids=lambda c: c.name)
def test_shapes_are_those_of_the_module(config: ModelConfig) -> None:
    with without_weights():
        state = CTCModel(config, 29).state_dict()
    assert ctc_shapes(config, 29) == {name: tuple(tensor.shape) for name, tensor in state.items()}
