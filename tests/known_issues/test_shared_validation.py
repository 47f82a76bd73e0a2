"""Ranks share a validation and get the figures of one; what they wait for has an end, and words."""

import json
import multiprocessing
import os
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from noise_speech import tiny_model, write_noise
from support.ranks import start

from sewcli.base import dist
from sewcli.base.errors import SewError
from sewcli.base.files import read_json
from sewcli.data.utterances import read_split
from sewcli.decoding.emissions import dealt_out, plan_batches

LENGTHS = [1.0, 1.7, 0.9, 2.4, 3.1, 1.2, 0.8]


def valid_row(exp: Path) -> dict:
    rows = [json.loads(line) for line in (exp / "metrics.jsonl").read_text().splitlines()]
    return next(row for row in rows if row.get("kind") == "valid")


@pytest.mark.fault("F7")
@pytest.mark.parametrize("verb", ["finetune", "pretrain"])
def test_two_ranks_validate_like_one(verb: str, tmp_path: Path) -> None:
    """The learning rate moves no weight, so that the models are equal; statistics of BatchNorm are sums of the ranks."""
    data = write_noise(tmp_path / "data", {"train-a": [1.0] * 6, "dev-a": LENGTHS})
    sets = ["batch.seconds=4", "batch.micro_seconds=4", "tensorboard=false", "data.min_seconds=0.6", "optim.lr=1e-30"]
    sets += ["extractor_gradient=1"] if verb == "finetune" else ["optim.weight_decay=0"]
    model = str(tiny_model(tmp_path / "start")) if verb == "pretrain" else "sew-micro"
    rows, logs = [], []
    for ranks in (1, 2):
        exp = tmp_path / f"exp-{ranks}"
        arguments = [
            verb,
            "--model",
            model,
            "--data",
            str(data),
            "--exp",
            str(exp),
            "--updates",
            "1",
            "--device",
            "cpu",
        ]
        chosen = [part for setting in sets for part in ("--set", setting)]
        job = start([*arguments, *chosen], tmp_path / f"job-{ranks}", ranks)
        assert job.wait() == 0, job.log
        rows.append(valid_row(exp))
        logs.append(job.log)
        assert (exp / "model" / "model.safetensors").is_file()
    one, two = rows
    assert one.keys() == two.keys()
    if verb == "finetune":
        assert one == two
    else:
        assert all(two[name] == pytest.approx(value, rel=1e-6) for name, value in one.items() if name != "kind")
    assert logs[1].count("update 1: ") == logs[0].count("update 1: ") == 1
    states = [
        read_json(tmp_path / f"exp-{ranks}" / "checkpoints" / "step-1" / "state.json")["best"] for ranks in (1, 2)
    ]
    assert states[0] == pytest.approx(states[1], rel=1e-6)


@pytest.mark.fault("F7")
def test_a_share_is_whole_batches_of_the_whole(tmp_path: Path) -> None:
    class Model:
        batch_seconds = 5.0

    data = write_noise(tmp_path, {"dev-a": LENGTHS * 3})
    cuts = read_split(data, "dev-a")
    budget = 5 * 16_000
    whole = [[cuts[i].id for i in batch] for batch in plan_batches([u.samples for u in cuts], budget)]
    for ranks in (1, 2, 3, 40):
        shares = [dealt_out(Model(), cuts, rank, ranks) for rank in range(ranks)]
        batches = [
            [[own[i].id for i in batch] for batch in plan_batches([u.samples for u in own], budget)] for own in shares
        ]
        assert all(found == whole[rank::ranks] for rank, found in enumerate(batches))


def of_a_rank(rank: int, port: int, task: str, answer) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    import torch

    dist.PATIENCE = timedelta(seconds=2)
    dist.start(torch.device("cpu"))
    if task == "merge":
        own = {f"{rank}-{n}": [n / 3, float("inf"), "é" * n] for n in range(5 * rank)}
        answer.send(dist.merged(own))
        return
    if rank:
        time.sleep(6)
        return
    try:
        dist.barrier()
    except SewError as error:
        answer.send(str(error))


def two_ranks(task: str) -> list:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    processes = [context.Process(target=of_a_rank, args=(rank, port, task, pipes[rank][1])) for rank in range(2)]
    for process in processes:
        process.start()
    answers = [ours.recv() if ours.poll(120) else None for ours, _ in (pipes if task == "merge" else pipes[:1])]
    for process in processes:
        process.join(60)
    return answers


@pytest.mark.fault("F7")
def test_waiting_for_a_rank_that_hangs_ends_with_its_reason() -> None:
    said = two_ranks("wait")[0]
    assert said is not None and said.startswith("waited 0.0333333 minutes for another process of this job")
    assert "run the same command" in said


@pytest.mark.fault("F7")
def test_what_ranks_found_comes_together_exactly() -> None:
    first, second = two_ranks("merge")
    assert first == second == {f"1-{n}": [n / 3, float("inf"), "é" * n] for n in range(5)}
