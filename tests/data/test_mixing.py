"""Splits of several folders in one run: what is named is what is read, as often as it says."""

from pathlib import Path

import pytest

from sewcli.base.errors import UsageError
from sewcli.base.files import write_jsonl
from sewcli.data.mixing import Part, parts, read_parts
from sewcli.data.plan import BatchPlan


def write_split(folder: Path, split: str, texts: list[str]) -> None:
    cuts = []
    for number, text in enumerate(texts):
        source = {"type": "file", "channels": [0], "source": "none.wav"}
        recording = {"id": str(number), "sources": [source], "sampling_rate": 16_000, "num_samples": 16_000}
        cut = {"id": f"{split}-{number}", "start": 0, "duration": 1 + number, "channel": 0, "recording": recording}
        cuts.append({**cut, "supervisions": [{"text": text}]})
    write_jsonl(folder / f"cuts_{split}.jsonl.gz", cuts)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    data, other = tmp_path / "data", tmp_path / "pseudo"
    write_split(data, "train-a", ["A"])
    write_split(data, "10h", ["TEN", "HOURS"])
    write_split(other, "train-a", ["MADE", "BY", "A MODEL"])
    return data, other


def test_names_with_folders_and_times(folders: tuple[Path, Path]) -> None:
    data, other = folders
    found = parts(data, ["10h*3", f"{other}/train-a", "train-a"], default_prefix="train")
    assert found == [Part(data, "10h", 3), Part(other, "train-a"), Part(data, "train-a")]
    texts = [u.text for u in read_parts(found)]
    assert texts == ["TEN", "HOURS"] * 3 + ["MADE", "BY", "A MODEL", "A"]


def test_without_names_all_of_the_role_in_the_folder(folders: tuple[Path, Path]) -> None:
    assert parts(folders[0], None, default_prefix="train") == [Part(folders[0], "train-a")]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("10h*0", "names no split"),
        ("10h*", "names no split"),
        ("*3", "names no split"),
        ("", "names no split"),
        ("11h", "did you mean '10h'"),
        ("nowhere/train-a", "no prepared corpus here"),
    ],
)
def test_other_names_are_refused(name: str, said: str, folders: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match=said.replace("*", r"\*")):
        parts(folders[0], [name], default_prefix="train")


def test_an_epoch_holds_each_utterance_as_often_as_it_says(folders: tuple[Path, Path]) -> None:
    data, other = folders
    utterances = read_parts(parts(data, ["10h*4", f"{other}/train-a"], default_prefix="train"))
    plan = BatchPlan([u.samples for u in utterances], 64_000, 1, seed=1)
    for epoch in range(3):
        flat = [utterances[n].id for update in plan.epoch(epoch) for batch in update for n in batch]
        counts = {name: flat.count(name) for name in set(flat)}
        assert counts == {"10h-0": 4, "10h-1": 4, "train-a-0": 1, "train-a-1": 1, "train-a-2": 1}
        assert plan.epoch(epoch) == BatchPlan([u.samples for u in utterances], 64_000, 1, seed=1).epoch(epoch)
