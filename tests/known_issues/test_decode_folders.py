"""Decode folders: two corpora or models of one name stay apart, what is finished is kept, and two at once do not meet."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from support.refusals import refused

from sewcli.artifacts import unfinished
from sewcli.artifacts.decode_folder import shards_of
from sewcli.base.errors import UsageError
from sewcli.base.files import read_json, read_jsonl, write_jsonl
from sewcli.base.lock import writing
from sewcli.base.rng import numpy_rng
from sewcli.decoding import emission_cache as kept
from sewcli.decoding import pipeline
from sewcli.decoding.pipeline import decode
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands for whatever ends a process."""


def corpus_of(folder: Path, count: int = 12, seed: int = 0) -> Path:
    cuts = []
    for number in range(count):
        name, samples = f"u{number}", 4_000 + 700 * (number * 7 % count)
        path = folder / "wav" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = 0.3 * numpy_rng(seed, "decode-folders", name).standard_normal(samples)
        soundfile.write(path, np.clip(wave, -1, 1), 16_000, subtype="PCM_16")
        source = {"type": "file", "channels": [0], "source": str(path)}
        recording = {"id": name, "sources": [source], "sampling_rate": 16_000, "num_samples": samples}
        cut = {"id": name, "start": 0, "duration": samples / 16_000, "channel": 0, "recording": recording}
        cuts.append({**cut, "supervisions": [{"text": "SOME WORDS"}]})
    write_jsonl(folder / "cuts_test.jsonl.gz", cuts)
    return folder


def model_at(folder: Path, seed: int = 3) -> Path:
    torch.manual_seed(seed)
    network = CTCModel(lookup("sew-micro"), 32)
    with torch.no_grad():
        network.head.weight.mul_(5)
    save_ctc(network, Vocabulary.letters(), folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_at(tmp_path_factory.mktemp("exp") / "small" / "model")


def run(model: Path, data: Path, out: Path, **options) -> Path:
    (done,) = decode(model, data, ["test"], out=out, device=lambda: CPU, **options)
    return done.folder


def small_batches(monkeypatch: pytest.MonkeyPatch, after: int | None = None) -> list[str]:
    """Batches of about two utterances; ids that were run; ends the process after so many."""
    seen: list[str] = []
    whole = pipeline._decoded

    def decoded(*arguments) -> Iterator:
        for found in whole(*arguments):
            if after is not None and len(seen) == after:
                raise Killed
            seen.append(found.name)
            yield found

    monkeypatch.setattr(pipeline, "_decoded", decoded)
    monkeypatch.setattr("sewcli.runtimes.torch_runtime.CPU_SECONDS", 1.5)
    return seen


@pytest.mark.fault("output-folders")
def test_two_corpora_with_a_split_of_one_name(model: Path, tmp_path: Path) -> None:
    one, other = corpus_of(tmp_path / "one"), corpus_of(tmp_path / "other", seed=1)
    folders = [run(model, data, tmp_path / "decode", keep="float32") for data in (one, other)]
    assert [folder.name for folder in folders] == ["one-test-greedy", "other-test-greedy"]
    assert sorted(path.name for path in (tmp_path / "decode").glob("*.emissions")) == [
        "one-test.emissions",
        "other-test.emissions",
    ]


@pytest.mark.fault("output-folders")
def test_corpora_and_models_of_one_name_get_a_number(model: Path, tmp_path: Path) -> None:
    a, b = corpus_of(tmp_path / "a" / "data"), corpus_of(tmp_path / "b" / "data", seed=1)
    second = model_at(tmp_path / "second" / "model", seed=4)
    out = tmp_path / "decode"
    names = [run(m, d, out).name for m, d in ((model, a), (model, b), (second, a), (model, a), (model, b))]
    expected = [
        "data-test-greedy",
        "data.2-test-greedy",
        "data.3-test-greedy",
        "data-test-greedy",
        "data.2-test-greedy",
    ]
    assert names == expected
    a.rename((tmp_path / "c").mkdir() or tmp_path / "c" / "data")
    assert run(model, b, out).name == "data.2-test-greedy"
    assert run(model, tmp_path / "c" / "data", out).name == "data-test-greedy"  # the same cuts at another place


@pytest.mark.fault("output-folders")
@pytest.mark.parametrize("keep", [None, "float32"])
def test_an_interrupted_decode_goes_on_and_equals_one_that_was_not(
    keep, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpus_of(tmp_path / "data")
    with monkeypatch.context() as patched:
        small_batches(patched)
        whole = run(model, data, tmp_path / "whole", keep=keep)
    out = tmp_path / "out"
    for save in (0.0, 1000.0):  # every row by itself; at the end alone
        monkeypatch.setattr(unfinished, "SAVE_SECONDS", save)
        monkeypatch.setattr(kept, "SAVE_SECONDS", save)
        with monkeypatch.context() as patched, pytest.raises(Killed):
            small_batches(patched, after=5)
            run(model, data, out, keep=keep)
        assert not (out / "data-test-greedy").exists()
    with monkeypatch.context() as patched:
        seen = small_batches(patched)
        done = run(model, data, out, keep=keep)
    assert len(seen) == 2  # 5 and 5 were there
    for name in ("hyps.jsonl",):
        assert (done / name).read_bytes() == (whole / name).read_bytes()
    one, other = read_json(whole / "decode.json"), read_json(done / "decode.json")
    assert one["inputs"] == other["inputs"] and other["audio_seconds"] == one["audio_seconds"]
    assert not shards_of(done).exists()
    if keep:
        found = [
            kept.KeptEmissions(
                place.with_name("data-test.emissions"),
                read_json(place.with_name("data-test.emissions") / "1-of-1" / "emissions.json")["inputs"],
            )
            for place in (whole, done)
        ]
        from sewcli.data.utterances import read_split

        arrays = [{u.id: e for u, e in f.read(read_split(data, "test"))} for f in found]
        assert arrays[0].keys() == arrays[1].keys() and len(arrays[0]) == 12
        assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])


