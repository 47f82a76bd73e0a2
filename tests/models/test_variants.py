"""Variants of models: names, lengths, the batch law and folders of those that no published model has."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.model_cases import apart, noise, shaken
from transformers import AutoModelForCTC

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, load_pretraining, save_ctc, save_pretraining
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.nn.log_mel import log_mel
from sewcli.text.tokens import Vocabulary

LETTERS = Vocabulary.letters()
LENGTHS = [16_000, 16_340, 9_999, 2_960, 16_060]
FRAMES = {  # of each of LENGTHS
    "sew-micro+fbfe": [46, 47, 27, 6, 46],
    "sew-micro+s3": [49, 50, 30, 9, 49],
    "sew-micro+s4+k16": [49, 50, 30, 9, 49],
    "sew-micro+25hz": [24, 25, 15, 4, 24],
    "sew-micro+25hz+upsample": [48, 50, 30, 8, 48],
    "sew-micro+wfe-o-c24": [49, 50, 30, 9, 49],
    "sew-micro+wfe-c-c12-l1+e64": [49, 50, 30, 9, 49],
}


def make(name: str) -> CTCModel:
    torch.manual_seed(0)
    return shaken(CTCModel(lookup(name).model_copy(update={"layers": 2}), len(LETTERS))).eval()


@pytest.mark.parametrize("name", FRAMES)
def test_each_row_equals_the_row_alone(name: str) -> None:
    model = make(name)
    waves = torch.full((len(LENGTHS), 17_500), float("nan"))
    for row, samples in enumerate(LENGTHS):
        waves[row, :samples] = noise(samples, seed=row)
    with torch.inference_mode():
        batch = model(waves, torch.tensor(LENGTHS))
        assert batch.lengths.tolist() == FRAMES[name]
        for row, samples in enumerate(LENGTHS):
            alone = model(waves[row : row + 1, :samples], torch.tensor([samples]))
            assert alone.lengths.tolist() == [FRAMES[name][row]] and alone.logits.shape[1] == FRAMES[name][row]
            assert apart(batch.logits[row, : FRAMES[name][row]], alone.logits[0]) < 1e-5


@pytest.mark.parametrize("name", ["sew-micro+fbfe", "sew-micro+25hz+upsample", "sew-micro+s3"])
def test_folders(name: str, tmp_path: Path) -> None:
    model = make(name)
    save_ctc(model, LETTERS, tmp_path / "model")
    again = load_ctc(tmp_path / "model")[0].eval()
    assert again.config == model.config
    with torch.inference_mode():
        one, two = (m(noise(1, 9_000), torch.tensor([9_000])).logits for m in (model, again))
    assert torch.equal(one, two)
    if name == "sew-micro+s3":
        theirs = AutoModelForCTC.from_pretrained(tmp_path / "model").eval()
        with torch.inference_mode():
            assert apart(one, theirs(noise(1, 9_000)).logits) < 1e-5
    else:  # transformers has no such model: better no answer than a wrong one
        with pytest.raises(ValueError, match="sewcli-sew"):
            AutoModelForCTC.from_pretrained(tmp_path / "model")


def test_pre_training_with_filter_banks(tmp_path: Path) -> None:
    model = PretrainingModel(lookup("sew-micro+fbfe")).train()
    frames = int(model.encoder.frames(16_000))
    mask = torch.zeros(2, frames, dtype=torch.bool)
    mask[:, 5:25] = True
    output = model(noise(2, 16_000), torch.tensor([16_000, 16_000]), mask, 2.0)
    (output.loss / output.frames).backward()
    for name in ("convolutions.0.weight", "convolutions.1.bias", "output.weight"):
        assert model.encoder.extractor.get_parameter(name).grad.abs().max() > 0
    save_pretraining(model, tmp_path / "model")
    back = load_pretraining(tmp_path / "model")
    assert back.config == model.config
    assert torch.equal(back.encoder.extractor.output.weight, model.encoder.extractor.output.weight)


def test_log_mel_energies_by_hand() -> None:
    time = np.arange(4_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * 1_000 * time) + 0.2 + 0.2 * noise(4_000).double().numpy()
    found = log_mel(torch.from_numpy(wave).float().unsqueeze(0), 80, 400, 160)[0].double().numpy()
    assert found.shape == (1 + (4_000 - 400) // 160, 80)
    edges = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + f / 700) for f in (20.0, 8_000.0)), 82) / 2595) - 1)
    frequencies = np.linspace(0, 8_000, 257)
    for window in (0, 7, 22):
        piece = wave[160 * window : 160 * window + 400]
        piece = (piece - piece.mean()) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399))
        power = np.abs(np.fft.rfft(piece, 512)) ** 2
        for band in (5, 27, 28, 60, 79):
            low, middle, high = edges[band : band + 3]
            rise, fall = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
            energy = (np.clip(np.minimum(rise, fall), 0, None) * power).sum()
            assert found[window, band] == pytest.approx(np.log(energy), abs=1e-4), (window, band)
    loudest = edges[1:-1][found[3].argmax()]
    assert abs(loudest - 1_000) < 60


def test_silence_has_finite_energies() -> None:
    assert torch.isfinite(log_mel(torch.zeros(1, 800), 80, 400, 160)).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sew-tiny+x", "(?s)no variant 'x'.*k127"),
        ("sew-tiny+", "no variant ''"),
        ("sew-tinny+k127", "did you mean 'sew-tiny'"),
        ("w2v2-tiny+s2", "do not squeeze"),
        ("sew-tiny+e385", "not a multiple of heads"),
        ("sew-tiny+k0", "position_kernel"),
        ("sew-tiny+s17", "squeeze"),
        ("sew-tiny+wfe-c-c99999-l1", "extractor_channels"),
        ("sew-tiny+wfe-c-c64-l2", "no variant"),
    ],
)
def test_names_that_make_no_sense(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        lookup(name)
    assert "given: {" not in str(caught.value)


def test_parts_are_applied_from_left_to_right() -> None:
    config = lookup("sew-d-mid+wfe-o-c96-l1+s4+e768+heads-linear")
    assert config.extractor_channels == (96,) * 13 and config.extractor_kernels[1:3] == (3, 1)
    assert (config.squeeze, config.width, config.heads, config.feedforward) == (4, 768, 12, 3072)
    assert (config.predictor, config.name) == ("linear", "sew-d-mid+wfe-o-c96-l1+s4+e768+heads-linear")
