from pathlib import Path

import pytest
import torch

from sewcli.lm.build import build_ngram
from sewcli.lm.files import LanguageModelFiles, resolve
from sewcli.models.ctc import CTCModel
from sewcli.models.folder import save_ctc
from sewcli.models.zoo import lookup
from sewcli.text.tokens import Vocabulary
from support.emission_splits import emission_split

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
        emission_split(folder, split, texts, small_model, tmp_path / "decode")
    return folder