@pytest.mark.fault("output-folders")
def test_what_other_weights_have_decoded_is_not_gone_on_with(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, place = corpus_of(tmp_path / "data"), tmp_path / "exp" / "model"
    model_at(place, seed=5)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        small_batches(patched, after=5)
        run(place, data, tmp_path / "out")
    model_at(place, seed=6)
    with monkeypatch.context() as patched:
        seen = small_batches(patched)
        done = run(place, data, tmp_path / "out")
    assert len(seen) == 12
    assert (done / "hyps.jsonl").read_bytes() == (run(place, data, tmp_path / "new") / "hyps.jsonl").read_bytes()


@pytest.mark.fault("output-folders")
def test_a_limit_on_time_cannot_make_it_begin_for_ever(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpus_of(tmp_path / "data")
    sessions = 0
    while True:
        with monkeypatch.context() as patched:
            small_batches(patched, after=1)
            try:
                done = run(model, data, tmp_path / "out")
                break
            except Killed:
                sessions += 1
        assert sessions < 13
    assert [row["id"] for row in read_jsonl(done / "hyps.jsonl")] == [f"u{n}" for n in range(12)]


@pytest.mark.fault("output-folders")
def test_two_at_once_one_is_refused(model: Path, tmp_path: Path) -> None:
    data = corpus_of(tmp_path / "data", count=2)
    with (
        writing(shards_of(tmp_path / "out" / "data-test-greedy") / "1-of-1"),
        refused(UsageError, "folder-locked"),
    ):
        run(model, data, tmp_path / "out")
    assert run(model, data, tmp_path / "out").name == "data-test-greedy"


@pytest.mark.fault("output-folders")
def test_older_folders_are_still_read(model: Path, tmp_path: Path, sew_here) -> None:
    data = corpus_of(tmp_path / "data")
    done = run(model, data, tmp_path / "exp" / "m" / "decode")
    older = done.rename(done.with_name("test-greedy"))
    facts = read_json(older / "decode.json")
    del facts["of"]
    (older / "decode.json").write_text(json.dumps(facts))
    scored = sew_here("score", tmp_path / "exp", "--json")
    assert scored.returncode == 0 and json.loads(scored.stdout)["split"] == "test"
    shown = sew_here("report", tmp_path / "exp", "--json")
    assert shown.returncode == 0 and json.loads(shown.stdout)["split"] == "test"


def test_a_lock_is_free_again_at_once(tmp_path: Path) -> None:
    for _ in range(3):
        began = time.monotonic()
        with writing(tmp_path / "x"):
            assert (tmp_path / ".x.lock").is_file()
        assert not list(tmp_path.iterdir()) and time.monotonic() - began < 0.5
