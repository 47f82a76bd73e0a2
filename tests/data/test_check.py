"""`sew check`: each kind of fault, made for real in a copy of a prepared corpus, is found by name, and nothing else is."""

import dataclasses
import gzip
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from faulty import DEV, FAULTS, TEST, TRAIN, Corpus, Found, copied, outside_the_vocabulary, truncated, zeros

from sewcli.base.files import read_jsonl, write_jsonl
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.cli.prep import prep
from sewcli.data.check import LONGEST, SHORTEST, Labels, check, labels_of, listen
from sewcli.data.findings import KINDS
from sewcli.data.utterances import read_split
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary
from sewcli.training.config import DataConfig

REAL = Path(os.environ.get("SEW_REAL") or Path(__file__).absolute().parents[3] / "shared" / "real") / "LibriSpeech"


@pytest.fixture
def corpus(prepared: Path, corpus_folder: Path, tmp_path: Path) -> Corpus:
    return copied(prepared, corpus_folder, tmp_path)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return labels_of("sew-tiny", None)


def found(corpus: Corpus, labels: Labels, **options: Any) -> Found:
    checked = check(corpus.data, labels, jobs=2, **options)
    return {(finding.kind, finding.split, finding.id) for finding in checked.findings}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_by_name_and_nothing_else(fault: Callable[[Corpus], Found], corpus: Corpus, labels) -> None:
    expected = fault(corpus)
    assert found(corpus, labels) == expected


def test_every_kind_is_made_somewhere_above(prepared: Path, corpus_folder: Path, tmp_path: Path) -> None:
    made = set()
    for fault in FAULTS:
        made |= {kind for kind, _, _ in fault(copied(prepared, corpus_folder, tmp_path / fault.__name__))}
    assert made == KINDS.keys()


def test_a_sound_corpus_has_no_fault(prepared: Path, labels: Labels) -> None:
    checked = check(prepared, labels, jobs=2)
    assert checked.findings == []
    assert checked.cuts == checked.read == sum(len(read_split(prepared, split)) for split in (TRAIN, DEV, TEST))
    assert checked.seconds == pytest.approx(
        sum(u.seconds for split in (TRAIN, DEV, TEST) for u in read_split(prepared, split))
    )


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real speech in {REAL} (set SEW_REAL)")
@pytest.mark.parametrize("model", ["sew-tiny", "sew-tiny+25hz"])
def test_real_speech_has_no_fault(tmp_path: Path, model: str) -> None:
    prep("librispeech", REAL, out=tmp_path, jobs=2)
    checked = check(tmp_path, labels_of(model, None), jobs=2)
    assert checked.findings == [] and checked.read > 100


def test_the_number_of_threads_changes_nothing(corpus: Corpus, labels: Labels) -> None:
    for fault in (truncated, zeros, outside_the_vocabulary):
        fault(corpus)
    assert check(corpus.data, labels, jobs=1) == check(corpus.data, labels, jobs=5)


def test_a_sample_reads_some_of_the_audio_and_all_of_the_rest(corpus: Corpus, labels: Labels) -> None:
    rows = corpus.rows(TRAIN)
    for row in rows:
        Path(row["recording"]["sources"][0]["source"]).unlink()
    label = corpus.relabel(DEV, 0, "12")
    drawn = []
    for seed in (1, 1, 2):
        checked = check(corpus.data, labels, sample=5, seed=seed, jobs=2)
        assert checked.read == 3 * 5 and checked.cuts > checked.read
        assert ("vocabulary", label) in {(finding.kind, finding.id) for finding in checked.findings}
        drawn.append({finding.id for finding in checked.findings if finding.kind == "unreadable"})
        assert len(drawn[-1]) == 5 and drawn[-1] < {row["id"] for row in rows}
    assert drawn[0] == drawn[1] != drawn[2]


def test_only_the_splits_that_are_wanted(corpus: Corpus, labels: Labels) -> None:
    truncated(corpus)  # in TEST
    assert not check(corpus.data, labels, wanted=[TRAIN, DEV]).findings
    assert check(corpus.data, labels, wanted=[TEST]).findings


def test_subsets_may_share_with_train_but_not_with_test(corpus: Corpus, labels: Labels) -> None:
    shutil.copy(corpus.data / f"text_{TRAIN}.txt", corpus.data / "text_10h.txt")
    write_jsonl(corpus.data / "cuts_10h.jsonl.gz", corpus.rows(TRAIN))
    corpus.list_as("10h", TRAIN)
    write_jsonl(corpus.data / "cuts_1h.jsonl.gz", corpus.rows(TRAIN)[:4])
    corpus.list_as("1h", TRAIN)
    corpus.write("1h", corpus.rows("1h"))
    assert found(corpus, labels) == set()
    stolen = corpus.rows(TEST)[0]
    corpus.write("1h", [*corpus.rows("1h"), stolen])
    identity = stolen["id"]
    speaker = stolen["supervisions"][0]["speaker"]
    kinds = {(kind, identity) for kind, _, identity in found(corpus, labels)}
    assert kinds == {("leak", identity), ("duplicate-id", identity), ("speaker", speaker)}


