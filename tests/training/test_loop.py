"""The loop: resume is exact, damage is seen, signals are served, bad numbers are skipped and named."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused
from tiny_task import TinyTask, tiny_config

from sewcli.base.errors import DataError, PoliteStop
from sewcli.training import checkpoint
from sewcli.training.config import OptimConfig
from sewcli.training.loop import train

CPU = torch.device("cpu")
CLOCKED = ("audio_per_second", "memory_mb")


def rows(exp: Path) -> list[dict]:
    lines = (exp / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCKED} for line in lines]


def train_rows(exp: Path) -> list[dict]:
    return [row for row in rows(exp) if "kind" not in row]


def weights(exp: Path, step: int) -> bytes:
    return (exp / "checkpoints" / f"step-{step}" / checkpoint.WEIGHTS).read_bytes()


def test_an_update_equals_its_formula(tmp_path: Path) -> None:
    """One update by hand: the mean over all items of all micro-batches, then AdamW."""
    config = tiny_config(updates=1)
    task, twin = TinyTask(config), TinyTask(config)
    train(task, tmp_path, CPU)
    optimizer = torch.optim.AdamW(twin.model.parameters(), lr=1e-2, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)
    from sewcli.base.rng import seed_torch

    micro_batches = twin.plan.epoch(0)[0]
    assert len(micro_batches) == 4
    total = sum(len(m) for m in micro_batches)
    for number, micro_batch in enumerate(micro_batches):
        seed_torch(config.seed, "update", 0, number)
        (twin.loss(twin.load(micro_batch, 0, number), 0, number, CPU).loss / total).backward()
    optimizer.step()
    for own, expected in zip(task.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("stop_at", [4, 8])
def test_resume_from_any_checkpoint_is_exact(tmp_path: Path, stop_at: int) -> None:
    train(TinyTask(tiny_config()), tmp_path / "whole", CPU)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for folder in (tmp_path / "cut" / "checkpoints").iterdir():
        if folder.name != f"step-{stop_at}":
            shutil.rmtree(folder)
    if stop_at == 4:  # keep=2 had already removed it: make it again
        shutil.rmtree(tmp_path / "cut")
        train(TinyTask(tiny_config(updates=4)), tmp_path / "cut", CPU)
    train(TinyTask(tiny_config()), tmp_path / "cut", CPU)
    assert weights(tmp_path / "cut", 12) == weights(tmp_path / "whole", 12)
    assert train_rows(tmp_path / "cut") == train_rows(tmp_path / "whole")
    assert [row["step"] for row in train_rows(tmp_path / "cut")] == list(range(1, 13))


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert train(TinyTask(tiny_config()), tmp_path, CPU).step == 12
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_model_that_is_gone_is_written_again(tmp_path: Path, capsys) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    shutil.rmtree(tmp_path / "model")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    train(TinyTask(tiny_config()), tmp_path, CPU)
    said = capsys.readouterr().err
    assert "model is gone; writing it from the last checkpoint (update 12)" in said
    assert (
        load_file(tmp_path / "model" / "model.safetensors").keys() == TinyTask(tiny_config()).model.state_dict().keys()
    )
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == weights(tmp_path, 12)
    figure = [row["figure"] for row in rows(tmp_path) if row.get("kind") == "valid"]
    assert ("of an earlier update and better" in said) == (min(figure) < figure[-1])
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_model_that_is_gone_in_mid_run_is_written_by_the_next_validation(tmp_path: Path, capsys) -> None:
    for name in ("whole", "gone"):
        task = TinyTask(tiny_config())
        task.loss = signalling(task, signal.SIGTERM, at=6)
        with pytest.raises(PoliteStop):
            train(task, tmp_path / name, CPU)
    shutil.rmtree(tmp_path / "gone" / "model")
    for name in ("whole", "gone"):
        task = TinyTask(tiny_config())
        task.validate = lambda step, device, stop: (1e9 + step, {"figure": 1e9 + step})  # never so bad before
        train(task, tmp_path / name, CPU)
    assert "model is gone; the next validation writes it" in capsys.readouterr().err
    kept = {name: load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "gone")}
    assert not torch.equal(kept["whole"]["0.weight"], kept["gone"]["0.weight"])
    assert weights(tmp_path / "whole", 12) == weights(tmp_path / "gone", 12)


@pytest.mark.parametrize("kind", ["without gradient", "with a gradient of zero"])
def test_what_never_learned_does_not_decay(tmp_path: Path, kind: str) -> None:
    """Frozen parameters stay as they are, whatever the weight decay, until their first gradient; then they learn."""

    class Frozen(TinyTask):
        def loss(self, batch, step, number, device):
            result = super().loss(batch, step, number, device)
            side = self.model.side * (0.0 if step < 8 else 1.0)
            if kind == "with a gradient of zero" or step >= 8:
                result.loss = result.loss + side.sum()
            return result

    def run(folder: Path, updates: int) -> dict[str, torch.Tensor]:
        config = tiny_config(updates=updates, optim=OptimConfig(lr=1e-2, eps=1e-8, weight_decay=0.5))
        task = Frozen(config)
        task.model.side = torch.nn.Parameter(torch.ones(3))
        train(task, folder, CPU)
        return load_file(folder / "checkpoints" / f"step-{updates}" / checkpoint.WEIGHTS)

    assert torch.equal(run(tmp_path / "cut", 8)["side"], torch.ones(3))
    whole, resumed = run(tmp_path / "whole", 12), run(tmp_path / "cut", 12)
    assert (whole["side"] < 0.99).all()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_dropped_layer_that_has_learned_still_takes_part(tmp_path: Path) -> None:
    """As in the authors' training: a zero gradient, so that momentum goes on and the weights decay."""

    class Dropping(TinyTask):
        def loss(self, batch, step, number, device):
            result = super().loss(batch, step, number, device)
            if step == 0:
                result.loss = result.loss + self.model.side.sum()
            return result

    found = {}
    for updates in (1, 2):
        task = Dropping(tiny_config(updates=updates))
        task.model.side = torch.nn.Parameter(torch.ones(3))
        train(task, tmp_path / str(updates), CPU)
        found[updates] = task.model.side.detach().clone()
    assert (found[2] < found[1]).all()


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-12", "step-8"]


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMIZER, checkpoint.STATE])
def test_a_flipped_byte_is_seen_and_the_one_before_is_used(tmp_path: Path, name: str, capsys) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    good = weights(tmp_path, 12)
    damaged = tmp_path / "checkpoints" / "step-12" / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    train(TinyTask(tiny_config()), tmp_path, CPU)
    said = capsys.readouterr().err
    assert f"{name} is damaged" in said and "going on from update 8" in said
    assert weights(tmp_path, 12) == good and checkpoint.find_fault(tmp_path / "checkpoints" / "step-12") is None


