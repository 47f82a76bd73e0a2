"""`sew decode` in shards: together they give what one process gives, in any order, after a kill, and under torchrun."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sewcli.artifacts.decode_folder import DecodedSplit, part_of, shards_of
from sewcli.base.errors import DataError
from sewcli.base.files import read_json, read_jsonl, write_jsonl
from sewcli.base.rng import numpy_rng
from sewcli.data.utterances import read_split
from sewcli.decoding.pipeline import decode, share
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")
LENGTHS = {"a": 16_000, "b": 9_000, "c": 23_456, "tiny": 100, "d": 16_000, "e": 5_000, "f": 12_000}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder, cuts = tmp_path / "data", []
    for name, samples in LENGTHS.items():
        path = tmp_path / f"{name}.wav"
        wave = 0.3 * numpy_rng(0, "shard-test", name).standard_normal(samples)
        soundfile.write(path, np.clip(wave, -1, 1), 16_000, subtype="PCM_16")
        source = {"type": "file", "channels": [0], "source": str(path)}
        recording = {"id": name, "sources": [source], "sampling_rate": 16_000, "num_samples": samples}
        cut = {"id": name, "start": 0, "duration": samples / 16_000, "channel": 0, "recording": recording}
        cuts.append({**cut, "supervisions": [{"text": "SOME WORDS"}]})
    write_jsonl(folder / "cuts_test-x.jsonl.gz", cuts)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("exp") / "small" / "model"
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), folder)
    return folder


def run(model: Path, corpus: Path, out: Path, shard: tuple[int, int] = (1, 1)) -> DecodedSplit:
    (done,) = decode(model, corpus, ["test-x"], out=out, device=lambda: CPU, shard=shard)
    return done


def hypotheses(folder: Path) -> list[dict]:
    rows = list(read_jsonl(folder / "hyps.jsonl"))
    return [{**row, "score": round(row["score"], 2)} for row in rows]


def test_shares_are_disjoint_complete_and_alike(corpus: Path) -> None:
    utterances = read_split(corpus, "test-x")
    for count in (1, 2, 3, 7, 9):
        shares = [share(utterances, (number, count)) for number in range(1, count + 1)]
        assert sorted(u.id for each in shares for u in each) == sorted(LENGTHS)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    halves = [sum(u.samples for u in share(utterances, (number, 2))) for number in (1, 2)]
    assert abs(halves[0] - halves[1]) < 16_000


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_last_shard_joins_them(order: tuple[int, ...], model: Path, corpus: Path, tmp_path: Path) -> None:
    whole = run(model, corpus, tmp_path / "whole").folder
    folder = tmp_path / "shards" / whole.name
    for number in order[:-1]:
        done = run(model, corpus, tmp_path / "shards", (number, 3))
        assert done.part and done.folder == part_of(folder, (number, 3)) and not folder.exists()
        assert not list((tmp_path / "shards").rglob("hyps.jsonl"))  # nobody shall score a part
    done = run(model, corpus, tmp_path / "shards", (order[-1], 3))
    assert (done.folder, done.part, done.failed) == (folder, False, 0)
    assert hypotheses(folder) == hypotheses(whole) and not shards_of(folder).exists()
    one, joined = read_json(whole / "decode.json"), read_json(folder / "decode.json")
    for name in ("utterances", "failed", "split", "decoder", "inputs"):
        assert joined[name] == one[name], name
    assert joined["audio_seconds"] == pytest.approx(one["audio_seconds"], abs=0.002)
    assert joined["shards"] == 3 and joined["real_time_factor"] > 0
    for shard in ((2, 3), (1, 1)):  # all is done, whoever asks
        again = run(model, corpus, tmp_path / "shards", shard)
        assert again.folder == folder and not again.new and not again.part


def test_shards_of_another_model_are_not_joined(model: Path, corpus: Path, tmp_path: Path) -> None:
    run(model, corpus, tmp_path / "out", (1, 2))
    other = tmp_path / "exp" / "other" / "model"
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), other)
    assert run(other, corpus, tmp_path / "out", (2, 2)).part
    assert not run(other, corpus, tmp_path / "out", (1, 2)).part


def test_a_shard_that_was_cut_short_is_done_again(model: Path, corpus: Path, tmp_path: Path) -> None:
    first = run(model, corpus, tmp_path / "out", (1, 2)).folder
    (first / "part.json").unlink()
    assert run(model, corpus, tmp_path / "out", (2, 2)).part
    assert not run(model, corpus, tmp_path / "out", (1, 2)).part


def test_what_failed_is_listed_once_and_tried_again(model: Path, corpus: Path, tmp_path: Path) -> None:
    sound = (tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(sound[:500])
    parts = [run(model, corpus, tmp_path / "out", (number, 2)) for number in (1, 2)]
    assert sorted(part.failed for part in parts) in ([0, 1], [1, 1]) and parts[1].failed == 1
    folder = parts[1].folder
    assert [row["id"] for row in read_jsonl(folder / "failed.jsonl")] == ["b"]
    (tmp_path / "b.wav").write_bytes(sound)
    again = [run(model, corpus, tmp_path / "out", (number, 2)) for number in (1, 2)]
    assert again[1].failed == 0 and len(hypotheses(folder)) == 7
    assert not (folder / "failed.jsonl").exists() and not shards_of(folder).exists()


def test_a_shard_without_utterances_and_one_without_hypotheses(model: Path, corpus: Path, tmp_path: Path) -> None:
    for number in range(1, 9):
        done = run(model, corpus, tmp_path / "out", (number, 8))
    assert len(hypotheses(done.folder)) == 7
    shutil.rmtree(tmp_path / "out")
    for name in LENGTHS:
        (tmp_path / f"{name}.wav").write_bytes(b"")
    run(model, corpus, tmp_path / "out", (1, 2))
    with pytest.raises(DataError, match="none of the 7 utterances"):
        run(model, corpus, tmp_path / "out", (2, 2))


def test_two_processes_of_torchrun_share_the_work(model: Path, corpus: Path, tmp_path: Path) -> None:
    whole = run(model, corpus, tmp_path / "whole").folder
    arguments = ["decode", "--model", model.parent, "--data", corpus, "--out", tmp_path / "out", "--device", "cpu"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sewcli.cli.app"]
    command = [sys.executable, *torchrun, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert hypotheses(tmp_path / "out" / whole.name) == hypotheses(whole)
    assert done.stdout.count("WER") == 1 and "test-x" in done.stdout
