"""How often an update waits for the device: every value that the host fetches is counted by the operator that fetches it.

On a GPU each of them would stop the host until all queued work is done. Here the CPU counts them: the operators are the same.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_task import TinyTask, tiny_config
from torch.utils._python_dispatch import TorchDispatchMode

from sewcli.base.errors import DataError
from sewcli.data.utterances import Utterance, read_split
from sewcli.models.ctc import CTCModel
from sewcli.models.pretraining import PretrainingModel
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary
from sewcli.training.batch_stream import loaded_updates
from sewcli.training.checkpoint import WEIGHTS, TrainingState
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.deferred_results import DeferredResults
from sewcli.training.finetune import Finetuning
from sewcli.training.loop import train
from sewcli.training.pretrain import Pretraining
from sewcli.training.recipes import compose
from sewcli.training.updater import Updater

CPU = torch.device("cpu")
# values that reach the host, and operators whose output's shape depends on values
FETCHES = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique",
    "equal",
    "is_nonzero",
    "repeat_interleave.Tensor",
)
SETS = ["batch.seconds=16", "batch.micro_seconds=4", "data.min_seconds=0.6", "updates=9"]


class Fetches(TorchDispatchMode):
    """Counts them by the function here that fetches, but for what is fetched from `LENGTHS`."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func).removeprefix("aten.")
        by_mask = name.startswith(("index.", "_unsafe_index.")) and any(_is_mask(index) for index in args[1])
        if name.startswith(FETCHES) or by_mask:
            where = _caller()
            if not (where in LENGTHS and args[0].dtype == torch.int64):
                self.counted[f"{name} in {where}"] += 1
        return func(*args, **(kwargs or {}))


# The true lengths of a batch stay on the host (`torch.from_numpy` without a device), and with them what follows from them.
LENGTHS = {
    "models/encoder.py extract",
    "models/encoder.py contextualise",
    "models/pretraining.py mean_square",
    "data/loading.py samples",
    "training/finetune.py loss",  # ctc_loss takes lengths from the host
}


def _is_mask(index) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype is torch.bool


def _caller() -> str:
    frame = sys._getframe(2)
    while frame and "/sewcli/" not in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rpartition('/sewcli/')[2]} {frame.f_code.co_name}" if frame else "a test"


@pytest.fixture
def utterances(prepared: Path) -> list[Utterance]:
    return read_split(prepared, "train-clean-100")


def pretraining(utterances: list[Utterance], *sets: str) -> Pretraining:
    config = compose(PretrainConfig, "pretrain", None, {"model": "sew-micro"}, [*SETS, *sets])
    return Pretraining(config, PretrainingModel(lookup("sew-micro")), utterances, utterances[:4])


def finetuning(utterances: list[Utterance], *sets: str) -> Finetuning:
    config = compose(FinetuneConfig, "finetune", None, {"model": "sew-micro"}, [*SETS, *sets])
    vocabulary = Vocabulary.letters()
    model = CTCModel(lookup("sew-micro"), len(vocabulary))
    return Finetuning(config, model, vocabulary, utterances, utterances[:2])


def fetches_of_an_update(task) -> Counter[str]:
    """Of the second update: the first meets parameters that the optimizer does not know."""
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-4, fused=True)
    updater = Updater(task, CPU, optimizer)
    updates = loaded_updates(task, TrainingState(), lambda: False)
    for _ in range(2):
        update = next(updates)
        with Fetches() as fetches:
            _, facts = updater.update(update, 1e-4)
        assert len(update.batches) == 4 and facts.shape == (2 + len(update.batches),)
    return fetches.counted


def test_the_count_can_fail() -> None:
    with Fetches() as fetches:
        float(torch.ones(()))
        bool(torch.ones(2).isfinite().all())
        torch.ones(3)[torch.ones(3, dtype=torch.bool)]
    assert fetches.counted.total() == 3