def test_two_train_parts_that_share_are_a_warning(corpus: Corpus, labels: Labels) -> None:
    rows = [{**row, "id": f"other-{row['id']}"} for row in corpus.rows(TRAIN)[:2]]
    write_jsonl(corpus.data / "cuts_train-other.jsonl.gz", rows)
    corpus.list_as("train-other", TRAIN)
    corpus.write("train-other", rows)
    assert found(corpus, labels) == {("twice", f"{TRAIN}, train-other", row["id"]) for row in rows}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": 7, "start": "x"},
        {"recording": []},
        {"recording": {"sampling_rate": 0, "sources": []}},
        {"id": "a", "start": 0, "duration": 1, "recording": {"sampling_rate": 0, "sources": [{"channels": [0]}]}},
        {"start": float("nan")},
        {"start": float("inf")},
        {"duration": 1e300},
        {"duration": 0},
        {"duration": -1},
        {"start": 1e9},
        {"channel": 9},
        {"supervisions": "none"},
        {"supervisions": [{"text": 5, "speaker": ["a"]}]},
        {"supervisions": [{"text": ["A"], "speaker": {}}]},
        {"supervisions": []},
        {"source": "/dev/null"},
        {"source": "/"},
        {"source": "a\0b"},
        {"source": "x" * 5000},
        {"source": "\ud800"},
        {"source": ""},
    ],
    ids=lambda row: ascii(row)[:60],
)
def test_odd_manifests_are_findings_and_never_an_exception(corpus: Corpus, labels: Labels, row: dict) -> None:
    rows = corpus.rows(DEV)
    changed = {**rows[0], **row} if row else {}
    if "source" in row:
        changed["recording"]["sources"][0]["source"] = row["source"]
    with gzip.open(corpus.data / f"cuts_{DEV}.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in [changed, *rows[1:]])
    findings = check(corpus.data, labels, jobs=2).findings
    write_jsonl(corpus.data / "check.jsonl", (finding.row() for finding in findings))
    assert len(list(read_jsonl(corpus.data / "check.jsonl"))) == len(findings)
    kinds = {finding.kind for finding in findings}
    assert "manifest" in kinds  # the digest is another in any case


def test_a_folder_where_a_manifest_should_be(corpus: Corpus, labels: Labels) -> None:
    for name in (f"cuts_{DEV}.jsonl.gz", f"text_{TEST}.txt", "rejected.jsonl"):
        (corpus.data / name).unlink()
        (corpus.data / name).mkdir()
    kinds = {(finding.kind, finding.split) for finding in check(corpus.data, labels).findings}
    assert {("manifest", DEV), ("text", TEST), ("manifest", TRAIN)} <= kinds


NAMES = ("sew-micro", "sew-micro+25hz", "sew-micro+25hz+upsample", "w2v2-tiny", "sew-micro+fbfe")


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_those_that_the_model_makes(name: str) -> None:
    config, frames = lookup(name), labels_of(name, None).frames
    model = CTCModel(config, 32).eval()
    for samples in (400, 1040, 1041, 8000, 16_123, 16_640):
        if frames(samples):
            with torch.inference_mode():
                output = model(torch.zeros(1, samples), torch.tensor([samples]))
            assert output.logits.shape[1] == output.lengths[0] == frames(samples)


def test_a_model_folder_brings_its_vocabulary(tmp_path: Path, corpus: Corpus) -> None:
    small = Vocabulary(("<pad>", "|", *"ABCDEFGH"))
    save_ctc(CTCModel(lookup("sew-micro"), len(small)), small, tmp_path / "model")
    mine = labels_of(str(tmp_path / "model"), None)
    assert mine.vocabulary == small
    assert labels_of("sew-micro", tmp_path / "model" / "vocab.json").vocabulary == small
    corpus.relabel(TRAIN, 0, "A BAD CAGE")
    outside = {finding.id for finding in check(corpus.data, mine).findings if finding.kind == "vocabulary"}
    assert corpus.rows(TRAIN)[0]["id"] not in outside and len(outside) > 30


def test_lengths_are_those_that_fine_tuning_takes() -> None:
    assert (DataConfig().min_seconds, DataConfig().max_seconds) == (SHORTEST, LONGEST)


def test_memory_does_not_grow_with_the_length_of_a_cut(tmp_path: Path) -> None:
    minutes = 20
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(tmp_path / "long.flac", "w", SAMPLE_RATE, 1) as file:
        for _ in range(minutes):
            file.write(rng.normal(0, 0.05, 60 * SAMPLE_RATE))
    cut = dataclasses.replace(_utterance(tmp_path / "long.flac"), samples=minutes * 60 * SAMPLE_RATE)
    tracemalloc.start()
    try:
        found_there, measures = listen("train", cut)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not found_there and measures and measures.samples == cut.samples
    assert peak < 16e6  # the whole wave would be 77 MB


def _utterance(path: Path) -> Any:
    from sewcli.data.utterances import Utterance

    return Utterance("a", path, 0, 1, SAMPLE_RATE, 0, "", "s")
