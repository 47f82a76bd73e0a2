from pathlib import Path

import pytest

from sewcli.lm.build import build_ngram
from sewcli.lm.files import LanguageModelFiles, resolve
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
