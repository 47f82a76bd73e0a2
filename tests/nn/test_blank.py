"""Modules without numbers: everything but the values, and nothing of PyTorch's compiler."""

import subprocess
import sys

import pytest
import torch

from sewcli.models.ctc import CTCModel
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.nn.blank import without_weights

MODELS = ["w2v2-micro", "sew-micro", "sew-d-micro"]


@pytest.mark.parametrize("name", MODELS)
def test_it_has_the_names_shapes_and_types_of_the_real_one(name: str) -> None:
    config = lookup(name)
    for make in (lambda: CTCModel(config, 32), lambda: PretrainingModel(config)):
        with without_weights():
            blank = make().state_dict()
        real = make().state_dict()
        assert {n: (t.shape, t.dtype) for n, t in blank.items()} == {n: (t.shape, t.dtype) for n, t in real.items()}
        assert all(tensor.is_meta for tensor in blank.values())


@pytest.mark.parametrize("name", MODELS)
def test_making_it_leaves_the_compiler_of_pytorch_alone(name: str) -> None:
    """Its import takes 3 s, longer than all the rest of `sew transcribe` on a short file."""
    code = f"""
import sys
from sewcli.models.ctc import CTCModel
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.nn.blank import without_weights
with without_weights():
    CTCModel(lookup({name!r}), 32), PretrainingModel(lookup({name!r}))
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_after_it_values_are_drawn_again() -> None:
    with without_weights():
        torch.nn.Linear(4, 4)
    linear = torch.nn.Linear(64, 64)
    assert not linear.weight.is_meta
    assert 0.05 < linear.weight.std() < 0.1  # uniform within 1 / 8
