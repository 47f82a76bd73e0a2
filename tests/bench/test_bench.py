"""`sew bench`: what is timed, the rows and their ratios, processes that end, and what is refused."""

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.refusals import refused

from sewcli.base.errors import SewError, UsageError
from sewcli.base.sample_rate import SAMPLE_RATE
from sewcli.bench import run
from sewcli.bench.layers import measure_layers
from sewcli.bench.peaks import MemoryMark, product_peak
from sewcli.bench.run import Plan, measure
from sewcli.bench.speech import DEV_CLEAN, dev_clean, real_cuts
from sewcli.bench.subject import BASE, chosen, known_wer, megabytes, operations, paper_seconds, subjects
from sewcli.decoding.greedy import greedy
from sewcli.lm.build import build_ngram
from sewcli.models.flops import anatomy
from sewcli.models.zoo import lookup
from sewcli.runtimes.recogniser import Recogniser
from sewcli.scoring.wer import word_errors
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")


def test_lengths_are_those_of_dev_clean() -> None:
    speech = dev_clean(1.0)
    seconds = np.array(speech.samples) / SAMPLE_RATE
    assert len(seconds) == DEV_CLEAN["utterances"]
    assert seconds.mean() == pytest.approx(DEV_CLEAN["mean"], rel=1e-3)
    assert seconds.std() == pytest.approx(DEV_CLEAN["deviation"], rel=1e-2)
    assert seconds.min() >= DEV_CLEAN["shortest"] and seconds.max() == pytest.approx(DEV_CLEAN["longest"])
    assert speech.seconds / 3600 == pytest.approx(5.4, abs=0.05)  # the paper's hours


def test_a_share_keeps_the_distribution() -> None:
    part = np.array(dev_clean(0.02).samples) / SAMPLE_RATE
    assert len(part) == 54
    assert part.mean() == pytest.approx(DEV_CLEAN["mean"], rel=0.03)
    assert "2 % of dev-clean" in dev_clean(0.02).title


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_what_is_no_share_is_refused(share: float) -> None:
    with refused(UsageError, "invalid-share"):
        dev_clean(share)


def test_waves_are_the_same_every_time() -> None:
    speech = dev_clean(0.002)
    assert speech.wave(0).dtype == np.float32 and len(speech.wave(0)) == speech.samples[0]
    assert np.array_equal(speech.wave(1), speech.wave(1)) and not np.array_equal(speech.wave(0)[:9], speech.wave(1)[:9])


def test_operations_are_those_of_the_anatomy() -> None:
    config, seconds = lookup("sew-d-micro"), (2.0, 7.3, 21.0)
    exact = sum(2 * part.macs for each in seconds for part in anatomy(config, 32, each))
    assert operations(config, 32, [round(each * SAMPLE_RATE) for each in seconds]) == pytest.approx(exact, rel=0.05)


def test_the_mark_sees_what_was_held_and_is_gone() -> None:
    mark = MemoryMark(CPU)
    held = np.ones(64 << 20, dtype=np.uint8)
    del held
    assert mark.above() > 60 << 20
    assert MemoryMark(CPU).above() < 32 << 20  # a new mark begins again


def test_products_have_a_peak() -> None:
    peak = product_peak(CPU, "fp32")
    assert peak is not None and peak > 1e9
    assert product_peak(CPU, "int8") is None


def test_names_of_an_option() -> None:
    assert chosen("fp32, bf16,fp32", ("fp32", "bf16"), "precision") == ["fp32", "bf16"]
    with pytest.raises(UsageError, match="did you mean 'fp32'"):
        chosen("fp3", ("fp32", "bf16"), "precision")
    with refused(UsageError, "option-empty"):
        chosen(",", ("fp32",), "precision")


def test_error_rates_beside_a_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert known_wer(tmp_path / "model") is None
    for split, wer in (("dev-clean", 0.3), ("test-clean", 0.2)):
        folder = tmp_path / "decode" / f"{split}-greedy"
        folder.mkdir(parents=True)
        (folder / "score.json").write_text(json.dumps({"wer": wer}))
    assert known_wer(tmp_path / "model") == {"wer": 0.2, "wer_of": "test-clean"}
    (tmp_path / "decode" / "test-clean-greedy" / "score.json").write_text("{")
    assert known_wer(tmp_path / "model") == {"wer": 0.3, "wer_of": "dev-clean"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict]:
    place = tmp_path_factory.mktemp("weights")
    found = subjects(["sew-micro", "w2v2-micro", "sew-micro"], ["torch"], ["fp32"], place)
    return measure(Plan(found, dev_clean(0.001), CPU, trials=2))


def test_a_row_a_model(rows) -> None:
    assert [row["model"] for row in rows] == ["sew-micro", "w2v2-micro"]
    for row in rows:
        assert row["mean"] == pytest.approx(sum(row["seconds"]) / 2, abs=1e-3) and row["mean"] > 0
        assert row["parameters"] == sum(part.parameters for part in anatomy(lookup(row["model"]), 32))
        assert row["mb_on_disk"] == pytest.approx(row["parameters"] * 4 / 1e6, rel=0.05)
        assert row["memory_mb"] > 1 and 0 < row["mfu"] < 1.2
        assert row["audio_seconds_a_second"] == pytest.approx(row["audio_seconds"] / row["mean"])
        assert row["wer"] is None and row["random_weights"]


def test_ratios_are_to_the_first_row_without_w2v2_base(rows) -> None:
    assert rows[0]["ratio"] == 1.0 and rows[1]["ratio_to"] == "sew-micro"
    assert rows[1]["ratio"] == pytest.approx(rows[1]["mean"] / rows[0]["mean"])
    assert rows[1]["paper_ratio"] is None


