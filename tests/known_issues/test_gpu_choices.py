"""What a GPU is asked for: a precision that it has, and kernels that were seen to agree with the plain path."""

import pytest
import torch
from noise_speech import tiny_model, write_noise
from support import interpreted_triton

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.zoo import lookup
from sewcli.nn.disentangled import DisentangledAttention
from sewcli.runtimes import fused_attention as fused
from sewcli.training.attention import choose_attention
from sewcli.training.config import FinetuneConfig
from sewcli.training.precision import precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.fault("F3")
@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)], ids=["A100", "V100"])
def test_auto_takes_bf16_only_where_it_is_not_emulated(native: bool, expected: torch.dtype, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    config = FinetuneConfig(model="sew-micro")
    assert precision(config, GPU) is expected
    assert precision(config, CPU) is torch.float32
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        assert precision(config.model_copy(update={"precision": name}), GPU) is dtype


@pytest.fixture
def served(monkeypatch):
    """The kernels, interpreted, where a GPU would run them."""
    interpreted_triton.patch()
    monkeypatch.setattr(fused, "serves_here", lambda x, head_width: True)
    agree = fused.kernels_agree
    agree.cache_clear()
    yield
    agree.cache_clear()


def layer() -> DisentangledAttention:
    made = DisentangledAttention(64, 2, dropout=0.0, position_dropout=0.0, buckets=16, max_positions=40)
    return made.eval()


@interpreted_triton.on_linux
@pytest.mark.fault("F4")
@pytest.mark.parametrize(("dtype", "inference"), [(torch.bfloat16, True), (torch.float16, False)], ids=str)
def test_good_kernels_pass_the_check(dtype: torch.dtype, inference: bool, served, capfd) -> None:
    before = torch.random.get_rng_state()
    with torch.inference_mode(inference):
        assert fused.kernels_agree(CPU, dtype, 16)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capfd.readouterr().err == ""


@interpreted_triton.on_linux
@pytest.mark.fault("F4")
@pytest.mark.parametrize("fault", ["wrong", "gradient", "nan", "raises"])
def test_bad_kernels_are_left_for_the_plain_path(fault: str, served, monkeypatch, capfd) -> None:
    right = fused.attend

    def broken(query, *others):
        if fault == "raises":
            raise RuntimeError("PassManager::run failed")
        mixed = right(query, *others)
        if fault == "gradient":
            return mixed.detach() + 0 * query
        return mixed * (float("nan") if fault == "nan" else 1.2)

    monkeypatch.setattr(fused, "attend", broken)
    x, table = torch.randn(1, 20, 64), torch.randn(32, 64)
    plain = layer()
    chosen = layer()
    chosen.load_state_dict(plain.state_dict())
    fused.use_kernels(chosen)
    with torch.no_grad():
        assert torch.equal(chosen(x, None, table), plain(x, None, table))
        chosen(x, None, table)
    said = capfd.readouterr().err
    assert said.count("the plain path is used") == 1 and "--set attention=plain" in said
    assert ("PassManager::run failed" in said) == (fault == "raises")


@interpreted_triton.on_linux
@pytest.mark.fault("F4")
def test_the_config_says_which_path(served, monkeypatch) -> None:
    torch.manual_seed(0)
    model = CTCModel(lookup("sew-d-micro"), 32).eval()
    called = []
    whole = fused.FusedMix.by_kernels
    monkeypatch.setattr(fused.FusedMix, "by_kernels", lambda self, *given: called.append(self) or whole(self, *given))
    monkeypatch.setattr(fused, "kernels_agree", lambda *given: True)
    monkeypatch.setattr(fused, "serves", lambda *given: True)
    outputs, waves = {}, 0.1 * torch.randn(1, 6000)
    for choice in ("plain", "fused", "auto"):
        called.clear()
        choose_attention(model, FinetuneConfig(model="sew-d-micro", attention=choice), CPU)
        with torch.no_grad():
            outputs[choice] = model(waves, torch.tensor([6000])).logits
        assert bool(called) == (choice != "plain")
    assert torch.allclose(outputs["plain"], outputs["fused"], atol=1e-4)
    assert torch.equal(outputs["auto"], outputs["fused"])


@pytest.mark.fault("F4")
@pytest.mark.parametrize(("name", "reason"), [("sew-micro", "SEW-D alone has it"), ("sew-d-micro", "no kernel for")])
def test_kernels_that_cannot_serve_are_refused(name: str, reason: str) -> None:
    config = FinetuneConfig(model=name, attention="fused")
    with pytest.raises(UsageError, match=reason):
        choose_attention(CTCModel(lookup(name), 32), config, CPU)


@pytest.mark.fault("F4")
def test_heads_that_were_pruned_are_asked_about_by_their_own_width() -> None:
    pruned = DisentangledAttention(
        128, 2, dropout=0.0, position_dropout=0.0, buckets=16, max_positions=40, head_width=48
    )
    assert pruned.head_width == 48 and not fused.serves("cuda", torch.bfloat16, pruned.head_width, (9, 0), True)


@pytest.mark.fault("F4")
def test_a_run_may_go_on_with_the_other_path(tmp_path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 4, "dev-a": [1.0]})
    model = tiny_model(tmp_path / "model")
    sets = ["batch.seconds=4", "batch.micro_seconds=4", "tensorboard=false", "data.min_seconds=0.6"]
    for updates, attention in ((1, "auto"), (2, "plain")):
        chosen = [part for setting in (*sets, f"attention={attention}") for part in ("--set", setting)]
        where = ("--model", model, "--data", data, "--exp", tmp_path / "exp", "--device", "cpu")
        done = sew_here("pretrain", *where, "--updates", updates, *chosen)
        assert done.returncode == 0, done.stderr
