"""Every size of the zoo beside `transformers` with the same weights: logits from the shortest wave to 40 s, and gradients."""

import gc
from pathlib import Path

import pytest
import torch
from peer import GRADIENTS, LETTERS, LOGITS, both, compare, gradients_apart, gradients_of, load_theirs
from support.model_cases import apart, noise, shaken
from torch.nn import functional

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup, names

SMALL = ("sew-micro", "sew-tiny", "sew-d-tiny", "w2v2-tiny")
SIZES = [name if name in SMALL else pytest.param(name, marks=pytest.mark.long) for name in names()]
DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "final_dropout", "layer_drop")


@pytest.mark.parametrize("name", SIZES)
def test_logits(name: str, tmp_path: Path) -> None:
    ours, theirs = both(lookup(name), tmp_path)
    shortest = 400 if ours.config.squeeze == 1 else 720  # transformers cannot squeeze a single frame
    assert compare(ours, theirs, shortest) < LOGITS
    assert compare(ours, theirs, 20_000) < LOGITS


@pytest.mark.long
@pytest.mark.parametrize("name", names())
def test_logits_of_forty_seconds(name: str, tmp_path: Path) -> None:
    ours, theirs = both(lookup(name), tmp_path)
    waves = noise(1, 640_000)  # 1999 frames: past the 512 positions of SEW-D, and an odd number
    with torch.inference_mode():
        a, b = ours(waves, torch.tensor([640_000])).logits, theirs(waves).logits
    assert a.shape[1] == 1999 and apart(a, b) < LOGITS


def loss(logits: torch.Tensor) -> torch.Tensor:
    """CTC of labels drawn once. In float64: in fp32, rounding of hundreds of nats is by itself 3e-5 of the gradient."""
    log_probs = functional.log_softmax(logits.double(), dim=2).transpose(0, 1)
    rows, frames = logits.shape[:2]
    labels = torch.randint(4, len(LETTERS), (rows, 12), generator=torch.Generator().manual_seed(1))
    return functional.ctc_loss(log_probs, labels, torch.full((rows,), frames), torch.full((rows,), 12), reduction="sum")


@pytest.mark.long
@pytest.mark.parametrize("name", names())
def test_gradients(name: str, tmp_path: Path) -> None:
    """In training mode, with no dropout, no layer drop and no masks. One model in memory at a time."""
    torch.manual_seed(0)
    config = lookup(name).model_copy(update={**dict.fromkeys(DROPOUTS, 0.0), "extractor_gradient": 1.0})
    waves = noise(2, 20_000)
    ours = shaken(CTCModel(config, len(LETTERS)), deep=True).train()
    save_ctc(ours, LETTERS, tmp_path / "model")
    loss(ours(waves, torch.tensor([20_000, 20_000])).logits).backward()
    gradients = gradients_of(ours)
    del ours
    gc.collect()
    theirs = load_theirs(tmp_path / "model", apply_spec_augment=False).train()
    loss(theirs(waves).logits).backward()
    apart = gradients_apart(gradients, theirs)
    print(f"{name}: gradients {apart:.1e} apart")
    assert apart <= GRADIENTS
