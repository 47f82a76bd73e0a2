"""Half precision: as near to fp32 as `transformers` is in the same precision."""

import copy
from pathlib import Path

import pytest
import torch

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.runtimes.inference import for_inference
from sewcli.text.tokens import Vocabulary


@pytest.mark.parametrize("name", ["sew-micro", "sew-d-micro", "w2v2-micro"])
def test_bf16_is_as_near_to_fp32_as_in_transformers(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCTC

    torch.manual_seed(0)
    vocabulary = Vocabulary.letters()
    model = CTCModel(lookup(name), len(vocabulary))
    save_ctc(model, vocabulary, tmp_path / "model")
    waves, lengths = 0.1 * torch.randn(2, 32_000), torch.full((2,), 32_000)
    with torch.inference_mode():
        exact, theirs = (
            AutoModelForCTC.from_pretrained(tmp_path / "model", dtype=kind).eval()(waves.to(kind)).logits.float()
            for kind in (torch.float32, torch.bfloat16)
        )
        plain = copy.deepcopy(model).eval().bfloat16()(waves, lengths).logits.float()
        packed = for_inference(model, torch.device("cpu"), torch.bfloat16)(waves, lengths).logits.float()
    for ours in (plain, packed):
        assert (ours - exact).norm() <= 1.05 * (theirs - exact).norm()  # of two roundings of the same products
        assert (ours - exact).norm() > 1e-4 * exact.norm()
