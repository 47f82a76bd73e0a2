"""Updates that are not finite name their utterances; three in a row leave the batch on disk. Broken files in a real run."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from test_tasks import CPU
from tiny_task import TinyTask, tiny_config

from sewcli.base.errors import DataError, PartialError
from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.training import finetune, pretrain
from sewcli.training.bad_batch import FOLDER
from sewcli.training.config import FinetuneConfig, PretrainConfig
from sewcli.training.loop import train
from sewcli.training.recipes import compose


class Poisoned(TinyTask):
    """Of micro-batch 1 in `poisoned` updates, the loss is NaN; or in all of them only its gradient."""

    gradient = False

    def loss(self, batch, step, number, device):
        poisoned, self.poisoned = self.poisoned, set()
        try:
            result = super().loss(batch, step, number, device)
        finally:
            self.poisoned = poisoned
        if step in poisoned and self.gradient:
            result.loss.register_hook(lambda gradient: gradient * float("inf"))
        elif step in poisoned and number == 1:
            result.loss = result.loss * float("nan")
        return result


def run(exp: Path, *, gradient: bool = False, poisoned=(3, 4, 5)) -> Poisoned:
    task = Poisoned(tiny_config())
    task.poisoned, task.gradient = set(poisoned), gradient
    train(task, exp, CPU)
    return task


def names(task: TinyTask, step: int, number: int) -> list[str]:
    updates = [update for epoch in range(3) for update in task.plan.epoch(epoch)]
    return [f"u{i}" for i in updates[step][number]]


def test_the_utterances_of_a_bad_loss_are_named(tmp_path: Path, capsys) -> None:
    task = run(tmp_path, poisoned=[3])
    said = " ".join(capsys.readouterr().err.split())
    named = re.search(r"update 4: the loss or its gradient is not finite; skipped \((.*?)\)", said)
    assert named is not None and named[1].split() == names(task, 3, 1)


def test_a_bad_gradient_names_all_of_the_update(tmp_path: Path, capsys) -> None:
    task = run(tmp_path, gradient=True, poisoned=[3])
    named = re.search(r"skipped \((.*?)\)", " ".join(capsys.readouterr().err.split()))
    assert named is not None and named[1].split() == [u for number in range(4) for u in names(task, 3, number)]


def test_three_in_a_row_leave_the_batch_on_disk(tmp_path: Path) -> None:
    task = Poisoned(tiny_config())
    with pytest.raises(DataError, match="no finite loss in 3 updates in a row") as caught:
        run(tmp_path)
    folder = tmp_path / FOLDER / "rank-0"
    assert caught.value.where == folder and caught.value.exit_code == 3
    record = json.loads((folder / "batch.json").read_text())
    assert record["update"] == 6 and [m["finite"] for m in record["micro_batches"]] == [True, False]
    updates = [update for epoch in range(3) for update in task.plan.epoch(epoch)]
    for number, micro in enumerate(record["micro_batches"]):
        assert micro["ids"] == names(task, 5, number)
        again = task.load(updates[5][number], 5, number)
        with np.load(folder / f"micro-{number}.npz", allow_pickle=False) as arrays:
            assert set(arrays) == {"waves", "lengths"}
            assert (arrays["waves"] == again.waves).all() and (arrays["lengths"] == again.lengths).all()
    assert all(torch.isfinite(p).all() for p in task.model.parameters())


@pytest.fixture
def broken(prepared: Path, tmp_path: Path) -> Path:
    """The prepared corpus with one truncated file among the training cuts."""
    data = tmp_path / "data"
    data.mkdir()
    for path in prepared.glob("cuts_*.jsonl.gz"):
        rows = list(read_jsonl(path))
        if "train" in path.name:
            source = rows[5]["recording"]["sources"][0]
            (tmp_path / "cut.flac").write_bytes(Path(source["source"]).read_bytes()[:3000])
            source["source"] = str(tmp_path / "cut.flac")
        write_jsonl(data / path.name, rows)
    return data


SMALL = [
    "batch.seconds=60",
    "batch.micro_seconds=12",
    "updates=2",
    "valid_every=9",
    "tensorboard=false",
    "data.min_seconds=0.1",
]


@pytest.mark.parametrize(
    ("verb", "cls", "module"), [("pretrain", PretrainConfig, pretrain), ("finetune", FinetuneConfig, finetune)]
)
def test_a_broken_file_costs_an_utterance_and_is_told_at_the_end(
    verb, cls, module, broken: Path, tmp_path: Path
) -> None:
    flags = {"model": "sew-micro", "data": {"dir": str(broken)}}
    for exp in ("one", "two"):
        config = compose(cls, verb, None, flags, [*SMALL, "data.max_rejected=0.05"])
        with pytest.raises(PartialError, match=r"1 of 3. utterances could not be read") as caught:
            module.run(config, tmp_path / exp, "cpu")
        assert caught.value.exit_code == 4 and caught.value.where == tmp_path / exp / "rejected.jsonl"
    weights = [(tmp_path / exp / "model/model.safetensors").read_bytes() for exp in ("one", "two")]
    assert weights[0] == weights[1]
    config = compose(cls, verb, None, flags, SMALL)
    with pytest.raises(DataError, match=r"1 of 3. utterances cannot be read; 0 may be"):
        module.run(config, tmp_path / "none", "cpu")