def without_done(folder: Path) -> None:
    (folder / checkpoint.DONE).unlink()


def truncated(folder: Path) -> None:
    with open(folder / checkpoint.WEIGHTS, "r+b") as file:
        file.truncate(1000)


def empty_state(folder: Path) -> None:
    (folder / checkpoint.STATE).write_bytes(b"")


def no_optimizer(folder: Path) -> None:
    (folder / checkpoint.OPTIMIZER).unlink()


def flipped_done(folder: Path) -> None:
    content = bytearray((folder / checkpoint.DONE).read_bytes())
    content[5] ^= 0x80  # no letter any more
    (folder / checkpoint.DONE).write_bytes(content)


def other_digits(folder: Path) -> None:
    """The hash in DONE is of another state.json."""
    (folder / checkpoint.DONE).write_text("0" * 64 + "\n")


@pytest.mark.parametrize("damage", [without_done, truncated, empty_state, no_optimizer, flipped_done, other_digits])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage, capsys) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    whole, told = weights(tmp_path, 12), train_rows(tmp_path)
    damage(tmp_path / "checkpoints" / "step-12")
    assert train(TinyTask(tiny_config()), tmp_path, CPU).step == 12
    said = capsys.readouterr().err
    assert "step-12: " in said and "passed over" in said and "going on from update 8" in said
    assert weights(tmp_path, 12) == whole and train_rows(tmp_path) == told
    assert checkpoint.find_fault(tmp_path / "checkpoints" / "step-12") is None


def test_no_whole_checkpoint_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    train(TinyTask(tiny_config()), tmp_path, CPU)
    for folder in (tmp_path / "checkpoints").iterdir():
        (folder / checkpoint.DONE).unlink()
    with refused(DataError, "no-whole-checkpoint"):
        train(TinyTask(tiny_config()), tmp_path, CPU)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stop_signal_saves_and_leaves_politely(tmp_path: Path, number: signal.Signals) -> None:
    train(TinyTask(tiny_config()), tmp_path / "whole", CPU)
    task = TinyTask(tiny_config())
    task.loss = signalling(task, number, at=6)
    with pytest.raises(PoliteStop, match="update 7 of 12"):
        train(task, tmp_path / "cut", CPU)
    assert checkpoint.newest(tmp_path / "cut" / "checkpoints").name == "step-7"
    train(TinyTask(tiny_config()), tmp_path / "cut", CPU)
    assert weights(tmp_path / "cut", 12) == weights(tmp_path / "whole", 12)


def test_ctrl_c_saves_too(tmp_path: Path) -> None:
    task = TinyTask(tiny_config())
    task.loss = signalling(task, signal.SIGINT, at=6)
    with pytest.raises(KeyboardInterrupt):
        train(task, tmp_path, CPU)
    assert checkpoint.newest(tmp_path / "checkpoints").name == "step-7"


