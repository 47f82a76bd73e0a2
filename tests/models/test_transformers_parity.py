"""Same weights, same audio, same numbers as `transformers`, for logits and for gradients."""

from pathlib import Path

import pytest
import torch
from model_cases import CASES, apart, noise, shaken, small
from transformers import AutoModelForCTC, Wav2Vec2ForPreTraining

from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc, save_pretraining
from sewcli.models.names import hugging_face_names
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup, names
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
LOGITS = 1e-5  # relative to the largest logit
GRADIENTS = 1e-4


def both(config, folder: Path):
    torch.manual_seed(0)
    ours = shaken(CTCModel(config, len(LETTERS))).eval()
    save_ctc(ours, LETTERS, folder / "model")
    theirs, report = AutoModelForCTC.from_pretrained(folder / "model", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return ours, theirs.eval()


def compare(ours, theirs, samples: int) -> float:
    waves = noise(2, samples)
    with torch.inference_mode():
        a, b = ours(waves, torch.tensor([samples, samples])).logits, theirs(waves).logits
    assert a.shape == b.shape
    return apart(a, b)


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
    other = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    renamed = hugging_face_names(ours.config.family, dict(ours.named_parameters()))
    largest = max(float(g.abs().max()) for g in other.values() if g is not None)
    seen = 0
    for name, parameter in ours.named_parameters():
        if name == "encoder.mask_vector":
            assert parameter.grad is None
            continue
        assert parameter.grad is not None, name
        reference = other[renamed[name]]
        difference = float((parameter.grad - reference).abs().max())
        # a key's bias shifts every score of a row alike: its true gradient is zero and only noise remains
        assert difference <= GRADIENTS * max(float(reference.abs().max()), 1e-3 * largest), name
        seen += 1
    assert seen == len(renamed) - 1


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


@pytest.mark.parametrize("name", ["sew-micro", "sew-tiny", "sew-d-tiny", "w2v2-tiny"])
def test_small_models_of_the_zoo(name: str, tmp_path: Path) -> None:
    ours, theirs = both(lookup(name), tmp_path)
    assert compare(ours, theirs, 20_000) < LOGITS


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [name for name in names() if name not in ("sew-micro", "sew-tiny", "sew-d-tiny", "w2v2-tiny")],
)
def test_large_models_of_the_zoo(name: str, tmp_path: Path) -> None:
    ours, theirs = both(lookup(name), tmp_path)
    assert compare(ours, theirs, 20_000) < LOGITS


@pytest.mark.long
@pytest.mark.parametrize("name", names())
def test_forty_seconds_of_every_model_of_the_zoo(name: str, tmp_path: Path) -> None:
    ours, theirs = both(lookup(name), tmp_path)
    waves = noise(1, 640_000)  # 1999 frames: past the 512 positions of SEW-D, and an odd number
    with torch.inference_mode():
        a, b = ours(waves, torch.tensor([640_000])).logits, theirs(waves).logits
    assert a.shape[1] == 1999 and apart(a, b) < LOGITS
