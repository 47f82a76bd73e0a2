"""The same weights in our order and in another: what each verb makes of them is the same."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from wild_folders import KINDS, RATE, audio, build, expected

from sewcli.alignment.k2.worker import exchange
from sewcli.decoding.greedy import greedy
from sewcli.decoding.viterbi import align
from sewcli.models.fairseq import open_fairseq
from sewcli.models.folder import load_ctc, load_source
from sewcli.runtimes.openvino_folder import open_graph
from sewcli.runtimes.openvino_runtime import GraphModel
from sewcli.text.tokens import Vocabulary

Sew = Callable[..., CompletedProcess[str]]
OURS, THEIRS = "blank first", "blank last, called <pad>"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One recogniser in both orders."""
    root = tmp_path_factory.mktemp("orders")
    return build(KINDS[OURS], root / "ours"), build(KINDS[THEIRS], root / "theirs")


def greedy_text(folder_or_source: Path | object, wave: np.ndarray) -> str:
    model, vocabulary = (
        load_ctc(folder_or_source) if isinstance(folder_or_source, Path) else load_source(folder_or_source)
    )
    with torch.inference_mode():
        logits = model.eval()(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).logits[0]
    return vocabulary.text(greedy(logits.numpy(), vocabulary.blank))


@pytest.mark.fault("report-1", "report-2")
@pytest.mark.parametrize(
    "name", [THEIRS, "<s> first", "do_lower_case", "delimiter is a blank", "added tokens", "phones"]
)
def test_fairseq_gets_the_rows_in_its_own_order(name: str, tmp_path: Path, sew_here: Sew) -> None:
    folder = build(KINDS[name], tmp_path / "model")
    done = sew_here("export", folder, tmp_path / "fairseq", "--format", "fairseq")
    assert done.returncode == 0, done.stderr
    source = open_fairseq(tmp_path / "fairseq" / "model.pt")
    assert source.vocabulary is not None and source.vocabulary.blank == 0
    assert greedy_text(source, audio()) == expected(folder, audio())


@pytest.mark.fault("report-1", "report-66")
@pytest.mark.parametrize("name", ["padded head"])
def test_graphs_keep_the_symbols(name: str, tmp_path: Path, sew_here: Sew) -> None:
    folder = build(KINDS[name], tmp_path / "model")
    for form in ("openvino", "onnx"):
        done = sew_here("export", folder, tmp_path / form, "--format", form)
        assert done.returncode == 0, done.stderr
    graph = open_graph(tmp_path / "openvino")
    assert graph.vocabulary == load_ctc(folder)[1]
    (logits,) = GraphModel(graph).logits([audio()])
    text = graph.vocabulary.text(greedy(logits, graph.vocabulary.blank))
    assert text == expected(folder, audio())
    tokenizer = json.loads((tmp_path / "onnx" / "tokenizer_config.json").read_text())
    assert tokenizer["pad_token"] == KINDS[name].blank


