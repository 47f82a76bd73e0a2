"""Graphs built of config and weights give the model's own logits: every family and front end, any batch and length."""

from pathlib import Path

import pytest
import torch
from support.model_cases import CASES, apart, noise, shaken, small

from sewcli.base.errors import UsageError
from sewcli.models.config import ModelConfig
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.runtimes.graph_form import openvino_core
from sewcli.runtimes.openvino_graph import build
from sewcli.text.tokens import Vocabulary

CLOSE = 1e-5  # relative to the largest logit
MODELS: dict[str, ModelConfig] = {
    **{case: small(case) for case in CASES},
    "sew-wfe-c": small(
        "sew",
        extractor_channels=(16, 16, 32, 32, 32, 48, 48, 48, 48)[:9],
        extractor_kernels=(10, 3, 1, 3, 1, 3, 3, 2, 2),
        extractor_strides=(5, 2, 1, 2, 1, 2, 2, 2, 2),
    ),
    "sew-d-normalised": small("sew-d", normalize_waves=True, output_upsample=2),
    "wav2vec2-upsampled": small("wav2vec2", output_upsample=2),
    "wav2vec2-pruned": small("wav2vec2-projected", head_width=8),
    "sew-d-pruned": small("sew-d-projected", head_width=8),
    "sew-quantized-inputs": small("sew", quantize_inputs=True),
    "sew-biased-convolutions": small("sew", extractor_bias=True),
    "sew-squeeze-3": small("sew", squeeze=3),
    "log-mel": small(
        "sew",
        front_end="log-mel",
        extractor_channels=(80, 8, 8, 48),
        extractor_kernels=(400, 3, 3, 1),
        extractor_strides=(160, 2, 1, 1),
    ),
}
BATCHES = [([16_000], 0), ([3_000] * 5, 0), ([9_999, 20_320, 2_720, 1_680], 0), ([5_000, 4_680], 64_000)]
LONG = [([400 + 320 * 1500, 320_000], 0)]  # 30 s, past SEW-D's 512 positions


def compiled(model: CTCModel, precision: str = "f32"):
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    network = build(model.config, weights)
    made = openvino_core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": precision})

    def run(waves: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        result = made({"waves": waves.numpy(), "lengths": lengths.numpy()})
        return torch.from_numpy(result["logits"].copy()), result["frames"].tolist()

    return run


def ragged(lengths: list[int], extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    waves = torch.zeros(len(lengths), max(lengths) + extra)
    for row, length in enumerate(lengths):
        waves[row, :length] = noise(length, seed=row)
    return waves, torch.tensor(lengths)


def model_of(config: ModelConfig) -> CTCModel:
    return shaken(CTCModel(config, 32)).eval()


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_logits_are_the_models_own_alone_and_in_any_batch(name: str) -> None:
    model = model_of(MODELS[name])
    run = compiled(model)
    long = LONG if name in ("sew-d-projected", "sew") else []
    for lengths, extra in [*BATCHES, *long]:
        waves, counts = ragged(lengths, extra)
        logits, frames = run(waves, counts)
        right = model(waves, counts)
        assert frames == right.lengths.tolist() and logits.shape == right.logits.shape
        for row, length in enumerate(lengths):
            alone = model(waves[row : row + 1, :length], counts[row : row + 1]).logits[0]
            assert apart(logits[row, : len(alone)], alone) < CLOSE, (lengths, extra, row)
            assert apart(logits[row, : frames[row]], right.logits[row, : frames[row]]) < CLOSE


@torch.inference_mode()
def test_positions_matter() -> None:
    """Otherwise the tests above would not see them either."""
    model = model_of(MODELS["sew-d"])
    waves, lengths = noise(1, 16_000), torch.tensor([16_000])
    before = compiled(model)(waves, lengths)[0]
    model.encoder.context.positions.weight.mul_(-1)
    assert apart(compiled(model)(waves, lengths)[0], before) > 1e-3


@torch.inference_mode()
def test_a_norm_over_time_is_that_of_the_model_whatever_the_sound() -> None:
    """Its statistics come from windows of samples: an offset and a hum, hundreds of times the rest, must not drown them."""
    model, seconds = model_of(MODELS["sew"]), torch.arange(16_000) / 16_000
    waves = noise(1, 16_000) * 0.01 + 0.5 + 0.5 * torch.sin(2 * torch.pi * 50 * seconds)
    waves, lengths = waves.expand(2, -1).clone(), torch.tensor([16_000, 9_000])
    waves[1, 9_000:] = 0
    (logits, frames), right = compiled(model)(waves, lengths), model(waves, lengths).logits
    for row, count in enumerate(frames):
        assert apart(logits[row, :count], right[row, :count]) < 1e-4


@torch.inference_mode()
def test_bf16_is_near() -> None:
    if "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16 products")
    for name in ("sew", "sew-d", "wav2vec2-layer-norm"):
        model = model_of(MODELS[name])
        (waves, lengths), run = ragged([16_000, 9_999]), compiled(model, "bf16")
        logits, frames = run(waves, lengths)
        right = model(waves, lengths).logits
        assert 1e-6 < apart(logits[1, : frames[1]], right[1, : frames[1]]) < 0.1


@pytest.mark.parametrize("name", ["sew", "sew-d", "wav2vec2"])
@torch.inference_mode()
def test_logits_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCTC

    model = model_of(MODELS[name])
    save_ctc(model, Vocabulary.letters(), tmp_path / name)
    theirs = AutoModelForCTC.from_pretrained(tmp_path / name).eval()
    waves, lengths = ragged([20_320])
    assert apart(compiled(model)(waves, lengths)[0], theirs(waves).logits) < CLOSE


def test_a_model_without_a_graph_form_is_named() -> None:
    with pytest.raises(UsageError, match="asapp is not for graphs"):
        build(small("sew", compat="asapp"), {})