def test_a_validation_cut_short_is_made_up_for(tmp_path: Path) -> None:
    train(TinyTask(tiny_config()), tmp_path / "whole", CPU)
    task = TinyTask(tiny_config())
    task.loss = signalling(task, signal.SIGTERM, at=4)  # validation is due after update 5
    with pytest.raises(PoliteStop):
        train(task, tmp_path / "cut", CPU)
    assert not [row for row in rows(tmp_path / "cut") if row.get("kind") == "valid"]
    train(TinyTask(tiny_config()), tmp_path / "cut", CPU)
    valid = [[row for row in rows(tmp_path / e) if row.get("kind") == "valid"] for e in ("cut", "whole")]
    assert valid[0] == valid[1] and [row["step"] for row in valid[0]] == [5, 10, 12]


def test_the_last_validation_is_made_up_for_too(tmp_path: Path) -> None:
    train(TinyTask(tiny_config()), tmp_path / "whole", CPU)
    task = TinyTask(tiny_config())
    task.loss = signalling(task, signal.SIGTERM, at=11)
    with pytest.raises(PoliteStop, match="update 12 of 12"):
        train(task, tmp_path / "cut", CPU)
    assert len([row for row in rows(tmp_path / "cut") if row.get("kind") == "valid"]) == 2
    state = train(TinyTask(tiny_config()), tmp_path / "cut", CPU)
    assert state.step == 12 and not state.validation_due
    assert (
        rows(tmp_path / "cut")[-1] == rows(tmp_path / "whole")[-1] and rows(tmp_path / "whole")[-1]["kind"] == "valid"
    )
    for name in ("checkpoints/step-12/model.safetensors", "checkpoints/step-12/state.json", "model/model.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_model_that_a_kill_left_aside_is_put_back(tmp_path: Path) -> None:
    """The moment between two renames: the old model has its temporary name, the new one has not yet its own."""
    train(TinyTask(tiny_config()), tmp_path, CPU)
    best = (tmp_path / "model" / "model.safetensors").read_bytes()
    (tmp_path / "model").rename(tmp_path / ".tmp-77-old-model")
    (tmp_path / ".tmp-77-model-x1y2").mkdir()
    train(TinyTask(tiny_config()), tmp_path, CPU)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == best
    assert not list(tmp_path.glob(".tmp-*"))


def test_nothing_is_saved_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop right after a save finds that all is on disk; one before the first update has nothing to keep."""
    saved, save = [], checkpoint.save
    monkeypatch.setattr(
        checkpoint,
        "save",
        lambda folder, state, *rest, **keep: saved.append(state.step) or save(folder, state, *rest, **keep),
    )
    task = TinyTask(tiny_config())
    task.loss = signalling(task, signal.SIGTERM, at=3)
    with pytest.raises(PoliteStop, match="update 4 of 12"):
        train(task, tmp_path / "stopped", CPU)
    assert saved == [4]
    task = TinyTask(tiny_config())
    load, sent = task.load, []

    def first_load(*arguments):
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
            time.sleep(0.5)
        return load(*arguments)

    task.load = first_load
    with pytest.raises(PoliteStop, match="update 0 of 12"):
        train(task, tmp_path / "early", CPU)
    assert saved == [4] and not (tmp_path / "early" / "checkpoints").exists()


def test_a_bad_update_is_skipped_and_named(tmp_path: Path, capsys) -> None:
    task = TinyTask(tiny_config())
    task.poisoned = {3, 4}
    train(task, tmp_path, CPU)
    said = capsys.readouterr().err
    assert said.count("not finite; skipped") == 2 and "u" in said
    assert all(torch.isfinite(p).all() for p in task.model.parameters())


def test_three_bad_updates_in_a_row_stop_the_run(tmp_path: Path) -> None:
    task = TinyTask(tiny_config())
    task.poisoned = {3, 4, 5}
    with pytest.raises(DataError, match="3 updates in a row"):
        train(task, tmp_path, CPU)


def test_half_a_line_of_metrics_does_not_stop_a_resume(tmp_path: Path) -> None:
    task = TinyTask(tiny_config())
    task.loss = signalling(task, signal.SIGTERM, at=6)
    with pytest.raises(PoliteStop):
        train(task, tmp_path, CPU)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 8, "epo')
    train(TinyTask(tiny_config()), tmp_path, CPU)
    assert [row["step"] for row in train_rows(tmp_path)] == list(range(1, 13))


def signalling(task: TinyTask, number: signal.Signals, at: int):
    """The task's loss, sending this process a signal in update `at`."""
    plain, sent = task.loss, []

    def loss(batch, step, micro, device):
        if step == at and not sent:
            sent.append(True)
            os.kill(os.getpid(), number)
        return plain(batch, step, micro, device)

    return loss