@pytest.mark.parametrize("sets", [(), ("overrides.family=sew-d",), ("overrides.predictor=linear",)])
def test_an_update_of_pretraining_fetches_nothing(sets, utterances: list[Utterance]) -> None:
    found = fetches_of_an_update(pretraining(utterances, "overrides.layer_drop=0", *sets))
    assert not found, found


@pytest.mark.parametrize("sets", [("freeze_updates=5",), ("extractor_gradient=1",), ()])
def test_an_update_of_finetuning_fetches_nothing(sets, utterances: list[Utterance]) -> None:
    found = fetches_of_an_update(finetuning(utterances, "overrides.layer_drop=0", *sets))
    assert not found, found


def test_all_rows_are_fetched_at_once(tmp_path: Path) -> None:
    from sewcli.training.meters import Metrics

    metrics = Metrics(tmp_path, resumed_at=0, tensorboard=False)
    for step in range(50):
        values = {name: torch.tensor(float(step)) for name in ("loss", "grad_norm")}
        metrics.add({"step": step, **values, "bad": torch.tensor(float("nan"))})
    with Fetches() as fetches:
        rows = metrics.flush()
    assert fetches.counted.total() <= 1
    assert rows[7] == {"step": 7, "loss": 7.0, "grad_norm": 7.0, "bad": None}


class Late(DeferredResults):
    """As on a GPU: looked at when the next update has been handed over."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device, behind=1)


@pytest.mark.parametrize("poisoned", [set(), {3}, {3, 4}, {11}])
def test_a_late_look_changes_no_weight(poisoned: set[int], tmp_path: Path, monkeypatch, capsys) -> None:
    runs = {}
    for name in ("at once", "late"):
        task = TinyTask(tiny_config(valid_every=5))
        task.poisoned = poisoned
        train(task, tmp_path / name, CPU)
        runs[name] = (tmp_path / name / "checkpoints/step-12" / WEIGHTS).read_bytes()
        said = " ".join(capsys.readouterr().err.split())
        for step in poisoned:
            assert f"update {step + 1}: the loss or its gradient is not finite; skipped (u" in said
        monkeypatch.setattr("sewcli.training.loop.DeferredResults", Late)
    assert runs["late"] == runs["at once"]


def test_a_late_look_still_stops_before_the_checkpoint(tmp_path: Path, monkeypatch) -> None:
    """Updates 6 to 8 are bad, and 8 ends with a checkpoint: what it would hold is known to be of a run gone wrong."""
    monkeypatch.setattr("sewcli.training.loop.DeferredResults", Late)
    task = TinyTask(tiny_config())
    task.poisoned = {5, 6, 7}
    with pytest.raises(DataError, match="no finite loss in 3 updates in a row") as caught:
        train(task, tmp_path, CPU)
    assert not (tmp_path / "checkpoints/step-8").exists() and (tmp_path / "checkpoints/step-4").exists()
    micro = [np.load(path) for path in sorted(Path(str(caught.value.where)).glob("*.npz"))]
    assert micro


def test_a_skipped_update_touches_nothing(tmp_path: Path) -> None:
    """Neither weights nor the optimizer's averages and counts of steps: the device itself decides."""
    task = TinyTask(tiny_config())
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-2, weight_decay=0.1, fused=True)
    updater = Updater(task, CPU, optimizer)
    updates = loaded_updates(task, TrainingState(), lambda: False)

    def everything() -> list[torch.Tensor]:
        return [
            tensor.clone()
            for p in task.model.parameters()
            for tensor in (p.detach(), *(v for v in optimizer.state[p].values()))
        ]

    updater.update(next(updates), 1e-2)
    before = everything()
    task.poisoned = {1}
    skipped = next(updates)
    _, facts = updater.update(skipped, 1e-2)
    assert facts.tolist()[0] == 0.0 and facts.tolist()[2:] == [0.0] * len(skipped.batches)
    assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))
    task.poisoned = set()
    _, facts = updater.update(next(updates), 1e-2)
    assert facts.tolist()[0] == 1.0
    assert not any(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))
