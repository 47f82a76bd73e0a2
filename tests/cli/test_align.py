"""`sew align` as a user runs it: files, times from the receptive field, what fails, and the check by k2."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.k2_environment import NEEDS_K2, make_k2, wrong_python

from sewcli.alignment.alignment import FrameTimes, align_utterance
from sewcli.alignment.k2.worker import K2
from sewcli.alignment.writers import Span, textgrid
from sewcli.base.files import read_json, read_jsonl, write_jsonl
from sewcli.cli.app import main
from sewcli.data.utterances import read_split
from sewcli.decoding.emissions import emissions
from sewcli.decoding.greedy import collapse, greedy
from sewcli.decoding.viterbi import align, best_path
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.runtimes.torch_runtime import TorchModel
from sewcli.text.tokens import Vocabulary

CPU = torch.device("cpu")


def small_model(folder: Path, name: str = "sew-micro", blank: float = 0.0) -> Path:
    """Random weights, the head enlarged so that frames differ; `blank` is added to the blank's logit."""
    torch.manual_seed(3)
    vocabulary = Vocabulary.letters()
    network = CTCModel(lookup(name), len(vocabulary))
    with torch.no_grad():
        network.head.weight.mul_(5)
        network.head.bias[0] = blank
    save_ctc(network, vocabulary, folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("exp") / "small" / "model")


@pytest.fixture
def sew_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sew", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        return code, out, err

    return run


def with_text(prepared: Path, folder: Path, texts: list[str | None]) -> Path:
    """A data folder with the first utterances of dev-clean, with other transcripts where one is given."""
    folder.mkdir()
    rows = list(read_jsonl(prepared / "cuts_dev-clean.jsonl.gz"))[: len(texts)]
    for row, text in zip(rows, texts, strict=True):
        if text is not None:
            row["supervisions"][0]["text"] = text
    write_jsonl(folder / "cuts_dev-clean.jsonl.gz", rows)
    return folder


