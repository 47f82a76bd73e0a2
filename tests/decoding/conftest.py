from pathlib import Path

import pytest
import torch
from speech_like import emission, log_softmax

from sewcli.base.files import write_jsonl
from sewcli.data.utterances import read_split
from sewcli.decoding.kept import keep, kept_folder
from sewcli.decoding.source import EmissionSource, Recogniser
from sewcli.lm.build import build_ngram
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import load_ctc, save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary

GOLDEN = Path(__file__).parents[1] / "lm" / "golden"


@pytest.fixture(scope="session")
def letters() -> Vocabulary:
    return Vocabulary.letters()


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return (GOLDEN / "text.txt").read_text().splitlines()


@pytest.fixture(scope="session")
def lm(tmp_path_factory: pytest.TempPathFactory, letters: Vocabulary) -> LanguageModelFiles:
    """A real 3-gram of the golden text."""
    data = tmp_path_factory.mktemp("lm-data")
    build_ngram([GOLDEN / "text.txt"], 3, data, None)
    return resolve("3gram", data, letters)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """exp/small/model/: random weights, whose output the tests below replace by kept emissions."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("exp") / "small" / "model"
    save_ctc(CTCModel(lookup("sew-micro"), 32), Vocabulary.letters(), folder)
    return folder


@pytest.fixture
def heard(tmp_path: Path, small_model: Path, sentences: list[str]) -> Path:
    """data/: splits dev and test of 25 utterances each with a 3-gram, their emissions kept in decode/: no audio is there.

    The model that they are of is surer of itself than the papers' are, so other weights fit it than theirs.
    """
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "text_train.txt").write_text("\n".join(sentences))
    build_ngram([], 3, folder, None)
    for split, texts in (("dev", sentences[:25]), ("test", sentences[40:65])):
        heard_split(folder, split, texts, small_model, tmp_path / "decode")
    return folder


def heard_split(data: Path, split: str, texts: list[str], model: Path, out: Path) -> None:
    """Cuts of a split, and emissions of its texts as if the model had heard them."""
    cuts = []
    for number, text in enumerate(texts):
        source = {"type": "file", "channels": [0], "source": str(data / "none.wav")}
        recording = {"id": f"{split}{number}", "sources": [source], "sampling_rate": 16_000, "num_samples": 16_000}
        cut = {"id": f"{split}{number}", "start": 0, "duration": 1 + number / 100, "channel": 0, "recording": recording}
        cuts.append({**cut, "supervisions": [{"text": text}]})
    write_jsonl(data / f"cuts_{split}.jsonl.gz", cuts)
    source = EmissionSource(Recogniser(load_ctc(model)[0], model, no_device), data, split, read_split(data, split), out)
    with keep(kept_folder(out, split), (1, 1), source.inputs, "float32") as writer:
        for number, text in enumerate(texts):
            writer.add(f"{split}{number}", log_softmax(3 * emission(text, noise=2.5, seed=number)))
        writer.facts = {"device": "made", "threads": 1, "model_seconds": 1.0, "failed": []}


def no_device() -> torch.device:
    raise AssertionError("the model was to run")
