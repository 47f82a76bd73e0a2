"""Which device a rank gets, and what is said of those that cannot be."""

import pytest

from sewcli.base.device import device_of_rank
from sewcli.base.errors import UsageError


@pytest.mark.parametrize(
    ("name", "gpus", "rank", "processes", "device"),
    [
        ("auto", 0, 0, 1, "cpu"),
        ("auto", 0, 3, 4, "cpu"),
        ("cpu", 8, 1, 8, "cpu"),
        ("auto", 8, 0, 1, "cuda:0"),
        ("auto", 8, 3, 8, "cuda:3"),
        ("cuda", 8, 3, 4, "cuda:3"),
        ("cuda:5", 8, 0, 1, "cuda:5"),
    ],
)
def test_the_device_of_a_rank(name: str, gpus: int, rank: int, processes: int, device: str) -> None:
    assert device_of_rank(name, gpus, rank, processes) == device


@pytest.mark.parametrize(
    ("name", "gpus", "processes", "said"),
    [
        ("meta", 1, 1, "'meta'"),
        ("cpu:1", 1, 1, "'cpu:1'"),
        ("cuda:x", 1, 1, "'cuda:x'"),
        ("cuda:", 1, 1, "'cuda:'"),
        ("gpu", 1, 1, "cuda or cuda:N"),
        ("cuda", 0, 1, "no GPU here"),
        ("cuda:2", 2, 1, "the last GPU here is cuda:1"),
        ("cuda:0", 8, 2, "cuda:0 for 2 processes"),
        ("auto", 2, 4, "4 processes, but this machine has 2 GPUs"),
        ("cuda", 1, 2, "2 processes, but this machine has 1 GPU"),
    ],
)
def test_devices_that_cannot_be(name: str, gpus: int, processes: int, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        device_of_rank(name, gpus, 0, processes)
    assert "--device" in str(caught.value) and "http" not in str(caught.value)