@pytest.mark.fault("report-2")
def test_any_blank_has_the_path_of_blank_0() -> None:
    """Our own search and torchaudio's, and the order in which k2 is asked."""
    from sewcli.alignment.alignment import forced_path

    for seed in range(60):
        rng = np.random.default_rng(seed)
        size, frames = int(rng.integers(5, 32)), int(rng.integers(8, 40))
        labels = rng.integers(1, size, int(rng.integers(1, frames // 2))).tolist()
        emission = torch.log_softmax(torch.from_numpy(rng.normal(0, 2, (frames, size))), 1).numpy()
        blank = 1 + seed % (size - 1)
        order = exchange(size, blank)
        moved, renamed = emission[:, order], [int(order[label]) for label in labels]
        ours = align(["u"], [emission], [labels], blank=0)[0]
        for other in (align(["u"], [moved], [renamed], blank=blank)[0], forced_path("u", moved, renamed, blank=blank)):
            assert np.array_equal(order[other.labels], ours.labels)
            assert other.score == pytest.approx(ours.score, abs=1e-4)
        assert np.array_equal(moved[:, order], emission)


TUTORIAL = {
    "|": 0,
    **{letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz'", start=1)},
    "[UNK]": 28,
    "[PAD]": 29,
}
QUICK = ("batch.seconds=8", "batch.micro_seconds=4", "tensorboard=false", "updates=2", "freeze_updates=0")


def finetune(sew: Sew, model: str | Path, data: Path, exp: Path, *sets: str) -> CompletedProcess[str]:
    words = (word for each in (*QUICK, "valid_every=2", *sets) for word in ("--set", each))
    return sew("finetune", "--model", model, "--data", data, "--exp", exp, "--device", "cpu", *words)


@pytest.mark.fault("report-3", "report-1")
def test_finetuning_on_the_tutorials_vocabulary(prepared: Path, tmp_path: Path, sew_here: Sew) -> None:
    file = tmp_path / "v_hf.json"
    file.write_text(json.dumps(TUTORIAL), encoding="utf-8")
    done = finetune(sew_here, "sew-micro", prepared, tmp_path / "exp", f"vocabulary={file}")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "exp" / "model"
    config = json.loads((folder / "config.json").read_text())
    assert (config["pad_token_id"], config["vocab_size"]) == (29, 30)
    assert json.loads((folder / "vocab.json").read_text()) == TUTORIAL
    assert load_ctc(folder)[1] == Vocabulary.read(file)
    assert greedy_text(folder, audio()) == expected(folder, audio())


@pytest.mark.fault("report-1", "report-3", "report-5")
def test_finetuning_goes_on_with_the_symbols_of_a_recogniser(
    pair: tuple[Path, Path], prepared: Path, tmp_path: Path, sew_here: Sew
) -> None:
    """Without being told of them, in both orders with the same losses."""
    losses = []
    for number, folder in enumerate(pair):
        done = finetune(sew_here, folder, prepared, tmp_path / str(number), "overrides.layer_drop=0")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in (tmp_path / str(number) / "metrics.jsonl").read_text().splitlines()]
        losses.append([row["loss"] for row in rows if "loss" in row])
        assert load_ctc(tmp_path / str(number) / "model")[1] == load_ctc(folder)[1]
    assert losses[0] and losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.fault("report-1")
def test_pruning_keeps_the_symbols_and_cuts_the_same(
    pair: tuple[Path, Path], prepared: Path, tmp_path: Path, sew_here: Sew
) -> None:
    texts = []
    for number, folder in enumerate(pair):
        out = tmp_path / f"slim-{number}"
        done = sew_here(
            "prune", folder, out, "--feedforward", 32, "--data", prepared, "--seconds", 10, "--device", "cpu"
        )
        assert done.returncode == 0, done.stderr
        assert load_ctc(out)[1] == load_ctc(folder)[1]
        texts.append(greedy_text(out, audio()))
    assert texts[0] == texts[1] and len(texts[0]) > 20


@pytest.mark.fault("W7", "report-8")
def test_finetuning_on_phones(prepared: Path, tmp_path: Path, sew_here: Sew) -> None:
    """Texts of phones with blanks between: a label each, and what is written has blanks between phones again."""
    import gzip

    names = {letter: f"{letter.lower()}{letter.lower()}" for letter in "ETAONIHSRDLUMWCFGYPBVK'XJQZ"}
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train-clean-100", "dev-clean"):
        with (
            gzip.open(prepared / f"cuts_{split}.jsonl.gz", "rt") as lines,
            gzip.open(data / f"cuts_{split}.jsonl.gz", "wt") as out,
        ):
            for line in lines:
                cut = json.loads(line)
                for supervision in cut["supervisions"]:
                    supervision["text"] = " ".join(names[c] for c in supervision["text"].replace(" ", ""))
                out.write(json.dumps(cut) + "\n")
    file = tmp_path / "phones.txt"
    file.write_text("\n".join(names.values()), encoding="utf-8")
    done = finetune(sew_here, "sew-micro", data, tmp_path / "exp", f"vocabulary={file}")
    assert done.returncode == 0, done.stderr
    vocabulary = load_ctc(tmp_path / "exp" / "model")[1]
    assert vocabulary.separated and len(vocabulary) == 4 + len(names) and vocabulary.boundary is None
    assert greedy_text(tmp_path / "exp" / "model", audio()) == expected(tmp_path / "exp" / "model", audio())
    aligned = sew_here(
        "align", tmp_path / "exp", data, "--split", "dev-clean", "--out", tmp_path / "aligned", "--device", "cpu"
    )
    assert aligned.returncode == 0, aligned.stderr
    first = next(iter((tmp_path / "aligned").rglob("*.ctm"))).read_text().splitlines()[0].split()
    assert first[4] in names.values() and len(audio()) / RATE == 3
