"""Same weights, same audio, same numbers as `transformers`, for logits and for gradients."""

from pathlib import Path

import pytest
import torch
from peer import GRADIENTS, LETTERS, LOGITS, both, compare, gradients_apart, gradients_of
from support.model_cases import CASES, apart, noise, shaken, small
from transformers import Wav2Vec2ForPreTraining

from sewcli.models.folder import save_pretraining
from sewcli.models.pretraining import PretrainingModel


@pytest.mark.parametrize("case", CASES)
def test_logits(case: str, tmp_path: Path) -> None:
    ours, theirs = both(small(case), tmp_path)
    for samples in (720, 1000, 16_000, 16_340, 33_000):  # 2, 2, 49, 50 and 102 frames
        assert compare(ours, theirs, samples) < LOGITS, samples


def test_one_frame_of_wav2vec2(tmp_path: Path) -> None:
    ours, theirs = both(small("wav2vec2-layer-norm"), tmp_path)
    assert compare(ours, theirs, 400) < LOGITS


@pytest.mark.parametrize("case", ["sew-d", "sew-d-projected"])
@pytest.mark.parametrize("frames", [511, 513, 700])
def test_many_positions_of_sew_d(case: str, frames: int, tmp_path: Path) -> None:
    ours, theirs = both(small(case, layers=1), tmp_path)
    assert compare(ours, theirs, 400 + 320 * (2 * frames)) < LOGITS


def test_padded_batch_of_wav2vec2_with_layer_norm(tmp_path: Path) -> None:
    ours, theirs = both(small("wav2vec2-layer-norm"), tmp_path)
    lengths = torch.tensor([16_000, 9_999])
    waves = noise(2, 16_000)
    waves[1, 9_999:] = 0
    mask = (torch.arange(16_000) < lengths.unsqueeze(1)).long()
    with torch.inference_mode():
        a, b = ours(waves, lengths), theirs(waves, attention_mask=mask).logits
    assert a.lengths.tolist() == [49, 30]
    assert apart(a.logits[1, :30], b[1, :30]) < LOGITS
    assert apart(a.logits[0], b[0]) < LOGITS


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str, tmp_path: Path) -> None:
    ours, theirs = both(small(case, layers=1), tmp_path)
    waves, lengths = noise(2, 10_000), torch.tensor([10_000, 10_000])
    direction = noise(2, 31, len(LETTERS), seed=1)
    (ours(waves, lengths).logits * direction[:, : ours.encoder.frames(10_000)]).sum().backward()
    (theirs(waves).logits * direction[:, : ours.encoder.frames(10_000)]).sum().backward()
    assert gradients_apart(gradients_of(ours), theirs) <= GRADIENTS


def test_pretraining_parts_of_wav2vec2(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = shaken(PretrainingModel(small("wav2vec2-projected"))).eval()
    save_pretraining(ours, tmp_path / "model")
    theirs, report = Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    waves, lengths = noise(2, 8_000), torch.tensor([8_000, 8_000])
    mask = torch.rand(2, 24, generator=torch.Generator().manual_seed(2)) < 0.5
    with torch.inference_mode():
        reference = theirs.eval()(waves, mask_time_indices=mask)
        states = ours.encoder(waves, lengths, mask).states
        features = ours.encoder.feature_norm(ours.encoder.extract(waves, lengths))
        codes = ours.quantizer(features.flatten(0, 1), 1.0).codes
        assert apart(ours.context_head(states), reference.projected_states) < LOGITS
        assert apart(ours.target_head(codes).view(2, 24, -1), reference.projected_quantized_states) < LOGITS