def test_ratios_to_w2v2_base_have_the_papers_beside_them() -> None:
    same = {"runtime": "torch", "precision": "fp32"}
    base = {"model": BASE, "config": BASE, "mean": 10.0, "paper_seconds": 30.8, **same}
    other = {"model": "x", "config": "sew-d-mid", "mean": 4.0, "paper_seconds": 16.5, **same}
    found = run._beside(other, [other, base])
    assert found["ratio"] == 0.4 and found["ratio_to"] == BASE
    assert found["paper_ratio"] == pytest.approx(16.5 / 30.8)


@pytest.mark.fault("W11", "W12")
@pytest.mark.parametrize(
    ("config", "base", "precision", "expected"),
    [
        ("sew-d-mid", BASE, "tf32", None),
        ("sew-d-mid", BASE, "bf16", None),
        ("sew-d-tiny-k127", "sew-small-k127", "fp32", 8.5 / 12.9),
        ("sew-mid-k127", BASE, "fp32", 21.0 / 30.8),
        ("sew-micro", BASE, "fp32", None),
    ],
)
def test_the_papers_ratio_is_shown_where_it_compares(config: str, base: str, precision: str, expected) -> None:
    """The paper measures in fp32, and prints seconds for the models with long kernels."""
    rows = [
        {"model": name, "config": name, "runtime": "torch", "precision": precision, "mean": 1.0}
        | {"paper_seconds": paper_seconds(name)}
        for name in (base, config)
    ]
    found = run._beside(rows[1], rows)["paper_ratio"]
    assert found is None if expected is None else found == pytest.approx(expected)


def test_a_worker_that_is_killed_is_an_error(tmp_path: Path, monkeypatch) -> None:
    found = subjects(["sew-micro"], ["torch"], ["fp32"], tmp_path)
    task = run.Task(found[0], dev_clean(0.001), CPU, None, tmp_path)
    with run._worker(task) as worker:
        worker.ask(run.PREPARE)
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(SewError, match="exit code -9") as raised:
            worker.ask(run.TRIAL)
    assert raised.value.where == "sew-micro" and not worker._process.is_alive()


def test_what_a_worker_refuses_is_raised_here(tmp_path: Path) -> None:
    found = subjects(["sew-micro"], ["torch"], ["fp16"], tmp_path)
    with pytest.raises(UsageError, match="fp16 is for GPUs"):
        measure(Plan(found, dev_clean(0.001), CPU, trials=1))


def test_real_cuts_are_scored(prepared: Path, tmp_path: Path) -> None:
    given = subjects(["sew-micro"], ["torch"], ["fp32"], tmp_path)[0]
    subject = replace(given, model="mine", random=False)  # a model folder, whoever wrote it
    build_ngram([prepared / "text_dev-clean.txt"], 2, tmp_path, None)
    speech = real_cuts(prepared, "dev-clean", 1.0)
    plan = Plan([subject], speech, CPU, trials=1, lm=str(tmp_path / "lm" / "2gram.arpa"), data=tmp_path)
    row = measure(plan)[0]
    model = Recogniser(subject.folder, lambda: CPU).start()
    said = [Vocabulary.letters().text(greedy(model.run([cut.wave()])[0], blank=0)) for cut in speech.cuts or []]
    assert row["wer"] == word_errors([cut.text for cut in speech.cuts or []], said).wer > 0
    assert row["wer_of"] == "dev-clean" and row["wer_lm"] is not None and row["lm_cpu_seconds"] > 0


def test_weights_count_and_texts_do_not(tmp_path: Path) -> None:
    folder = subjects(["sew-micro"], ["torch"], ["fp32"], tmp_path)[0].folder
    before = megabytes(folder)
    (folder / "README.md").write_text("x" * 100_000)
    assert megabytes(folder) == before > 1


def test_layers_add_up() -> None:
    found = measure_layers("sew-micro", CPU, trials=2)
    config = lookup("sew-micro")
    assert len([row for row in found["layers"] if row["kind"].startswith("convolution")]) == len(
        config.extractor_kernels
    )
    assert sum(row["seconds"] for row in found["layers"]) == pytest.approx(found["seconds"], rel=0.01)
    assert found["macs"] == sum(row["macs"] for row in found["layers"]) > 0
    assert all(row["seconds"] > 0 for row in found["layers"])


def test_the_command_writes_its_folder(tmp_path: Path, sew_here) -> None:
    done: subprocess.CompletedProcess[str] = sew_here(
        "bench", "sew-micro", "--share", "0.001", "--trials", "1", "--out", tmp_path / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    written = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert written["rows"] == [row] and "0.1 % of dev-clean" in written["speech"] and written["machine"]
    page = (tmp_path / "out" / "bench.html").read_text()
    assert page.count("<svg") == 1 and "sew-micro" in page and "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sew-mcro",), "sew-micro"),
        (("sew-micro", "--share", "2"), "not a share"),
        (("sew-micro", "--runtime", "tourch"), "torch"),
        (("sew-micro", "--lm", "4gram"), "trained models"),
        (("sew-micro", "--split", "dev-clean"), "sew prep librispeech"),
        (("sew-micro", "--energy", "XYZ"), "no country"),
    ],
)
def test_wrong_wishes_are_usage(arguments, said, tmp_path: Path, sew_here) -> None:
    done = sew_here("bench", *arguments, "--data", tmp_path / "none")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
