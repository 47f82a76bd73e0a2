"""PyTorch as a runtime: precisions, batches, and what is refused."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from support.model_cases import shaken, small

from sewcli.base.errors import UsageError
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.runtimes.recogniser import Recogniser, RuntimeOptions
from sewcli.runtimes.torch_runtime import TorchModel, choose_precision
from sewcli.text.tokens import Vocabulary

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def waves(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]


@pytest.mark.parametrize("family", ["wav2vec2", "sew", "sew-d"])
def test_bf16_is_fp32_to_its_own_precision(family: str) -> None:
    network = shaken(CTCModel(small(family), 32))
    heard = waves(9_000, 20_000, 16_001)
    exact = TorchModel.prepare(copy.deepcopy(network), CPU).run(heard)
    rough = TorchModel.prepare(network, CPU, "bf16").run(heard)
    for a, b in zip(exact, rough, strict=True):
        assert b.dtype == np.float32 and a.shape == b.shape and b.flags.c_contiguous
        assert 1e-6 < np.abs(a - b).max() / np.abs(a).max() < 3e-2


@pytest.mark.parametrize("family", ["wav2vec2", "sew", "sew-d"])
def test_an_emission_is_its_own_in_any_batch_and_of_its_true_length(family: str) -> None:
    model = TorchModel.prepare(shaken(CTCModel(small(family), 32)), CPU)
    heard = waves(400, 24_000, 7_777)
    together = model.run(heard)
    for wave, emission in zip(heard, together, strict=True):
        (alone,) = model.run([wave])
        assert emission.shape == (model.config.frames(len(wave)), model.symbols)
        np.testing.assert_allclose(emission, alone, atol=2e-5)
        np.testing.assert_allclose(np.exp(emission).sum(axis=1), 1, atol=1e-5)


def test_precisions_of_devices() -> None:
    assert (choose_precision("auto", CPU), choose_precision("auto", GPU)) == ("fp32", "tf32")
    assert choose_precision("fp16", GPU) == "fp16"
    for name in ("fp16", "tf32"):
        with pytest.raises(UsageError, match="for GPUs"):
            choose_precision(name, CPU)


def test_a_recogniser_is_known_before_its_weights_are_read(tmp_path: Path) -> None:
    save_ctc(CTCModel(small("sew-d"), len(Vocabulary.letters())), Vocabulary.letters(), tmp_path / "model")
    asked = []

    def device() -> torch.device:
        asked.append(1)
        return CPU

    heard = Recogniser(tmp_path / "model", device)
    assert heard.vocabulary == Vocabulary.letters() and heard.config.family == "sew-d" and not asked
    assert heard.start() is heard.start() and asked == [1]
    assert heard.start().facts()["precision"] == "fp32" and heard.start().waits


def test_what_may_change_emissions_marks_them() -> None:
    assert RuntimeOptions().marks() == []
    assert RuntimeOptions(precision="bf16").marks() != RuntimeOptions(precision="fp32").marks() != []
