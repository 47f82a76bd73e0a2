"""Two processes with one place to write to: one writes, the other waits or is refused by name."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from support.refusals import refused

from sewcli.base.download import download
from sewcli.base.errors import DataError, UsageError
from sewcli.base.files import write_json, write_jsonl
from sewcli.base.lock import held, writing
from sewcli.data.utterances import read_named, read_split
from sewcli.scoring.score import score_folder

Sew = Callable[..., object]


def decoded(folder: Path) -> Path:
    write_jsonl(folder / "hyps.jsonl", [{"id": "a", "text": "ONE TWO", "score": 0.0, "reference": "ONE TWO"}])
    write_json(folder / "decode.json", {"split": "test", "decoder": "greedy", "failed": 0})
    return folder


def while_held(lock: Path, work: Callable[[], object]) -> float:
    """Seconds for which `work` waits for a lock that is held for half a second more than its grace."""
    began, ended = time.monotonic(), []
    with held(lock, busy="the test"):
        thread = threading.Thread(target=lambda: ended.append((work(), time.monotonic())))
        thread.start()
        time.sleep(1.5)
    thread.join(timeout=30)
    assert ended, "it never came to its end"
    return ended[0][1] - began


@pytest.mark.fault("input-7")
def test_a_report_that_is_being_written(tmp_path: Path, sew_here) -> None:
    decoded(tmp_path / "exp" / "one" / "decode" / "d-test-greedy")
    page = tmp_path / "r.html"
    with writing(page):
        done = sew_here("report", tmp_path / "exp", "-o", page)
    assert done.returncode == 2 and "another sew process is writing" in done.stderr and not page.exists()


@pytest.mark.fault("input-7")
def test_scoring_waits_for_who_scores(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "d-test-greedy")
    assert while_held(folder / ".lock", lambda: score_folder(folder)) >= 1.5
    assert json.loads((folder / "score.json").read_text())["wer"] == 0 and not (folder / ".lock").exists()


@pytest.mark.fault("input-7")
def test_a_download_waits_for_the_same_download(tmp_path: Path) -> None:
    path = tmp_path / "4-gram.arpa.gz"
    path.write_bytes(b"x")  # as the other process leaves it
    assert while_held(tmp_path / ".4-gram.arpa.gz.lock", lambda: download("http://127.0.0.1:9/x", path)) >= 1.5


@pytest.mark.fault("input-7")
def test_rescoring_what_is_being_rescored(tmp_path: Path, sew_here, monkeypatch) -> None:
    from sewcli.lm import neural

    class Model:
        def __init__(self, folder: Path, device: torch.device) -> None:
            self.folder, self.name = folder, "lm"

    monkeypatch.setattr(neural, "NeuralLanguageModel", Model)
    folder = decoded(tmp_path / "d-test-4gram")
    with writing(tmp_path / "d-test-4gram-lm"):
        done = sew_here("rescore", folder, "--lm", tmp_path / "lm", "--device", "cpu")
    assert done.returncode == 2 and "another sew process is writing" in done.stderr, done.stderr


def corpus(folder: Path, *names: str, text: object = "ONE") -> Path:
    cuts = []
    for number, name in enumerate(names):
        path = folder / f"{number}.wav"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 16_000), 16_000)
        recording = Recording.from_file(path)
        segment = SupervisionSegment(f"s{number}", recording.id, 0.0, 1.0, text=text)
        cuts.append(MonoCut(name, 0.0, 1.0, 0, [segment], recording=recording))
    rows = [cut.to_dict() for cut in cuts]
    write_jsonl(folder / "cuts_test.jsonl.gz", rows)
    assert len(list(CutSet.from_file(folder / "cuts_test.jsonl.gz"))) == len(names)
    return folder


@pytest.mark.fault("input-3", "report-52")
def test_two_cuts_of_one_id_are_not_given_one_hypothesis(tmp_path: Path) -> None:
    data = corpus(tmp_path, "a", "b", "a")
    assert len(read_split(data, "test")) == 3  # training may see a cut as often as it is listed
    with pytest.raises(DataError, match="two utterances of test have the id 'a'"):
        read_named(data, "test")
    assert [u.id for u in read_named(corpus(tmp_path / "other", "a", "b"), "test")] == ["a", "b"]


@pytest.mark.fault("input-3")
@pytest.mark.parametrize("text", [["ONE", "TWO"], {"en": "ONE"}, True, 5])
def test_a_text_that_is_not_a_string(text: object, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its text is not a string"):
        read_split(corpus(tmp_path, "a", text=text), "test")


@pytest.mark.parametrize("below", ["", "d/e"])
def test_a_file_where_the_folder_of_results_would_be(below: str, tmp_path: Path) -> None:
    file = tmp_path / "results"
    file.write_text("mine")
    with refused(UsageError, "file-for-folder") as caught, writing(file / below / "new"):
        pass
    assert Path(str(caught.value.where)) == file
    with refused(UsageError, "file-for-folder"):
        write_json(file / below / "new.json", {})
    assert file.read_text() == "mine"