def test_words_and_letters_of_every_utterance(model: Path, prepared: Path, tmp_path: Path, sew) -> None:
    done = sew("align", model, prepared, "--split", "dev-clean", "--out", tmp_path / "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / f"{prepared.name}-dev-clean"
    utterances = read_split(prepared, "dev-clean")
    words = [line.split() for line in (folder / "words.ctm").read_text().splitlines()]
    letters = [line.split() for line in (folder / "letters.ctm").read_text().splitlines()]
    assert [line[0] for line in words] == [u.id for u in utterances for _ in u.text.split()]
    assert [line[4] for line in words] == [word for u in utterances for word in u.text.split()]
    assert [line[4] for line in letters] == [letter for u in utterances for letter in u.text.replace(" ", "")]
    network, vocabulary = load_ctc(model)
    acoustic = TorchModel.prepare(network, CPU)
    for utterance, emission in emissions(acoustic, utterances):
        path = align([utterance.id], [emission], [vocabulary.encode(utterance.text)], blank=0)[0].labels
        starts = [t for t in range(len(path)) if path[t] > 4 and (t == 0 or path[t] != path[t - 1])]
        ends = [t for t in range(len(path)) if path[t] > 4 and (t == len(path) - 1 or path[t] != path[t + 1])]
        own = [line for line in letters if line[0] == utterance.id]
        # 400 samples under a frame, 320 between two: the first stands for samples 40 to 359
        assert [float(line[2]) for line in own] == pytest.approx([(40 + 320 * t) / 16_000 for t in starts], abs=6e-4)
        durations = [(end - start + 1) * 0.02 for start, end in zip(starts, ends, strict=True)]
        assert [float(line[3]) for line in own] == pytest.approx(durations, abs=6e-4)
        spoken = [line for line in words if line[0] == utterance.id]
        place = 0
        for line in spoken:
            first, last = own[place], own[place + len(line[4]) - 1]
            assert line[2] == first[2] and 0 < float(line[5]) <= 1
            assert float(line[2]) + float(line[3]) == pytest.approx(float(last[2]) + float(last[3]), abs=2e-3)
            place += len(line[4])
        content = (folder / "textgrids" / f"{utterance.id}.TextGrid").read_text()
        tiers = content.split("item [")[2:]
        for tier, expected in zip(tiers, (spoken, own), strict=True):
            bounds = [float(x) for x in re.findall(r"^ {12}xm(?:in|ax) = (\S+)", tier, re.M)]
            assert bounds[0] == 0 and bounds[-1] == pytest.approx(utterance.seconds, abs=1e-5)
            assert bounds[1:-1:2] == bounds[2::2] and bounds == sorted(bounds)
            assert [text for text in re.findall(r'^ {12}text = "(.*)"', tier, re.M) if text] == [x[4] for x in expected]
    summary = read_json(folder / "align.json")
    assert (summary["utterances"], summary["words"]) == (len(utterances), len(words))
    assert not (folder / "failed.jsonl").exists() and not list((tmp_path / "out").glob(".tmp-*"))


@pytest.mark.parametrize(
    ("name", "step", "under", "share"),
    [("sew-micro", 320, 400, 1), ("sew-micro+25hz", 640, 720, 1), ("sew-micro+25hz+upsample", 640, 720, 2)],
)
def test_times_are_those_of_the_samples_under_a_frame(name: str, step: int, under: int, share: int) -> None:
    config = lookup(name).model_copy(update={"extractor_norm": "layer"})  # a norm over time would see every sample
    network = CTCModel(config, 8).eval()
    times = FrameTimes.of(network.config)
    wave = torch.randn(1, 8_000, requires_grad=True)
    features = network.encoder.extractor(wave, None)
    output = network(wave, torch.tensor([8_000]))
    assert int(output.lengths[0]) == share * features.shape[1]
    for frame in (0, 3):
        (gradient,) = torch.autograd.grad(features[0, frame].square().sum(), wave, retain_graph=True)
        heard = gradient[0].nonzero()[:, 0]
        first, last = int(heard.min()), int(heard.max())
        assert (first, last) == (frame * step, frame * step + under - 1)
        begin, end = (16_000 * times.start(share * f) for f in (frame, frame + 1))
        assert end - begin == pytest.approx(step) and (begin + end) / 2 == pytest.approx((first + last + 1) / 2)
    assert 16_000 * (times.start(1) - times.start(0)) == pytest.approx(step / share)


def test_what_cannot_be_aligned_is_listed_and_the_rest_is_done(model, prepared, tmp_path, sew_here) -> None:
    data = with_text(prepared, tmp_path / "data", [None, "WORD " * 400, "", "ÄRGER", None])
    code, out, err = sew_here("align", model, data, "--out", tmp_path / "out", "--format", "ctm", "--json")
    assert code == 4 and "2 utterances have no alignment" in err and "Traceback" not in err
    folder = tmp_path / "out" / f"{data.name}-dev-clean"
    utterances = read_split(data, "dev-clean")
    failed = list(read_jsonl(folder / "failed.jsonl"))
    assert [row["id"] for row in failed] == [utterances[1].id, utterances[3].id]
    assert re.search(r"too long: its 1999 letters need \d+ frames, the audio has \d+", failed[0]["reason"])
    assert "'Ä'" in failed[1]["reason"]
    assert json.loads(out) | {"folder": ""} == {
        "folder": "",
        "utterances": 3,
        "words": len(utterances[0].text.split()) + len(utterances[4].text.split()),
        "failed": 2,
        "checked": 0,
        "differ": 0,
    }
    assert {line.split()[0] for line in (folder / "words.ctm").read_text().splitlines()} == {
        utterances[0].id,
        utterances[4].id,
    }
    assert not (folder / "textgrids").exists()


def test_nothing_to_align_is_an_error_and_leaves_nothing(model, prepared, tmp_path, sew_here) -> None:
    data = with_text(prepared, tmp_path / "data", ["WORD " * 400])
    code, _, err = sew_here("align", model, data, "--out", tmp_path / "out")
    assert code == 3 and "none of the 1 utterances could be aligned" in err and "too long" in err
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_is_not_there_is_named_by_its_folder(model, tmp_path, sew_here) -> None:
    done = sew_here("align", model, tmp_path / "nowhere")
    assert done[0] == 2 and "--data" not in done[2] and "sew prep" in done[2]


def test_greedy_is_the_viterbi_path_on_every_utterance(model: Path, prepared: Path) -> None:
    network, _ = load_ctc(model)
    acoustic = TorchModel.prepare(network, CPU)
    seen = 0
    for split in ("train-clean-100", "dev-clean", "test-clean"):
        for _, emission in emissions(acoustic, read_split(prepared, split)):
            assert collapse(best_path(emission).labels, blank=0) == greedy(emission, blank=0)
            seen += len(greedy(emission, blank=0)) > 0
    assert seen == 44


def test_spans_end_with_the_utterance_and_quotes_are_doubled() -> None:
    vocabulary = Vocabulary.letters()
    values = np.full((3, len(vocabulary)), -9.0, dtype=np.float32)
    values[:, 5] = -0.1
    found = align_utterance("u", values, "E", vocabulary, FrameTimes(320, 40), 0.05)
    assert found.words == [Span("E", 0.0025, 0.05, pytest.approx(np.exp(-0.1)))]
    written = textgrid(1.0, [('a "tier"', [Span('say "A"', 0.0, 1.0, 1.0)]), ("none", [])])
    assert 'name = "a ""tier"""' in written and 'text = "say ""A"""' in written
    assert written.count("intervals: size = 1") == 2


def test_a_check_without_k2_ends_before_any_work(model, prepared, tmp_path, sew_here, monkeypatch) -> None:
    monkeypatch.setenv("SEW_K2_PYTHON", str(tmp_path / "nowhere"))
    code, _, err = sew_here("align", model, prepared, "--check", "k2", "--out", tmp_path / "out")
    assert code == 2 and "make setup-k2" in err and not (tmp_path / "out").exists()


def marked(test):
    for mark in [*NEEDS_K2, pytest.mark.xdist_group("k2")]:
        test = mark(test)
    return test


@marked
@pytest.mark.parametrize("name", ["sew-micro", "sew-micro+25hz+upsample"])
def test_k2_agrees(name: str, prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.setenv("SEW_K2_PYTHON", str(make_k2()))
    data = with_text(prepared, tmp_path / "data", [None, None, "", "A B C", None, None])
    chosen = small_model(tmp_path / "exp" / "model", name)
    code, out, err = sew_here("align", chosen, data, "--check", "k2")
    assert code == 0, err
    assert "k2 differs" in out and "0 of 6" in out
    assert read_json(tmp_path / "exp" / "align" / f"{data.name}-dev-clean" / "align.json")["checked"] == 6


@marked
def test_a_difference_is_listed_and_exits_with_3(prepared: Path, tmp_path: Path, sew_here, monkeypatch) -> None:
    monkeypatch.setenv("SEW_K2_PYTHON", str(wrong_python(tmp_path)))
    chosen = small_model(tmp_path / "exp" / "model", blank=-50.0)  # so that blanks between neighbours cost much
    data = with_text(prepared, tmp_path / "data", ["ABC", "ABBBBBBA", "A"])
    code, _, err = sew_here("align", chosen, data, "--check", "k2")
    assert code == 3 and "1 alignments on which the aligners differ" in err and "Traceback" not in err
    folder = tmp_path / "exp" / "align" / f"{data.name}-dev-clean"
    (row,) = read_jsonl(folder / "check.jsonl")
    assert row["id"] == read_split(data, "dev-clean")[1].id and row["aligner"] == "k2"
    assert row["what"] and row["frame"] >= 0 and row["expected"] < 0
    assert (folder / "words.ctm").read_text().count("ABBBBBBA") == 1


MAKE = Path(__file__).parents[2] / ".ci" / "make-k2"


@marked
def test_an_environment_that_is_there_is_not_made_again() -> None:
    made = make_k2().parents[1]
    if made.name == ".k2":  # and not one named by SEW_K2_PYTHON
        done = subprocess.run([MAKE, made], capture_output=True, text=True, check=True, timeout=300)
        assert "is there already" in done.stdout


def test_without_a_python_of_39_the_maker_says_so(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)}
    python = subprocess.run(["sh", "-c", "command -v python3.9"], env=environment, check=False).returncode
    if python:  # the system has none
        done = subprocess.run([MAKE, ".k2"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "no Python 3.9 found" in done.stderr and "setup-k2" in done.stderr
        assert not (tmp_path / ".k2").exists()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_environment_is_made_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run([MAKE, tmp_path / "k2"], cwd=MAKE.parents[1], capture_output=True, text=True, check=True)
    assert re.search(r"made in \d+ s with .*python", done.stdout)
    monkeypatch.setenv("SEW_K2_PYTHON", str(tmp_path / "k2" / "bin" / "python"))
    values = np.log(np.full((4, 3), 1 / 3, dtype=np.float32))
    with K2() as k2:
        assert collapse(k2.align("u", values, [1, 2]).best.labels, blank=0) == [1, 2]


@pytest.mark.fault("input-3")
def test_cuts_without_a_text_are_listed_and_an_empty_text_is_not(model, prepared, tmp_path, sew_here) -> None:
    data = with_text(prepared, tmp_path / "data", ["NOBODY WROTE IT DOWN", "", "ONE"])
    cuts = list(read_jsonl(data / "cuts_dev-clean.jsonl.gz"))
    cuts[0]["supervisions"][0] |= {"text": None, "alignment": {"word": [["ONE", 0.0, 0.5, 1.0]]}}
    write_jsonl(data / "cuts_dev-clean.jsonl.gz", cuts)
    code, _, err = sew_here("align", model, data, "--split", "dev-clean", "--out", tmp_path / "out")
    (failed,) = read_jsonl(tmp_path / "out" / "data-dev-clean" / "failed.jsonl")
    assert code == 4 and "1 utterances have no alignment" in err
    assert failed["id"] == cuts[0]["id"] and "no text" in failed["reason"]
