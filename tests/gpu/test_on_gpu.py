"""What only a GPU can show: `make test-gpu` runs it there, together with the fused kernels' own tests; skipped elsewhere."""

import numpy as np
import pytest
import torch

from sewcli.data.loading import WaveBatch, pinned, to_device
from sewcli.models.ctc import CTCModel
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.runtimes import fused_attention as fused
from sewcli.runtimes.inference import for_inference

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use: not tested here")
MODELS = ["w2v2-micro", "sew-micro", "sew-d-micro"]
TEMPERATURE = 2.0


def update(model: PretrainingModel, seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Loss a frame and gradients of a pre-training batch in bf16."""
    torch.manual_seed(seed)
    waves = 0.1 * torch.randn(3, 32_000, device="cuda")
    lengths = torch.full((3,), 32_000)
    mask = torch.zeros(3, int(model.encoder.frames(32_000)), dtype=torch.bool)
    mask[:, 10:40] = True
    mask = mask.cuda()
    predicted = torch.arange(10, 40, device="cuda").expand(3, -1)
    torch.manual_seed(seed)
    with torch.autocast("cuda", torch.bfloat16):
        output = model(waves, lengths, mask, TEMPERATURE, predicted)
    (output.loss / output.frames).backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return output.loss.detach() / output.frames, gradients


def pretraining(name: str, **changes: float) -> PretrainingModel:
    torch.manual_seed(0)
    model = PretrainingModel(lookup(name).model_copy(update={"layer_drop": 0.0, **changes})).cuda().train()
    fused.use_kernels(model)
    return model


def test_sew_d_is_served_by_the_kernels_in_bf16_only() -> None:
    x = torch.randn(1, 20, 128, device="cuda")
    assert not fused.serves_here(x, 64)
    assert fused.serves_here(x.bfloat16(), 64)
    with torch.autocast("cuda", torch.bfloat16):
        assert fused.serves_here(x, 64)


@pytest.mark.parametrize("name", MODELS)
def test_an_update_is_the_same_twice(name: str) -> None:
    model = pretraining(name)
    first, second = update(model, 1), update(model, 1)
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_an_update_waits_for_nothing(name: str) -> None:
    model = pretraining(name)
    update(model, 1)  # choices of algorithms, compilation
    waves, lengths = 0.1 * torch.randn(3, 32_000, device="cuda"), torch.full((3,), 32_000)
    mask = torch.zeros(3, int(model.encoder.frames(32_000)), dtype=torch.bool, device="cuda")
    predicted = torch.arange(10, 40, device="cuda").expand(3, -1)
    mask[:, 10:40] = True
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.autocast("cuda", torch.bfloat16):
            output = model(waves, lengths, mask, TEMPERATURE, predicted)
        (output.loss / output.frames).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_kernels_train_like_the_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pretraining("sew-d-micro", attention_dropout=0.0)
    loss, gradients = update(model, 1)
    monkeypatch.setattr(fused, "serves_here", lambda x, heads: False)
    plain_loss, plain_gradients = update(model, 1)
    assert float(loss) == pytest.approx(float(plain_loss), rel=0.02)
    for ours, plain in zip(gradients, plain_gradients, strict=True):
        assert torch.nn.functional.cosine_similarity(ours.flatten().double(), plain.flatten().double(), dim=0) > 0.98


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = for_inference(CTCModel(lookup(name), 32), torch.device("cuda"), torch.bfloat16)
    waves = 0.1 * torch.randn(2, 48_000, device="cuda", dtype=torch.bfloat16)
    waves[1, 20_000:] = 0
    with torch.inference_mode():
        both = model(waves, torch.tensor([48_000, 20_000]))
        alone = model(waves[1:, :20_000], torch.tensor([20_000]))
    frames = int(alone.lengths[0])
    assert torch.allclose(both.logits[1, :frames].float(), alone.logits[0].float(), atol=0.1)


def test_memory_grows_with_the_length_and_not_with_its_square() -> None:
    layer = DisentangledAttention(512, 8, dropout=0.1, position_dropout=0.0, buckets=256, max_positions=512)
    layer = layer.cuda().bfloat16()
    fused.use_kernels(layer)
    table = torch.randn(512, 512, device="cuda", dtype=torch.bfloat16)
    peaks = []
    for frames in (1500, 6000):
        x = torch.randn(1, frames, 512, device="cuda", dtype=torch.bfloat16).requires_grad_()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        layer(x, None, table).sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
        layer.zero_grad(set_to_none=True)
    assert peaks[1] < 5 * peaks[0], peaks


def test_batches_are_page_locked_by_the_readers() -> None:
    batch = pinned(WaveBatch(("a",), np.ones((1, 400), dtype=np.float32), np.array([400])))
    assert torch.from_numpy(batch.waves).is_pinned() and torch.from_numpy(batch.lengths).is_pinned()
    assert to_device(batch.waves, torch.device("cuda")).sum() == 400
