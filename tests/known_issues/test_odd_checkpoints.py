"""Checkpoints whose hashes hold and whose content no run wrote: refused by name, and never handed to the optimizer."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from noise_speech import tiny_model, write_noise
from safetensors.torch import load_file, save_file

from sewcli.base.errors import DataError
from sewcli.base.files import sha256
from sewcli.data.plan import BatchPlan, Position
from sewcli.data.reader import REJECTED, Reader
from sewcli.training import checkpoint
from sewcli.training.average import mean_weights
from sewcli.training.batch_stream import _in_order
from sewcli.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, TrainingState
from sewcli.training.meters import Metrics

GONE = object()


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 1))


def optimizer_of(network: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), fused=True)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    network = model()
    optimizer = optimizer_of(network)
    for _ in range(4):
        network(torch.randn(5, 6)).sum().backward()
        optimizer.step()
    return checkpoint.save(tmp_path, TrainingState(step=4, position=Position(1, 0)), network, optimizer, keep=2)


def seal(folder: Path) -> None:
    """Make all hashes those of what is there now."""
    state = json.loads((folder / STATE).read_text())
    if (
        isinstance(state, dict)
        and isinstance(state.get("sha256"), dict)
        and set(state["sha256"]) == {WEIGHTS, OPTIMIZER}
    ):
        state["sha256"] = {name: sha256(folder / name) for name in (WEIGHTS, OPTIMIZER)}
        (folder / STATE).write_text(json.dumps(state))
    (folder / "DONE").write_text(sha256(folder / STATE) + "\n")


def refused(folder: Path, name: str) -> DataError:
    """Every way to read the checkpoint; the model and the optimizer are as they were."""
    network = model()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = optimizer_of(network)
    with pytest.raises(DataError) as caught:
        newest = checkpoint.newest(folder.parent)
        assert newest is not None
        checkpoint.load(newest, network, optimizer)
    assert name in str(caught.value) and caught.value.exit_code == 3
    assert not optimizer.state
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return caught.value


ODD_STATES: list[tuple[str, Any]] = [
    *(("step", value) for value in (GONE, -7, 5, "4", 4.0, True, None, 10**400)),
    *(
        ("position", value)
        for value in (GONE, None, [], {"epoch": 0}, {"epoch": -1, "offset": 0}, {"epoch": 0, "offset": "1"})
    ),
    *(("sha256", value) for value in (GONE, None, [], {}, {WEIGHTS: 5, OPTIMIZER: "x"}, {"../../etc/passwd": "x"})),
    *(("best", value) for value in (GONE, "0.1", [], {})),
    *(("validation_due", value) for value in (GONE, 1, "no")),
    *(("scaler", value) for value in (GONE, 5, {"scale": "x"}, {"scale": 1.0})),
]


@pytest.mark.fault("input-25")
@pytest.mark.parametrize(("key", "value"), ODD_STATES, ids=lambda x: "gone" if x is GONE else str(x)[:30])
def test_an_odd_state(key: str, value: Any, saved: Path) -> None:
    state = json.loads((saved / STATE).read_text())
    if value is GONE:
        del state[key]
    else:
        state[key] = value
    (saved / STATE).write_text(json.dumps(state))
    (saved / "DONE").write_text(sha256(saved / STATE) + "\n")
    refused(saved, STATE)


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("text", ["[]", "5", "null", '"x"', "{", "{}", '{"step": NaN}', "\ufeff{}", "[" * 5000, ""])
def test_a_state_that_is_no_object(text: str, saved: Path) -> None:
    (saved / STATE).write_text(text)
    (saved / "DONE").write_text(sha256(saved / STATE) + "\n")
    refused(saved, STATE)


def changed(tensors: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    first = "0.weight:exp_avg"
    if how == "unknown parameter":
        return {**tensors, "2.weight:exp_avg": tensors[first].clone()}
    if how == "unknown part":
        return {**tensors, "0.weight:max_exp_avg_sq": tensors[first].clone()}
    if how == "no part":
        return {**tensors, "0.weight": tensors[first].clone()}
    if how == "a part missing":
        return {name: tensor for name, tensor in tensors.items() if name != "0.weight:exp_avg_sq"}
    values = {
        "one value": torch.zeros(1),
        "transposed": torch.zeros(6, 4),
        "no value": torch.zeros(0, 6),
        "scalar": torch.zeros(()),
        "float64": tensors[first].double(),
        "bfloat16": tensors[first].bfloat16(),
        "int64": tensors[first].long(),
    }
    if how in values:
        return {**tensors, first: values[how]}
    steps = {"negative": -1.0, "later": 5.0, "nan": float("nan"), "inf": float("inf")}
    count = torch.tensor([1.0, 2.0]) if how == "two counts" else torch.tensor(steps[how.split()[0]])
    return {**tensors, "0.weight:step": count}


ODD_MOMENTS = ["unknown parameter", "unknown part", "no part", "a part missing", "one value", "transposed", "no value"]
ODD_MOMENTS += ["scalar", "float64", "bfloat16", "int64", "negative count", "later count", "nan count", "inf count"]


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("how", [*ODD_MOMENTS, "two counts"])
def test_odd_moments_of_the_optimizer(how: str, saved: Path) -> None:
    save_file(changed(load_file(saved / OPTIMIZER), how), saved / OPTIMIZER)
    seal(saved)
    refused(saved, OPTIMIZER)


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("how", ["missing", "extra", "shape", "dtype"])
def test_odd_weights(how: str, saved: Path) -> None:
    weights = load_file(saved / WEIGHTS)
    if how == "missing":
        del weights["1.bias"]
    elif how == "extra":
        weights["2.bias"] = torch.zeros(1)
    else:
        weights["1.bias"] = torch.zeros(2) if how == "shape" else weights["1.bias"].half()
    save_file(weights, saved / WEIGHTS)
    seal(saved)
    refused(saved, WEIGHTS)


@pytest.mark.fault("input-25")
def test_odd_weights_among_those_that_are_averaged(saved: Path) -> None:
    save_file({**load_file(saved / WEIGHTS), "1.bias": torch.zeros(3)}, saved / WEIGHTS)
    seal(saved)
    with pytest.raises(DataError, match="and 0 others differ") as caught:
        mean_weights(checkpoint.read_weights(folder, model()) for folder in checkpoint.last(saved.parent, 1))
    assert caught.value.where == saved / WEIGHTS


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("name", [WEIGHTS, OPTIMIZER])
@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 8, (2).to_bytes(8, "little") + b"{}" + b"x"])
def test_files_that_are_not_safetensors(name: str, content: bytes, saved: Path) -> None:
    (saved / name).write_bytes(content)
    seal(saved)
    refused(saved, name)


@pytest.mark.fault("input-25")
def test_a_whole_one_is_read_exactly(saved: Path) -> None:
    network = model()
    optimizer = optimizer_of(network)
    state = checkpoint.load(saved, network, optimizer)
    assert state == TrainingState(step=4, position=Position(1, 0))
    kept = load_file(saved / OPTIMIZER)
    for name, parameter in network.named_parameters():
        assert all(
            torch.equal(optimizer.state[parameter][part], kept[f"{name}:{part}"]) for part in ("exp_avg", "step")
        )


@pytest.mark.fault("input-25")
def test_a_place_beyond_the_epoch_is_not_another_epoch() -> None:
    plan = BatchPlan([16_000] * 12, 32_000, 2, seed=1)
    assert next(_in_order(plan, Position(3, 2)))[0] == Position(4, 0)
    with pytest.raises(DataError, match="after update 3 of epoch 3, which has 3"):
        next(_in_order(plan, Position(3, 3)))


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("line", ["{}", '{"id": 5}', '{"id": null}', "[]", "x"])
def test_a_list_of_rejected_utterances_without_ids(line: str, tmp_path: Path) -> None:
    (tmp_path / REJECTED).write_text(f'{{"id": "a"}}\n{line}\n')
    with pytest.raises(DataError, match=REJECTED):
        Reader([], tmp_path)


@pytest.mark.fault("input-25")
@pytest.mark.parametrize("line", ["{}", '{"step": null}', '{"step": "2"}', '{"step": [1]}'])
def test_a_row_of_metrics_without_its_step(line: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    metrics = Metrics(tmp_path, resumed_at=2, tensorboard=False)
    metrics.close()
    assert metrics.past == [{"step": 1}] and "a row without its step" in capsys.readouterr().err


@pytest.mark.fault("input-25")
def test_the_command_ends_with_3(tmp_path: Path, sew_here) -> None:
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 4, "dev-a": [1.0]})
    start = tiny_model(tmp_path / "start")
    sets = [
        "batch.seconds=2",
        "batch.micro_seconds=2",
        "tensorboard=false",
        "data.min_seconds=0.6",
        "checkpoint.every=1",
    ]
    chosen = [part for setting in sets for part in ("--set", setting)]
    command = ("pretrain", "--model", start, "--data", data, "--exp", tmp_path / "exp", "--device", "cpu", *chosen)
    assert sew_here(*command, "--updates", 2).returncode == 0
    newest = tmp_path / "exp" / "checkpoints" / "step-2"
    shutil.copytree(newest, tmp_path / "good")
    tensors = load_file(newest / OPTIMIZER)
    name = next(name for name in tensors if name.endswith(":exp_avg") and tensors[name].dim() == 2)
    save_file({**tensors, name: torch.zeros(1)}, newest / OPTIMIZER)
    seal(newest)
    done = sew_here(*command, "--updates", 3)
    assert done.returncode == 3 and f"step-2/{OPTIMIZER}" in done.stderr and name in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    shutil.rmtree(newest)
    shutil.copytree(tmp_path / "good", newest)
    assert sew_here(*command, "--updates", 3).returncode == 0
